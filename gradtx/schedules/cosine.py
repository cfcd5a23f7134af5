"""Schedules that fall along half a cosine, once or with restarts."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Annotated, Any, TypeAlias, cast

import jax.numpy as jnp

from gradtx.core import precision
from gradtx.core.arguments import Accept
from gradtx.core.containers import SequenceOf
from gradtx.core.hyperparameters import NonNegativeNumber, Number, PositiveNumber
from gradtx.core.schedule import Schedule, schedule
from gradtx.core.typing import Array, ArrayLike
from gradtx.schedules.join import joined
from gradtx.schedules.shapes import between, check_order, cosine, power, progress


@schedule
def cosine_decay_schedule(
    step: Array,
    init_value: Number,
    decay_steps: NonNegativeNumber,
    alpha: Number = 0.0,
    exponent: PositiveNumber = 1.0,
) -> Array:
    """Half a cosine, from a value to a fraction of it.

    With x = t / decay_steps, held in [0, 1]:

        init_value ((1 - alpha) ((1 + cos(pi x)) / 2)^exponent + alpha)

    Args:
        decay_steps: the length of the decay, >= 0; at 0 the value is `alpha init_value` at once.
        alpha: the fraction of `init_value` that stays.

    Source: Loshchilov & Hutter 2017, arXiv:1608.03983.
    """
    left = power(cosine(progress(step, 0, decay_steps)), exponent)
    return between(alpha, 1, left) * init_value


@schedule
def warmup_cosine_decay_schedule(
    step: Array,
    init_value: Number,
    peak_value: Number,
    warmup_steps: NonNegativeNumber,
    decay_steps: NonNegativeNumber,
    end_value: Number = 0.0,
    exponent: PositiveNumber = 1.0,
) -> Array:
    """A straight line up, then half a cosine down.

    For t < warmup_steps, with x = t / warmup_steps:

        (1 - x) init_value + x peak_value

    then, with x = (t - warmup_steps) / (decay_steps - warmup_steps), at most 1:

        (peak_value - end_value) ((1 + cos(pi x)) / 2)^exponent + end_value

    Args:
        peak_value: the value at `warmup_steps`.
        warmup_steps: the length of the line, >= 0; at 0 there is none.
        decay_steps: the length of line and decay together, >= `warmup_steps`; where they are equal, the value jumps
            to `end_value` there (Optax refuses that).
        end_value: the value from `decay_steps` on.

    Source: Loshchilov & Hutter 2017, arXiv:1608.03983; Goyal et al. 2017, arXiv:1706.02677 (warm-up).
    """
    check_order("warmup_cosine_decay_schedule", {"warmup_steps": warmup_steps, "decay_steps": decay_steps})
    left = power(cosine(progress(step, warmup_steps, decay_steps)), exponent)
    rise = between(init_value, peak_value, progress(step, 0, warmup_steps))
    return jnp.where(step < warmup_steps, rise, between(end_value, peak_value, left))


class IsCycle(Accept):
    """A warm-up and cosine decay, as that schedule or as a dictionary of its arguments."""

    wanted = "a warmup_cosine_decay_schedule or a dictionary of its arguments"

    def convert(self, where: str, name: str, x: Any) -> Any:
        if isinstance(x, Mapping):
            try:
                return warmup_cosine_decay_schedule(**x)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{where}: {name}: {error}") from None
        if isinstance(x, Schedule) and x.maker is warmup_cosine_decay_schedule:
            return x
        raise self.refusal(where, name, x)


Cycles: TypeAlias = Annotated[Sequence[Mapping[str, ArrayLike] | Schedule], SequenceOf(IsCycle())]
"""Some warm-ups and cosine decays, one after the other."""


@schedule
def sgdr_schedule(step: Array, cosine_kwargs: Cycles) -> Array:
    """Cosine decays with warm restarts: each cycle is a `warmup_cosine_decay_schedule`.

    In cycle i, which begins when decay_steps of all cycles before have passed, at b_i:

        warmup_cosine_decay_schedule(t - b_i); after the last cycle, its end value

    Args:
        cosine_kwargs: the cycles, at least one, each a dictionary of the arguments of
            `warmup_cosine_decay_schedule`, or such a schedule. A cycle whose `decay_steps` is 0 is skipped.

    Source: Loshchilov & Hutter 2017, arXiv:1608.03983.
    """
    if not cosine_kwargs:
        raise ValueError("sgdr_schedule: cosine_kwargs must have at least one cycle, got none")
    cycles = cast("Sequence[Schedule]", cosine_kwargs)
    lengths = [precision.cast(cycle.decay_steps, step.dtype) for cycle in cycles[:-1]]
    return joined(step, cycles, list(accumulate(lengths)))
