"""Projections onto a line, a hyperplane, a halfspace."""

import jax
import jax.numpy as jnp

from gradtx.core import averages, precision, tree
from gradtx.core.border import widely
from gradtx.core.eager import compiled
from gradtx.core.typing import Array, ArrayLike, PyTree


@compiled
@widely
def projection_vector(x: PyTree, a: PyTree) -> PyTree:
    """The multiple of `a` that is nearest to x: y = a <a, x> / <a, a>, and 0 for a = 0.

    Args:
        x: arrays, taken together as one vector; <a, x> is sum conj(a) x.
        a: a tree like `x`.

    Returns:
        A tree like `x`, computed in float32 or wider.
    """
    return _add(jax.tree.map(jnp.zeros_like, x), _over(_inner(a, x), a), a)


@compiled
@widely
def projection_hyperplane(x: PyTree, a: PyTree, b: ArrayLike) -> PyTree:
    """The nearest tree with <a, y> = b: y = x + a (b - <a, x>) / <a, a>, and x for a = 0.

    Args:
        x: arrays, taken together as one vector; <a, x> is sum conj(a) x.
        a: a tree like `x`, at right angles to the plane.
        b: a number, complex only where the trees are.

    Returns:
        A tree like `x`, computed in float32 or wider.
    """
    inner = _inner(a, x)
    return _add(x, _over(precision.cast(b, inner.dtype) - inner, a), a)


@compiled
@widely
def projection_halfspace(x: PyTree, a: PyTree, b: ArrayLike) -> PyTree:
    """The nearest tree with <a, y> <= b: y = x - a max(<a, x> - b, 0) / <a, a>, and x for a = 0.

    Args:
        x: arrays, taken together as one vector; <a, x> is sum conj(a) x, of which the real part counts.
        a: a tree like `x`, at right angles to the plane and pointing out.
        b: a real number.

    Returns:
        A tree like `x`, computed in float32 or wider.
    """
    inner = _inner(a, x).real
    return _add(x, -_over(jnp.maximum(inner - precision.cast(b, inner.dtype), 0), a), a)


def _inner(a: PyTree, x: PyTree) -> Array:
    """sum conj(a) x over all elements, in the widest compute dtype of the leaves; complex if one of them is."""
    with jax.numpy_dtype_promotion("standard"):
        products = jax.tree.map(lambda p, q: jnp.sum(jnp.conj(p) * q), a, x)
        return sum(jax.tree.leaves(products), jnp.zeros((), jnp.float32))


def _over(number: Array, a: PyTree) -> Array:
    """A number over <a, a>, and 0 for a = 0."""
    return averages.safe_divide(number, precision.cast(tree.norm_sq(a), number.dtype))


def _add(x: PyTree, factor: Array, a: PyTree) -> PyTree:
    """x + factor a."""

    def leaf(p: Array, q: Array) -> Array:
        with jax.numpy_dtype_promotion("standard"):
            total = p + factor * q
        return total if jnp.iscomplexobj(p) else total.real

    return jax.tree.map(leaf, x, a)
