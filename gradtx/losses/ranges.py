"""Ranges that mathematics does not let a loss leave, and rounding does."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from gradtx.core.typing import Array, ArrayLike


def held(x: Array, low: ArrayLike = -jnp.inf, high: ArrayLike = jnp.inf) -> Array:
    """`x` in a range that only rounding makes it leave; its derivative stays that of the formula."""
    change = x - jax.lax.stop_gradient(x)
    return jnp.where(x < low, low + change, jnp.where(x > high, high + change, x))


class Divergence(NamedTuple):
    """What a formula returns that is at least 0 for distributions, which are ones to the rounding of the inputs only.

    A formula sees its inputs wide and cannot know how they were rounded; `loss`, which does, makes a number of this.
    """

    value: Array
    terms: Array


def not_below_zero(x: Array, terms: Array, eps: float | None = None) -> Array:
    """A sum that is at least 0 for distributions: 0 where it is negative by no more than the rounding of its terms.

    What is not a distribution may have a negative sum, which stays.

    Args:
        x: the sum.
        terms: the sum of the sizes of its terms.
        eps: to what its terms are rounded; None for what their dtype keeps.
    """
    rounding = 8 * (eps or jnp.finfo(x.dtype).eps) * jax.lax.stop_gradient(terms)
    return jnp.where(x < -rounding, x, held(x, 0))
