"""Projections onto balls and spheres: l1, l2 and l-infinity."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from gradtx.core import averages, precision
from gradtx.core.tree import scaled_norm
from gradtx.core.typing import Array, ArrayLike, PyTree
from gradtx.projections.simplex import onto_simplex
from gradtx.projections.vectors import join, projection, resize, sizes


@projection()
def projection_l1_ball(tree: PyTree, scale: ArrayLike = 1) -> PyTree:
    """The nearest tree with sum |y| <= scale.

        y = x                              where sum |x| <= scale, else
        y = x / |x| max(|x| - tau, 0)      with the tau for which sum |y| = scale

    Source: Duchi, Shalev-Shwartz, Singer & Chandra 2008, section 4.
    """
    size, split = join(sizes(tree))
    inside = jnp.sum(size) <= precision.cast(scale, size.dtype)
    return _where(inside, tree, _l1_sphere(tree, size, split, scale))


@projection()
def projection_l1_sphere(tree: PyTree, scale: ArrayLike = 1) -> PyTree:
    """The nearest tree with sum |y| = scale: |x| projected onto the simplex, with the signs of x.

    Args:
        tree: arrays, taken together as one vector; a complex number counts by its modulus, and 0 is positive.
    """
    return _l1_sphere(tree, *join(sizes(tree)), scale)


@projection()
def projection_l2_ball(tree: PyTree, scale: ArrayLike = 1) -> PyTree:
    """The nearest tree with ||y|| <= scale: y = x min(1, scale / ||x||)."""
    size, split = join(sizes(tree))
    norm = scaled_norm(size)
    return _where(norm <= precision.cast(scale, norm.dtype), tree, _l2_sphere(tree, size, split, norm, scale))


@projection()
def projection_l2_sphere(tree: PyTree, scale: ArrayLike = 1) -> PyTree:
    """The nearest tree with ||y|| = scale: y = x scale / ||x||, and for x = 0 one with equal elements."""
    size, split = join(sizes(tree))
    return _l2_sphere(tree, size, split, scaled_norm(size), scale)


@projection()
def projection_linf_ball(tree: PyTree, scale: ArrayLike = 1) -> PyTree:
    """The nearest tree with |y| <= scale everywhere: y = x / |x| min(|x|, scale).

    Args:
        tree: arrays; a complex number counts by its modulus.
    """

    def leaf(x: Array, size: Array) -> Array:
        radius = precision.cast(scale, size.dtype)
        return jnp.where(size <= radius, x, resize(x, jnp.minimum(size, radius)))

    return jax.tree.map(leaf, tree, sizes(tree))


def _l1_sphere(tree: PyTree, size: Array, split: Callable[[Array], PyTree], scale: ArrayLike) -> PyTree:
    """Onto the l1 sphere, given the sizes of all elements as one vector and the way back to a tree."""
    return jax.tree.map(resize, tree, split(onto_simplex(size, precision.cast(scale, size.dtype))))


def _l2_sphere(tree: PyTree, size: Array, split: Callable[[Array], PyTree], norm: Array, scale: ArrayLike) -> PyTree:
    """The same for the l2 sphere, given also the norm of these sizes."""
    share = jnp.where(norm == 0, max(1, size.size) ** -0.5, averages.safe_divide(size, norm))
    return jax.tree.map(resize, tree, split(share * precision.cast(scale, size.dtype)))


def _where(condition: Array, x: PyTree, y: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), x, y)
