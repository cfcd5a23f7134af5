"""Schedules that are flat for most of the run and fall at its end."""

from typing import Annotated

import jax.numpy as jnp

from gradtx.core.arguments import OneOf
from gradtx.core.hyperparameters import NonNegativeNumber, Number, PositiveNumber
from gradtx.core.schedule import schedule
from gradtx.core.typing import Array
from gradtx.schedules.shapes import SHAPES, between, power, progress


@schedule
def wsd_schedule(
    step: Array,
    init_value: Number,
    peak_value: Number,
    warmup_steps: NonNegativeNumber,
    stable_steps: NonNegativeNumber,
    decay_steps: NonNegativeNumber,
    end_value: Number = 0.0,
    *,
    decay: Annotated[str, OneOf("linear", "1-sqrt", "cosine")] = "linear",
) -> Array:
    """Warm-up, stable, decay: a straight line up, a flat part, and a short way down (a trapezoid).

    For t < warmup_steps + stable_steps, with x = t / warmup_steps, at most 1:

        (1 - x) init_value + x peak_value

    then, with x = (t - warmup_steps - stable_steps) / decay_steps, at most 1, and h(x) one of
    1 - x, 1 - sqrt(x), (1 + cos(pi x)) / 2:

        h(x) peak_value + (1 - h(x)) end_value

    Args:
        peak_value: the value of the flat part.
        warmup_steps: the length of the line up, >= 0; at 0 there is none.
        stable_steps: the length of the flat part, >= 0.
        decay_steps: the length of the way down, >= 0, most often a tenth to a fifth of the run; at 0 the value jumps
            to `end_value`.
        end_value: the value after that.
        decay: the shape h of the way down: `"linear"`, `"1-sqrt"` or `"cosine"`.

    Source: Hu et al. 2024, arXiv:2404.06395, which decays exponentially; 1-sqrt: Hagele et al. 2024, arXiv:2405.18392.
    """
    begin = warmup_steps + stable_steps
    rise = between(init_value, peak_value, progress(step, 0, warmup_steps))
    left = SHAPES[decay](progress(step, begin, begin + decay_steps))
    return jnp.where(step < begin, rise, between(end_value, peak_value, left))


@schedule
def powercool_schedule(
    step: Array,
    peak_value: NonNegativeNumber,
    coefficient: NonNegativeNumber,
    total_steps: NonNegativeNumber,
    exponent: PositiveNumber = 1.2,
) -> Array:
    """Flat, then a power of the steps left.

    At step t:

        min(peak_value, coefficient max(total_steps - t, 0)^exponent)

    The way down takes (peak_value / coefficient)^(1 / exponent) steps: for n of them, take
    coefficient = peak_value / n^exponent. Put `warmup` before it for a line up.

    Args:
        peak_value: the value of the flat part, >= 0.
        coefficient: the value one step before the end, >= 0.
        total_steps: where the value reaches 0, >= 0.
    """
    return jnp.minimum(peak_value, coefficient * power(jnp.maximum(total_steps - step, 0), exponent))
