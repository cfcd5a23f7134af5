"""Schedules that fall as the inverse square root of time."""

import jax.numpy as jnp

from gradtx.core.hyperparameters import NonNegativeNumber, Number, PositiveNumber
from gradtx.core.schedule import schedule
from gradtx.core.typing import Array
from gradtx.schedules.shapes import between, check_order, progress


@schedule
def inverse_sqrt_schedule(
    step: Array, init_value: Number, peak_value: Number, warmup_steps: NonNegativeNumber
) -> Array:
    """A straight line up, then the inverse square root of time.

    For t < warmup_steps, with x = t / warmup_steps:

        (1 - x) init_value + x peak_value

    then, with w = max(warmup_steps, 1):

        peak_value sqrt(w / max(t, w))

    With `init_value=peak_value` it is flat until `warmup_steps`.

    Args:
        peak_value: the value at `warmup_steps`.
        warmup_steps: the length of the line, >= 0; at 0 there is none, and the decay is that of 1.

    Source: Vaswani et al. 2017, arXiv:1706.03762; flat start: Raffel et al. 2020, arXiv:1910.10683.
    """
    w = jnp.maximum(warmup_steps, 1)
    rise = between(init_value, peak_value, progress(step, 0, warmup_steps))
    return jnp.where(step < warmup_steps, rise, peak_value * jnp.sqrt(w / jnp.maximum(step, w)))


@schedule
def rsqrt_cooldown_schedule(
    step: Array,
    init_value: Number,
    peak_value: Number,
    warmup_steps: NonNegativeNumber,
    cooldown_steps: NonNegativeNumber,
    total_steps: NonNegativeNumber,
    timescale: PositiveNumber = 10_000,
) -> Array:
    """A straight line up, an inverse square root of time, and a straight line to zero at the end.

    For t < warmup_steps, with x = t / warmup_steps:

        (1 - x) init_value + x peak_value

    then:

        peak_value / sqrt(1 + (t - warmup_steps) / timescale)

    both times min(1, (total_steps - t) / cooldown_steps), which is 0 from `total_steps` on.

    Args:
        peak_value: the value at `warmup_steps`.
        warmup_steps: the length of the line up, >= 0; at 0 there is none.
        cooldown_steps: the length of the line down, in [0, `total_steps`]; at 0 the value jumps to 0 at `total_steps`.
        total_steps: where the value reaches 0, >= `warmup_steps`.
        timescale: how slowly the root falls, in steps, > 0.

    Source: Zhai et al. 2022, arXiv:2106.04560, and its code in big_vision.
    """
    check_order("rsqrt_cooldown_schedule", {"warmup_steps": warmup_steps, "total_steps": total_steps})
    check_order("rsqrt_cooldown_schedule", {"cooldown_steps": cooldown_steps, "total_steps": total_steps})
    rise = between(init_value, peak_value, progress(step, 0, warmup_steps))
    fall = peak_value / jnp.sqrt(1 + jnp.maximum(step - warmup_steps, 0) / timescale)
    left = 1 - progress(step, total_steps - cooldown_steps, total_steps)
    return jnp.where(step < warmup_steps, rise, fall) * left
