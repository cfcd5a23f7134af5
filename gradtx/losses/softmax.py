"""Logarithms of sums of exponentials that no logit, mask or -inf turns into NaN."""

import jax
import jax.numpy as jnp

from gradtx.core.typing import Array
from gradtx.losses.inputs import Axis, Values, as_mask, hide


def log_softmax(x: Values, axis: Axis = -1, where: Values | None = None) -> Array:
    """log(exp(x) / sum(exp(x))), the sum over the entries that a mask keeps; 0 at the others.

    The largest entry is subtracted first, so that a common offset of the logits costs no precision. An entry of
    -inf stays -inf, also in a row of nothing else.
    """
    x, _, total = _shifted(x, axis, where)
    return hide(where, x - _log(total))[0]


def log_sum_exp(x: Values, axis: Axis = -1, where: Values | None = None) -> Array:
    """log(sum(exp(x))) over the entries that a mask keeps; -inf, with a gradient of 0, over none."""
    _, top, total = _shifted(x, axis, where)
    return jnp.squeeze(jnp.where(total == 0, -jnp.inf, top + _log(total)), axis)


def weighted(weight: Values, x: Values) -> Array:
    """weight * x, where 0 times an infinity is 0: the convention 0 log 0 = 0."""
    return jnp.where((weight == 0) & jnp.isinf(x), 0, x) * weight


def _shifted(x: Values, axis: Axis, where: Values | None) -> tuple[Array, Array, Array]:
    """x less its largest entry, that entry, and the sum of the exponentials."""
    mask = None if where is None else as_mask(where, x.shape)
    top = jnp.max(jax.lax.stop_gradient(x), axis, keepdims=True, where=mask, initial=-jnp.inf)
    top = jnp.where(top == -jnp.inf, 0, top)
    (x,) = hide(where, x - top)
    return x, top, jnp.sum(jnp.exp(x), axis, keepdims=True, where=mask)


def _log(total: Array) -> Array:
    """Its logarithm, and 0 where it is 0."""
    return jnp.log(jnp.where(total == 0, 1, total))
