"""Centralization: gradients without their mean."""

import jax.numpy as jnp

from gradtx.core.lifted import lifted
from gradtx.core.typing import Array


def centralize_rule(g: Array, *, output_axis: int) -> Array:
    """u = g - mean of g over all axes but the output's."""
    if g.ndim < 2:
        return g
    axes = tuple(axis for axis in range(g.ndim) if axis != output_axis % g.ndim)
    return g - jnp.mean(g, axis=axes, keepdims=True)


@lifted(centralize_rule, degree=1)
def centralize(output_axis: int = 0):
    """Subtract from the gradient of each output unit its mean; vectors and scalars pass through.

    Args:
        output_axis: the axis that counts output units. The default 0 is Optax's, and right for weights of shape
            (out, in); Flax and Keras kernels, (..., in, out), want -1.

    Source: Yong et al. 2020, arXiv:2004.01461.
    """
