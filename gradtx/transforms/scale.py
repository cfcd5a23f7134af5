"""Scaling: by a number, by a learning rate, to zero."""

from gradtx.core.explicit import zeros_like
from gradtx.core.hyperparameters import NonNegative, Real, ScheduleLike
from gradtx.core.leafwise import Leafwise, leafwise
from gradtx.core.transformation import transformation
from gradtx.core.typing import Array, ArrayLike


def identity_rule(g: Array) -> Array:
    """u = g."""
    return g


def zero_rule(g: Array) -> Array:
    """u = 0, also where g is not finite."""
    return zeros_like(g)


def scale_rule(g: Array, *, step_size: ArrayLike) -> Array:
    """u = step_size g."""
    return step_size * g


def descent_rule(g: Array, *, learning_rate: ArrayLike) -> Array:
    """u = -learning_rate g."""
    return -learning_rate * g


@transformation(degree=1)
def identity() -> Leafwise:
    """Leave the updates as they are."""
    return leafwise(identity_rule)


@transformation(degree=())
def set_to_zero() -> Leafwise:
    """Replace the updates by zeros: parameters stay where they are."""
    return leafwise(zero_rule)


@transformation(degree=1)
def scale(step_size: Real) -> Leafwise:
    """Multiply the updates by a number: u <- step_size g.

    Args:
        step_size: any finite number, or a schedule.

    State: none, or a step count (4 bytes) with a schedule.
    """
    return leafwise(scale_rule, step_size=step_size)


@transformation(degree=1)
def scale_by_schedule(step_size: ScheduleLike) -> Leafwise:
    """Multiply the updates by a schedule: u <- step_size(count) g, count = 0 at the first update.

    Args:
        step_size: a schedule or a function of the step; it is not negated (`scale_by_lr` does that).

    State: the step count (4 bytes).
    """
    return leafwise(scale_rule, step_size=step_size)


@transformation(degree=1)
def scale_by_lr(learning_rate: NonNegative) -> Leafwise:
    """Turn a direction into a descent step: u <- -learning_rate g.

    Args:
        learning_rate: at least 0, a number or a schedule of the step, which is 0 at the first update.

    State: none, or a step count (4 bytes) with a schedule.
    """
    return leafwise(descent_rule, learning_rate=learning_rate)
