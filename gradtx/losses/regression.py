"""Losses of real-valued predictions, element by element."""

import math

import jax.numpy as jnp

from gradtx.core.typing import Array, ArrayLike
from gradtx.losses.inputs import Values, loss


@loss("predictions", "targets", shapes="equal")
def squared_error(predictions: Values, targets: Values | None = None) -> Array:
    """Squared error.

        e^2, with e = predictions - targets

    Args:
        predictions: real numbers of any shape.
        targets: of the same shape; zeros by default.
    """
    return jnp.square(_error(predictions, targets))


@loss("predictions", "targets", shapes="equal")
def l2_loss(predictions: Values, targets: Values | None = None) -> Array:
    """Half the squared error, whose gradient is the error.

        e^2 / 2, with e = predictions - targets

    Args:
        predictions: real numbers of any shape.
        targets: of the same shape; zeros by default.
    """
    return jnp.square(_error(predictions, targets)) / 2


@loss("predictions", "targets")
def huber_loss(predictions: Values, targets: Values | None = None, *, delta: ArrayLike = 1.0) -> Array:
    """Quadratic near zero, linear beyond: its gradient is the error, clipped to [-delta, delta].

        e^2 / 2                     where |e| <= delta
        delta |e| - delta^2 / 2     elsewhere, with e = predictions - targets

    Args:
        predictions: real numbers of any shape.
        targets: of a shape that broadcasts with theirs; zeros by default.
        delta: above 0, where the parabola becomes a line.

    Source: Huber 1964, Robust estimation of a location parameter.
    """
    size = jnp.abs(_error(predictions, targets))
    near = jnp.minimum(size, delta)
    return jnp.square(near) / 2 + delta * (size - near)


@loss("predictions", "targets")
def log_cosh(predictions: Values, targets: Values | None = None) -> Array:
    """Logarithm of the hyperbolic cosine: about e^2 / 2 near zero and |e| - log 2 far from it.

        log(cosh(e)), with e = predictions - targets

    Computed as log(1 + 2 sinh(e/2)^2) for |e| < 1, where cosh(e) would round to 1, and as
    |e| - log 2 + log(1 + exp(-2 |e|)) beyond, where it would overflow.

    Args:
        predictions: real numbers of any shape.
        targets: of a shape that broadcasts with theirs; zeros by default.

    Source: Chen et al. 2019, Log hyperbolic cosine loss improves variational auto-encoder.
    """
    size = jnp.abs(_error(predictions, targets))
    small = jnp.minimum(size, 1)
    near = jnp.log1p(2 * jnp.square(jnp.sinh(small / 2)))
    return jnp.where(size < 1, near, size - math.log(2) + jnp.log1p(jnp.exp(-2 * size)))


def _error(predictions: Values, targets: Values | None) -> Array:
    return jnp.subtract(predictions, 0 if targets is None else targets)
