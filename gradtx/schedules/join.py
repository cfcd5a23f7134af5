"""Schedules made of schedules: one after another, or after a warm-up."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeAlias

import jax.numpy as jnp

from gradtx.core.arguments import Interval
from gradtx.core.containers import SequenceOf
from gradtx.core.hyperparameters import IsSchedule, NonNegativeNumber, Number, ScheduleLike
from gradtx.core.schedule import Schedule
from gradtx.core.schedule import schedule as schedule_maker
from gradtx.core.typing import Array, ArrayLike
from gradtx.schedules.shapes import between, check_order, progress

Schedules: TypeAlias = Annotated[Sequence[Schedule | Callable[[Array], ArrayLike]], SequenceOf(IsSchedule())]
"""Some schedules, or functions of the step."""

Boundaries: TypeAlias = Annotated[Sequence[ArrayLike], SequenceOf(Interval("[0, inf)"))]
"""Some steps, each a number >= 0."""


def joined(step: Array, schedules: Sequence[Any], boundaries: Sequence[Number]) -> Array:
    """The first schedule, from each boundary on the next one; each counts its steps from where it begins."""
    value = schedules[0](step)
    for begin, following in zip(boundaries, schedules[1:], strict=True):
        value = jnp.where(step < begin, value, following(jnp.maximum(step - begin, 0)))
    return value


@schedule_maker
def join_schedules(step: Array, schedules: Schedules, boundaries: Boundaries) -> Array:
    """One schedule after another.

    For boundaries[i - 1] <= t < boundaries[i]:

        schedules[i], called with t - boundaries[i - 1]

    Args:
        schedules: the schedules, or functions of the step, at least one.
        boundaries: the steps at which each but the first begins, in order; one less than the schedules. A schedule
            between two equal boundaries is skipped.
    """
    if len(boundaries) != len(schedules) - 1:
        raise ValueError(
            "join_schedules: boundaries must be one less than schedules, "
            f"got {len(boundaries)} boundaries and {len(schedules)} schedules"
        )
    check_order("join_schedules", {f"boundaries[{i}]": b for i, b in enumerate(boundaries)})
    return joined(step, schedules, boundaries)


@schedule_maker
def warmup(step: Array, schedule: ScheduleLike, warmup_steps: NonNegativeNumber, init_value: Number = 0.0) -> Array:
    """A straight line up to any schedule's first value, then that schedule.

    For t < warmup_steps, with x = t / warmup_steps:

        (1 - x) init_value + x schedule(0)

    then:

        schedule(t - warmup_steps)

    Args:
        schedule: the schedule that follows, or a function of the step.
        warmup_steps: the length of the line, >= 0; at 0 there is none.
    """
    first = schedule(jnp.zeros_like(step))
    rise = between(init_value, first, progress(step, 0, warmup_steps))
    return jnp.where(step < warmup_steps, rise, schedule(jnp.maximum(step - warmup_steps, 0)))
