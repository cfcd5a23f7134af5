"""Schedules that decay with time without an end: exponentially, or as its inverse."""

import jax.numpy as jnp

from gradtx.core.hyperparameters import NonNegativeNumber, Number, PositiveNumber
from gradtx.core.schedule import schedule
from gradtx.core.typing import Array
from gradtx.schedules.shapes import between, progress


def periods(step: Array, begin: Number, length: Number, whole: bool) -> Array:
    """How many periods of `length` have passed since `begin`, or how many whole ones."""
    passed = jnp.maximum(step - begin, 0) / length
    return jnp.floor(passed) if whole else passed


def bounded(value: Array, decay_rate: Number, end_value: Number | None) -> Array:
    """`value`, which shrinks when `decay_rate` < 1 and else grows, stopped at `end_value`."""
    if end_value is None:
        return value
    return jnp.where(decay_rate < 1, jnp.maximum(value, end_value), jnp.minimum(value, end_value))


@schedule
def exponential_decay(
    step: Array,
    init_value: Number,
    transition_steps: PositiveNumber,
    decay_rate: PositiveNumber,
    transition_begin: NonNegativeNumber = 0,
    staircase: bool = False,
    end_value: Number | None = None,
) -> Array:
    """A value multiplied by a constant every so many steps.

    With n = max(t - transition_begin, 0) / transition_steps, rounded down with `staircase`:

        init_value decay_rate^n, stopped at `end_value`

    Args:
        init_value: the value until `transition_begin`.
        transition_steps: the steps in which the value changes by `decay_rate`, > 0. Optax takes 0, and a
            `decay_rate` of 0, as no decay; here both are errors.
        transition_begin: the steps before the decay, >= 0.
        staircase: change the value only every `transition_steps`.
        end_value: None, or a lower bound if `decay_rate` < 1, else an upper bound.
    """
    n = periods(step, transition_begin, transition_steps, staircase)
    return bounded(jnp.power(decay_rate, n) * init_value, decay_rate, end_value)


@schedule
def inverse_time_decay(
    step: Array,
    init_value: Number,
    transition_steps: PositiveNumber,
    decay_rate: NonNegativeNumber,
    staircase: bool = False,
) -> Array:
    """A value divided by a linear function of time.

    With n = t / transition_steps, rounded down with `staircase`:

        init_value / (1 + decay_rate n)

    Args:
        transition_steps: the unit of time, > 0.
        staircase: change the value only every `transition_steps`.
    """
    return jnp.divide(init_value, 1 + periods(step, 0, transition_steps, staircase) * decay_rate)


@schedule
def warmup_exponential_decay_schedule(
    step: Array,
    init_value: Number,
    peak_value: Number,
    warmup_steps: NonNegativeNumber,
    transition_steps: PositiveNumber,
    decay_rate: PositiveNumber,
    transition_begin: NonNegativeNumber = 0,
    staircase: bool = False,
    end_value: Number | None = None,
) -> Array:
    """A straight line up, then `exponential_decay`.

    For t < warmup_steps, with x = t / warmup_steps:

        (1 - x) init_value + x peak_value

    then, with n = max(t - warmup_steps - transition_begin, 0) / transition_steps, rounded down with `staircase`:

        peak_value decay_rate^n, stopped at `end_value`

    Args:
        peak_value: the value at `warmup_steps`.
        warmup_steps: the length of the line, >= 0; at 0 there is none.
        transition_steps: the steps in which the value changes by `decay_rate`, > 0.
        transition_begin: the steps at `peak_value` between line and decay, >= 0.
        staircase: change the value only every `transition_steps`.
        end_value: None, or a lower bound if `decay_rate` < 1, else an upper bound.
    """
    n = periods(step - warmup_steps, transition_begin, transition_steps, staircase)
    rise = between(init_value, peak_value, progress(step, 0, warmup_steps))
    return jnp.where(step < warmup_steps, rise, bounded(jnp.power(decay_rate, n) * peak_value, decay_rate, end_value))
