"""Constant, linear and polynomial schedules."""

import jax.numpy as jnp

from gradtx.core.hyperparameters import NonNegativeNumber, Number, PositiveNumber
from gradtx.core.schedule import schedule
from gradtx.core.typing import Array
from gradtx.schedules.shapes import between, progress
from gradtx.schedules.shapes import power as raised


@schedule
def constant_schedule(step: Array, value: Number) -> Array:
    """The same number at every step.

    Args:
        value: that number.
    """
    return jnp.zeros_like(step) + value


@schedule
def linear_schedule(
    step: Array,
    init_value: Number,
    end_value: Number,
    transition_steps: NonNegativeNumber,
    transition_begin: NonNegativeNumber = 0,
) -> Array:
    """A straight line from one value to another.

    With x = (t - transition_begin) / transition_steps, held in [0, 1]:

        (1 - x) init_value + x end_value

    Args:
        init_value: the value until `transition_begin`.
        end_value: the value from `transition_begin + transition_steps` on.
        transition_steps: the length of the line, >= 0; at 0 the value jumps to `end_value` (Optax stays at
            `init_value`).
        transition_begin: the steps before the line, >= 0.
    """
    return between(init_value, end_value, progress(step, transition_begin, transition_begin + transition_steps))


@schedule
def polynomial_schedule(
    step: Array,
    init_value: Number,
    end_value: Number,
    power: PositiveNumber,
    transition_steps: NonNegativeNumber,
    transition_begin: NonNegativeNumber = 0,
) -> Array:
    """A power of the time left, from one value to another.

    With x = (t - transition_begin) / transition_steps, held in [0, 1]:

        (init_value - end_value) (1 - x)^power + end_value

    Args:
        init_value: the value until `transition_begin`.
        end_value: the value from `transition_begin + transition_steps` on.
        power: above 0; 1 gives a straight line.
        transition_steps: the steps in between, >= 0; at 0 the value jumps to `end_value` (Optax stays at
            `init_value`).
        transition_begin: the steps before, >= 0.
    """
    left = raised(1 - progress(step, transition_begin, transition_begin + transition_steps), power)
    return between(end_value, init_value, left)


@schedule
def warmup_constant_schedule(
    step: Array, init_value: Number, peak_value: Number, warmup_steps: NonNegativeNumber
) -> Array:
    """A straight line up, then no change.

    With x = t / warmup_steps, held in [0, 1]:

        (1 - x) init_value + x peak_value

    Args:
        peak_value: the value from `warmup_steps` on.
        warmup_steps: the length of the line, >= 0. At 0 the value is `peak_value` at once (in Optax it is
            `init_value` for ever).
    """
    return between(init_value, peak_value, progress(step, 0, warmup_steps))
