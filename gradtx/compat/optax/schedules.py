"""Optax's schedules: functions of the step. Numbers of steps that are not positive give a constant or an error."""

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any

import jax.numpy as jnp

from gradtx.compat.optax.base import Schedule, built
from gradtx.compat.optax.names import document, show
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.table import same
from gradtx.compat.optax.tree_utils import weakly_typed
from gradtx.core.typing import ArrayLike

show(
    __name__,
    """
inject: StatefulSchedule WrappedSchedule inject_hyperparams inject_stateful_hyperparams
states: InjectHyperparamsState InjectStatefulHyperparamsState
""",
)


@remembered
def constant_schedule(value: ArrayLike) -> Schedule:
    """The same number at every step."""
    return lambda count: value


@remembered
def _shown(make: Callable[..., Schedule], weak: bool = False, **given: Any) -> Schedule:
    """A schedule of gradtx as a function whose result is weakly typed where its step is, or for any step if `weak`."""
    name, scales = make.__name__, given.get("boundaries_and_scales") or {}
    if any(scale < 0 for scale in scales.values()):
        raise ValueError(f"{name}: scales must not be negative, got {scales}")
    if "decay_steps" in given:
        _check_positive(name, "decay_steps", given["decay_steps"])
    if given.get("transition_steps", 1) <= 0 or given.get("decay_rate") == 0:
        return constant_schedule(given["init_value"])
    value = built(make, (), {key: max(x, 0) if key == "transition_begin" else x for key, x in given.items()})

    def schedule(count: ArrayLike) -> ArrayLike:
        x: Any = value(count)
        as_count = getattr(count, "weak_type", isinstance(count, int | float))
        return weakly_typed(x) if weak or as_count else x

    return schedule


def _check_positive(name: str, argument: str, steps: int) -> None:
    if not steps > 0:
        raise ValueError(f"{name}: {argument} must be positive, got {steps!r}")


_made = same(
    __name__,
    """
polynomial_schedule | init_value! end_value! power! transition_steps:int! transition_begin | |
    A power of the time left; `init_value` for ever where `transition_steps` is not positive.
linear_schedule | init_value! end_value! transition_steps:int! transition_begin | polynomial_schedule power=1 |
    A straight line; arguments as in `polynomial_schedule`.
warmup_constant_schedule | init_value! peak_value>end_value! warmup_steps>transition_steps:int! |
    polynomial_schedule power=1 |
    A straight line up, then no change; `init_value` for ever where `warmup_steps` is not positive.
piecewise_constant_schedule | init_value! boundaries_and_scales:scales | weak=True |
    A value that is multiplied by a scale, which is not negative, at some steps.
piecewise_interpolate_schedule | interpolate_type:str! init_value! boundaries_and_scales:scales | |
    As `piecewise_constant_schedule`, but reaching each new value along a line or half a cosine.
exponential_decay | init_value! transition_steps:int! decay_rate:float! transition_begin staircase end_value | |
    A value multiplied by a constant every so many steps; without such steps or such a constant it stays.
cosine_decay_schedule | init_value! decay_steps:int! alpha exponent | weak=True |
    Half a cosine, from a value to a fraction of it; `decay_steps` must be positive.
""",
    through=_shown,
    scales=dict[int, float],
)


def linear_onecycle_schedule(
    transition_steps: int, peak_value: ArrayLike, pct_start: float = 0.3, pct_final: float = 0.85,
    div_factor: float = 25.0, final_div_factor: float = 1e4,
) -> Schedule:  # fmt: skip
    """Three lines, whose ends are rounded down to whole steps: up, down again, and down to almost nothing."""
    _check_positive("linear_onecycle_schedule", "transition_steps", transition_steps)
    up, down = int(pct_start * transition_steps), int(pct_final * transition_steps)
    scales = {up: div_factor, down: 1 / div_factor, transition_steps: 1 / final_div_factor}
    return _made.piecewise_interpolate_schedule("linear", peak_value / div_factor, scales)


def cosine_onecycle_schedule(
    transition_steps: int, peak_value: ArrayLike, pct_start: float = 0.3, div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:  # fmt: skip
    """Half a cosine up, and half a cosine down to almost nothing; the peak is rounded down to a whole step."""
    _check_positive("cosine_onecycle_schedule", "transition_steps", transition_steps)
    scales = {int(pct_start * transition_steps): div_factor, transition_steps: 1 / (div_factor * final_div_factor)}
    return _made.piecewise_interpolate_schedule("cosine", peak_value / div_factor, scales)


@remembered
def join_schedules(schedules: Sequence[Schedule], boundaries: Sequence[int]) -> Schedule:
    """One schedule after another, each called with the steps since it began."""

    def schedule(step: ArrayLike) -> ArrayLike:
        value = schedules[0](step)
        for begin, following in zip(boundaries, schedules[1:], strict=False):
            value = jnp.where(step < begin, value, following(step - begin))
        return value

    return schedule


def warmup_cosine_decay_schedule(
    init_value: ArrayLike, peak_value: ArrayLike, warmup_steps: int, decay_steps: int, end_value: ArrayLike = 0.0,
    exponent: ArrayLike = 1.0,
) -> Schedule:  # fmt: skip
    """A straight line up, then half a cosine down."""
    alpha = 0.0 if peak_value == 0 else end_value / peak_value
    decay = _made.cosine_decay_schedule(peak_value, decay_steps - warmup_steps, alpha, exponent)
    return join_schedules([_made.linear_schedule(init_value, peak_value, warmup_steps), decay], [warmup_steps])


def warmup_exponential_decay_schedule(
    init_value: ArrayLike, peak_value: ArrayLike, warmup_steps: int, transition_steps: int, decay_rate: float,
    transition_begin: int = 0, staircase: bool = False, end_value: ArrayLike | None = None,
) -> Schedule:  # fmt: skip
    """A straight line up, then `exponential_decay`."""
    decay = _made.exponential_decay(peak_value, transition_steps, decay_rate, transition_begin, staircase, end_value)
    return join_schedules([_made.linear_schedule(init_value, peak_value, warmup_steps), decay], [warmup_steps])


def sgdr_schedule(cosine_kwargs: Iterable[dict[str, Any]]) -> Schedule:
    """Cosine decays with warm restarts."""
    cycles = list(cosine_kwargs)
    schedules = [warmup_cosine_decay_schedule(**cycle) for cycle in cycles]
    return join_schedules(schedules, list(accumulate(cycle["decay_steps"] for cycle in cycles)))


document(__name__)
globals().update(_made)
