"""Adaptive clipping: each unit's gradient relative to its weights."""

import jax.numpy as jnp

from gradtx.core.averages import abs_sq, safe_divide, sqrt
from gradtx.core.hyperparameters import Axes, NonNegative, Threshold
from gradtx.core.lifted import lifted
from gradtx.core.typing import Array, ArrayLike

UNIT_AXES = {0: (), 1: (0,), 2: (0,), 3: (0,), 4: (0, 1, 2), 5: (0, 1, 2, 3)}
"""Those of one unit by number of axes: kernels are (in, out), (in, heads, out), (h, w, in, out), (d, h, w, in, out)."""


def unit_norm(x: Array, axis: int | tuple[int, ...] | None) -> Array:
    """The norm of each unit of a weight, with its axes kept as 1; a vector or scalar is one unit."""
    if axis is None and max(x.shape, default=1) == x.size:
        axis = tuple(range(x.ndim))
    elif axis is None and x.ndim not in UNIT_AXES:
        raise ValueError(f"adaptive_grad_clip: give axis, the axes of one unit, for a weight of shape {x.shape}")
    axes = UNIT_AXES[x.ndim] if axis is None else axis
    return sqrt(jnp.sum(abs_sq(x), axis=axes, keepdims=True))


def adaptive_rule(
    g: Array, p: Array, *, clipping: ArrayLike, eps: ArrayLike, axis: int | tuple[int, ...] | None
) -> Array:
    """u_i = g_i min(1, clipping max(||p_i||, eps) / ||g_i||) for every unit i."""
    norm, largest = unit_norm(g, axis), clipping * jnp.maximum(unit_norm(p, axis), eps)
    return jnp.where(norm > largest, safe_divide(largest, norm), 1) * g


@lifted(adaptive_rule)
def adaptive_grad_clip(clipping: Threshold, eps: NonNegative = 1e-3, axis: Axes | None = None):
    """Shorten the gradient of each unit that is long beside the unit's weights (AGC).

    For every unit (output neuron) i:

        u_i <- g_i min(1, clipping max(||theta_i||, eps) / ||g_i||)

    Args:
        clipping: the largest allowed ratio of gradient norm to weight norm, >= 0; 0.01 in the paper.
        eps: at least 0, the weight norm at least assumed, so that weights of zero can move.
        axis: the axes that make up one unit, over which norms are taken. By default all but the last for kernels of
            two, four and five axes, the first for three, and everything for vectors and scalars.

    Raises:
        ValueError: from `update` without params, or for more than five axes without `axis`.

    Source: Brock, De, Smith & Simonyan 2021, arXiv:2102.06171.
    """
