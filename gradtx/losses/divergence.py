"""Divergences of one distribution from another, given by the logarithms of the prediction."""

from typing import cast

import jax.numpy as jnp

from gradtx.core.typing import Array
from gradtx.losses.inputs import Axis, Values, hide, loss, sum_kept
from gradtx.losses.ranges import Divergence, held
from gradtx.losses.softmax import weighted


@loss("log_predictions", "targets")
def kl_divergence(log_predictions: Values, targets: Values, axis: Axis = -1, where: Values | None = None) -> Array:
    """Kullback-Leibler divergence of a prediction p from a target q.

        sum(q (log q - log p)), with 0 log 0 = 0

    Args:
        log_predictions: log p; -inf is allowed, and costs nothing where q is 0.
        targets: q >= 0, of a shape that broadcasts with it; at q = 0 the gradient of q log q is taken as 0.

    Returns:
        The divergences, of the shape without those axes; at least 0 where both are distributions to rounding.

    Source: Kullback & Leibler 1951, On information and sufficiency.
    """
    log_p, q = hide(where, log_predictions, targets)
    return cast(Array, _divergence(_x_log_x(q), weighted(q, log_p), axis))


@loss("log_predictions", "log_targets")
def kl_divergence_with_log_targets(
    log_predictions: Values, log_targets: Values, axis: Axis = -1, where: Values | None = None
) -> Array:
    """Kullback-Leibler divergence of a prediction p from a target q that is given by its logarithm too.

        sum(q (log q - log p)), with 0 log 0 = 0

    Args:
        log_predictions: log p; -inf is allowed, and costs nothing where q is 0.
        log_targets: log q, of a shape that broadcasts with it; -inf is allowed.

    Returns:
        The divergences, of the shape without those axes; at least 0 where both are distributions to rounding.
    """
    log_p, log_q = hide(where, log_predictions, log_targets)
    q = jnp.exp(log_q)
    return cast(Array, _divergence(weighted(q, log_q), weighted(q, log_p), axis))


@loss("log_predictions", "targets")
def generalized_kl_divergence(
    log_predictions: Values, targets: Values, axis: Axis = -1, where: Values | None = None
) -> Array:
    """Kullback-Leibler divergence of numbers that need not sum to 1: the Bregman divergence of x log x - x.

        sum(q (log q - log p) - q + p), with 0 log 0 = 0

    It is at least 0, and convex in both arguments.

    Args:
        log_predictions: log p; -inf is allowed, and costs nothing where q is 0.
        targets: q >= 0, of a shape that broadcasts with it; at q = 0 the gradient of q log q is taken as 0.

    Returns:
        The divergences, at least 0, of the shape without those axes.

    Source: Boyd & Vandenberghe 2004, Convex Optimization, page 90.
    """
    log_p, q = hide(where, log_predictions, targets)
    return sum_kept(held(_x_log_x(q) - weighted(q, log_p) - q + jnp.exp(log_p), 0), axis, where)


def _divergence(own: Array, crossed: Array, axis: Axis) -> Divergence:
    """sum(q log q - q log p), at least 0 where both are distributions to rounding."""
    finite = lambda x: jnp.where(jnp.isfinite(x), jnp.abs(x), 0)
    terms = 1 + jnp.sum(finite(own) + finite(crossed), axis)
    return Divergence(jnp.sum(own - crossed, axis), terms)


def _x_log_x(x: Array) -> Array:
    """x log x, and 0 with a derivative of 0 at 0."""
    zero = x == 0
    return jnp.where(zero, 0, x * jnp.log(jnp.where(zero, 1, x)))
