"""Projection onto the simplex."""

import jax
import jax.numpy as jnp

from gradtx.core import precision
from gradtx.core.typing import Array, ArrayLike, PyTree
from gradtx.projections.vectors import join, projection


@projection(real=True)
def projection_simplex(tree: PyTree, scale: ArrayLike = 1) -> PyTree:
    """The nearest tree of non-negative numbers with a given sum: for the sum 1, a distribution.

        y = max(x - tau, 0), with the tau for which sum(y) = scale

    With the elements sorted, tau is (sum of the k largest - scale) / k for the largest k that leaves all of these
    positive. An element of -inf gives 0.

    Args:
        tree: real arrays, taken together as one vector.
        scale: at least 0, what the result sums to.

    Returns:
        A tree like `tree`, computed in float32 or wider. Its derivative is finite everywhere: on the elements that
        are not 0 it takes away their mean.

    Source: Held, Wolfe & Crowder 1974; Duchi, Shalev-Shwartz, Singer & Chandra 2008, Figure 1.
    """
    x, split = join(tree)
    return split(onto_simplex(x, precision.cast(scale, x.dtype)))


def onto_simplex(x: Array, scale: Array) -> Array:
    """`projection_simplex` of one vector."""
    if not x.size:
        return x
    x = x - jax.lax.stop_gradient(jnp.max(x))  # changes nothing but the rounding
    u = jax.lax.stop_gradient(jnp.sort(x, descending=True))
    k = jnp.sum(jnp.arange(1, x.size + 1, dtype=x.dtype) * u - jnp.cumsum(u) + scale > 0)
    # What is positive: tau's derivative is that of a mean over it. NaN is not less than anything, and so stays.
    support = ~(x < u[jnp.maximum(k, 1) - 1])
    tau = (jnp.sum(jnp.where(support, x, 0)) - scale) / precision.cast(jnp.sum(support), x.dtype)
    return jnp.where(support, jnp.maximum(x - tau, 0), 0)
