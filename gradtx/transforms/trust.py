"""The trust ratio: updates as long, per leaf, as the parameters they move."""

import jax.numpy as jnp

from gradtx.core.averages import abs_sq, safe_divide, sqrt
from gradtx.core.hyperparameters import NonNegative
from gradtx.core.lifted import lifted
from gradtx.core.typing import Array, ArrayLike, Mask


def leaf_norm(x: Array, min_norm: ArrayLike) -> Array:
    """The Euclidean norm of one leaf, at least `min_norm`."""
    return jnp.maximum(sqrt(jnp.sum(abs_sq(x))), min_norm)


def trust_rule(g: Array, p: Array, *, min_norm: ArrayLike, trust_coefficient: ArrayLike, eps: ArrayLike) -> Array:
    """u = trust_coefficient ||p|| g / (||g|| + eps); u = g where either norm is 0."""
    p_norm, g_norm = leaf_norm(p, min_norm), leaf_norm(g, min_norm)
    scaled = safe_divide(g, g_norm + eps) * (trust_coefficient * p_norm)
    return jnp.where((p_norm == 0) | (g_norm == 0), g, scaled)


@lifted(trust_rule, degree=0)
def scale_by_trust_ratio(
    min_norm: NonNegative = 0.0, trust_coefficient: NonNegative = 1.0, eps: NonNegative = 0.0, *, mask: Mask = None
):
    """Give each leaf's update the length of its parameter: u <- g trust_coefficient ||theta|| / (||g|| + eps).

    Where a norm is 0 the leaf's update stays as it is.

    Args:
        min_norm: at least 0, the smallest value either norm counts as.
        trust_coefficient: at least 0, the length of the update relative to the parameter.
        mask: which leaves are scaled, as in `add_decayed_weights`; biases and normalisation are often left out.

    Source: You, Gitman & Ginsburg 2017, arXiv:1708.03888; You et al. 2020, arXiv:1904.00962.
    """
