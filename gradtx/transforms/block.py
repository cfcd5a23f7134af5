"""Blocks: a parameter leaf as a whole, by its root-mean-square or its norm."""

import jax.numpy as jnp

from gradtx.core.averages import abs_sq, rms, shortening, sqrt
from gradtx.core.hyperparameters import NonNegative, Threshold
from gradtx.core.lifted import lifted
from gradtx.core.typing import Array, ArrayLike


def clip_rms_rule(g: Array, *, threshold: ArrayLike) -> Array:
    """u = g min(1, threshold / rms(g))."""
    return g * shortening(rms(g), threshold)


def param_rms_rule(g: Array, p: Array, *, min_scale: ArrayLike) -> Array:
    """u = max(rms(p), min_scale) g."""
    return jnp.maximum(rms(p), min_scale) * g


def param_norm_rule(g: Array, p: Array, *, min_scale: ArrayLike) -> Array:
    """u = max(||p||, min_scale) g."""
    return jnp.maximum(sqrt(jnp.sum(abs_sq(p))), min_scale) * g


@lifted(clip_rms_rule)
def clip_by_block_rms(threshold: Threshold):
    """Shorten each leaf's update where it is too large: u <- g min(1, threshold / rms(g)).

    The root-mean-square is over the leaf, in float32 or wider.

    Args:
        threshold: at least 0, a number or a schedule; infinity clips nothing.

    Source: Shazeer & Stern 2018, section 6, arXiv:1804.04235.
    """


@lifted(param_rms_rule, degree=1)
def scale_by_param_block_rms(min_scale: NonNegative = 1e-3):
    """Make each leaf's update relative to its parameter: u <- max(rms(theta), min_scale) g.

    Args:
        min_scale: at least 0, the scale of a parameter that is zero.

    Source: Shazeer & Stern 2018, section 8, arXiv:1804.04235.
    """


@lifted(param_norm_rule, degree=1)
def scale_by_param_block_norm(min_scale: NonNegative = 1e-3):
    """Make each leaf's update relative to its parameter's norm: u <- max(||theta||, min_scale) g.

    Args:
        min_scale: at least 0, the scale of a parameter that is zero.
    """
