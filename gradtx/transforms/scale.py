"""Scaling: by a number, by a learning rate, to zero."""

from gradtx.core.explicit import zeros_like
from gradtx.core.hyperparameters import NonNegative, Real, ScheduleLike
from gradtx.core.lifted import lifted
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


@lifted(identity_rule, degree=1)
def identity():
    """Leave the updates as they are."""


@lifted(zero_rule, degree=())
def set_to_zero():
    """Replace the updates by zeros: parameters stay where they are."""


@lifted(scale_rule, degree=1)
def scale(step_size: Real):
    """Multiply the updates by a number: u <- step_size g.

    Args:
        step_size: any finite number, or a schedule.
    """


@lifted(scale_rule, degree=1)
def scale_by_schedule(step_size: ScheduleLike):
    """Multiply the updates by a schedule: u <- step_size(count) g, count = 0 at the first update.

    Args:
        step_size: a schedule or a function of the step; it is not negated (`scale_by_lr` does that).

    State: the step count (4 bytes).
    """


@lifted(descent_rule, degree=1)
def scale_by_lr(learning_rate: NonNegative):
    """Turn a direction into a descent step: u <- -learning_rate g.

    Args:
        learning_rate: at least 0, a number or a schedule of the step, which is 0 at the first update.
    """
