"""Reductions over a whole tree, in float32 or wider, with finite gradients at zero."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp

from gradtx.core import averages, precision
from gradtx.core.each import each, sum_each
from gradtx.core.errors import is_inexact, is_none
from gradtx.core.typing import Array, PyTree


def total(tree: PyTree) -> Array:
    """The sum of all elements; 0 for a tree without leaves."""
    return _reduce(jnp.sum, _rows(tree))


def difference(x: PyTree, y: PyTree) -> PyTree:
    """x - y of every leaf."""
    return jax.tree.map(jnp.subtract, precision.widen(x), precision.widen(y))


def norm_sq(tree: PyTree) -> Array:
    """The sum of |x|^2 over all elements, a real scalar."""
    return _reduce(lambda x: jnp.sum(averages.abs_sq(x)), _rows(tree))


def norm(tree: PyTree) -> Array:
    """The Euclidean norm of the whole tree, a real scalar; its gradient at zero is zero."""
    return averages.sqrt(norm_sq(tree))


def unit(tree: PyTree) -> Array:
    """A power of two near the largest |x|, by which numbers are multiplied and divided exactly; 1 where all are 0.

    Squares and products of numbers that are divided by it neither overflow nor vanish. It is 1 for infinities and NaN.
    """
    dtype = precision.scalar_dtype(tree)
    largest = [precision.cast(jnp.max(jnp.abs(precision.widen(x)), initial=0), dtype) for x in jax.tree.leaves(tree)]
    most = reduce(jnp.maximum, largest, jnp.zeros((), dtype))
    info = jnp.finfo(dtype)
    # Its inverse is a normal number, too.
    bounded = jnp.clip(most, float(info.smallest_normal) * 4, 1 / (float(info.smallest_normal) * 4))
    power = jax.lax.reduce_precision(bounded, exponent_bits=info.nexp, mantissa_bits=0)
    return jax.lax.stop_gradient(jnp.where(jnp.isfinite(most) & (most > 0), power, 1))


def scaled_norm_sq(tree: PyTree, unit: Array) -> Array:
    """The sum of |x / unit|^2 over all elements, a real scalar; `unit` is a power of two."""
    square = lambda x, k: jnp.sum(averages.abs_sq(x * precision.cast(k, x.dtype)))
    return _reduce(square, [(x, 1 / unit) for x in jax.tree.leaves(tree)])


def scaled_norm(tree: PyTree) -> Array:
    """`norm`, of numbers whose squares overflow or vanish, too."""
    size = unit(tree)
    return size * averages.sqrt(scaled_norm_sq(tree, size))


def norm_l1(tree: PyTree) -> Array:
    """The sum of |x| over all elements, a real scalar."""
    return _reduce(lambda x: jnp.sum(jnp.abs(x)), _rows(tree))


def vdot(x: PyTree, y: PyTree) -> Array:
    """The inner product of two trees, `sum conj(x) y`, its real part where they are complex."""
    return sum_of(lambda a, b: jnp.conj(a) * b, x, y)


def distance_sq(x: PyTree, y: PyTree) -> Array:
    """The sum of |x - y|^2 over all elements, a real scalar."""
    return sum_of(lambda a, b: averages.abs_sq(a - b), x, y)


def sum_of(f: Callable[..., Array], *trees: PyTree) -> Array:
    """The sum over all elements of `f` of trees of one structure, a real scalar.

    `f` sees matching leaves, all in the widest of their compute dtypes; where one of them is None it is not called.
    """

    def part(*leaves: Any) -> Array:
        mixed = any(jnp.iscomplexobj(x) for x in leaves) and not all(jnp.iscomplexobj(x) for x in leaves)
        with jax.numpy_dtype_promotion("standard") if mixed else nullcontext():
            return jnp.sum(f(*_together(*leaves))).real

    first, treedef = jax.tree.flatten(trees[0], is_leaf=is_none)
    rows = zip(first, *map(treedef.flatten_up_to, trees[1:]), strict=True)
    return _reduce(part, [row for row in rows if not any(x is None for x in row)])


def all_zero(tree: PyTree) -> Array:
    """Whether every element is 0, a boolean scalar."""
    other = sum_each(lambda x: jnp.sum(x != 0, dtype=jnp.float32), jax.tree.leaves(tree))
    return jnp.ones((), jnp.bool_) if other is None else other == 0


def inexact(tree: PyTree) -> PyTree:
    """The tree with None for what is no floating-point or complex number."""
    return jax.tree.map(lambda x: x if is_inexact(x) else None, tree)


def all_finite(tree: PyTree) -> Array:
    """Whether no element is a NaN or an infinity, a boolean scalar."""
    bad = sum_each(lambda x: jnp.sum(~jnp.isfinite(x), dtype=jnp.float32), jax.tree.leaves(inexact(tree)))
    return jnp.ones((), jnp.bool_) if bad is None else bad == 0


def where(condition: Array, tree: PyTree) -> PyTree:
    """The tree where a scalar condition holds, else zeros."""
    leaves, treedef = jax.tree.flatten(tree)
    return treedef.unflatten(each(lambda x, condition: jnp.where(condition, x, 0), leaves, condition))


def map_given(f: Callable[..., Any], first: PyTree, *others: PyTree) -> PyTree:
    """`f` of the leaves of trees of one structure; where the first tree has None, so has the result."""
    each = lambda x, *ys: None if x is None else f(x, *ys)
    return jax.tree.map(each, first, *others, is_leaf=is_none)


def size(tree: PyTree) -> int:
    """The number of elements in all leaves."""
    return sum(jnp.size(x) for x in jax.tree.leaves(tree))


def _together(*leaves: Any) -> list[Array]:
    """The leaves in one precision; real ones stay real."""
    wide = precision.scalar_dtype(leaves)
    return [precision.cast(x, precision.promote(wide, jnp.complex64) if jnp.iscomplexobj(x) else wide) for x in leaves]


def _reduce(partial: Callable[..., Array], rows: Sequence[tuple[Any, ...]]) -> Array:
    """Sum `partial` of every row of leaves, each taken in its compute dtype."""
    dtype = precision.scalar_dtype(rows)

    def part(row: tuple[Any, ...]) -> Array:
        x = partial(*map(precision.widen, row))
        return precision.cast(x, precision.promote(dtype, x.dtype))

    parts = sum_each(part, rows)
    return jnp.zeros((), dtype) if parts is None else parts


def _rows(tree: PyTree) -> list[tuple[Any]]:
    return [(x,) for x in jax.tree.leaves(tree)]
