"""Projections onto boxes: bounds for every element."""

from typing import Any

import jax
import jax.numpy as jnp

from gradtx.core import precision
from gradtx.core.eager import compiled
from gradtx.core.hyperparameters import check_ordered
from gradtx.core.typing import Array, PyTree
from gradtx.projections.vectors import check_real, check_scale


def projection_box(tree: PyTree, lower: PyTree, upper: PyTree) -> PyTree:
    """The nearest tree between two bounds: y = min(max(x, lower), upper).

    Args:
        tree: real arrays. Integers stay integers where the bounds are.
        lower: a number, or a tree of numbers or arrays that is `tree`'s or a prefix of it.
        upper: likewise; nowhere below `lower`.

    Returns:
        A tree like `tree`.

    Raises:
        TypeError: for a complex leaf.
        ValueError: for two numbers of which `lower` is the larger.
    """
    check_ordered("projection_box", lower=lower, upper=upper)  # which no compiled call could: it knows no number
    return _onto_box(tree, lower, upper)


@compiled
def _onto_box(tree: PyTree, lower: PyTree, upper: PyTree) -> PyTree:
    check_real("projection_box", tree)
    return jax.tree.map(_clip, tree, _spread(lower, tree), _spread(upper, tree))


@compiled
def projection_hypercube(tree: PyTree, scale: PyTree = 1) -> PyTree:
    """The nearest tree with 0 <= y <= scale: see `projection_box`.

    Args:
        tree: real arrays.
        scale: at least 0, the length of the edges: a number, or a tree of them that is `tree`'s or a prefix of it.

    Returns:
        A tree like `tree`.

    Raises:
        TypeError: for a complex leaf.
        ValueError: for a negative number.
    """
    check_real("projection_hypercube", tree)
    check_scale("projection_hypercube", scale)
    return projection_box(tree, 0, scale)


@compiled
def projection_non_negative(tree: PyTree) -> PyTree:
    """The nearest tree with y >= 0: y = max(x, 0).

    Args:
        tree: real arrays.

    Returns:
        A tree like `tree`.

    Raises:
        TypeError: for a complex leaf.
    """
    check_real("projection_non_negative", tree)
    return jax.tree.map(lambda x: jnp.maximum(jnp.asarray(x), 0), tree)


def _clip(x: Any, lower: Any, upper: Any) -> Array:
    x = jnp.asarray(x)
    with jax.numpy_dtype_promotion("standard"):
        dtype = x.dtype if jnp.issubdtype(x.dtype, jnp.inexact) else jnp.result_type(x, lower, upper)
    return jnp.clip(precision.cast(x, dtype), precision.cast(lower, dtype), precision.cast(upper, dtype))


def _spread(bound: PyTree, tree: PyTree) -> PyTree:
    """A prefix of a tree as the whole tree."""
    return jax.tree.map(lambda b, part: jax.tree.map(lambda _: b, part), bound, tree)
