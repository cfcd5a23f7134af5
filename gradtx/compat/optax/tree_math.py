"""Arithmetic on trees, their sums, norms and moving averages, under Optax's names; `tree_utils` shows them."""

import functools
import math
import operator
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from gradtx.core import averages, precision
from gradtx.core.eager import compiled
from gradtx.core.errors import is_none
from gradtx.core.typing import Array, ArrayLike

PyTree: TypeAlias = Any


def wide(f: Callable[..., Any], *trees: PyTree) -> Any:
    """`f(*trees)`; where all arrays in them are of 16 bits, computed in float32 and rounded once at the end."""
    leaves = jax.tree.leaves(trees)
    with jax.numpy_dtype_promotion("standard"):
        dtype = jnp.result_type(*leaves) if leaves else jnp.float32
    if precision.compute_dtype(dtype) == dtype:
        # Complex and real may meet here: |g|^2 is real.
        with jax.numpy_dtype_promotion("standard") if any(map(jnp.iscomplexobj, leaves)) else nullcontext():
            return f(*trees)
    widened = jax.tree.map(lambda x: precision.cast(x, jnp.float32) if hasattr(x, "dtype") else x, trees)
    return jax.tree.map(lambda x: precision.narrow(x, dtype), f(*widened))


def tree_add(tree_x: PyTree, tree_y: PyTree, *other_trees: PyTree) -> PyTree:
    """x + y + ..., leaf by leaf."""
    return jax.tree.map(lambda *xs: functools.reduce(operator.add, xs), tree_x, tree_y, *other_trees)


def tree_sub(tree_x: PyTree, tree_y: PyTree) -> PyTree:
    """x - y, leaf by leaf."""
    return jax.tree.map(operator.sub, tree_x, tree_y)


def tree_mul(tree_x: PyTree, tree_y: PyTree) -> PyTree:
    """x y, leaf by leaf."""
    return jax.tree.map(operator.mul, tree_x, tree_y)


def tree_div(tree_x: PyTree, tree_y: PyTree) -> PyTree:
    """x / y, leaf by leaf."""
    return jax.tree.map(operator.truediv, tree_x, tree_y)


def tree_scale(scalar: ArrayLike, tree: PyTree) -> PyTree:
    """scalar x, leaf by leaf."""
    return jax.tree.map(lambda x: scalar * x, tree)


@compiled
def tree_add_scale(tree_x: PyTree, scalar: ArrayLike, tree_y: PyTree) -> PyTree:
    """x + scalar y, leaf by leaf; None where x has None."""
    add = lambda x, y: None if x is None else wide(lambda a, s, b: a + s * b, x, scalar, y)
    return jax.tree.map(add, tree_x, tree_y, is_leaf=is_none)


def tree_conj(tree: PyTree) -> PyTree:
    """The complex conjugate of every leaf."""
    return jax.tree.map(jnp.conj, tree)


def tree_real(tree: PyTree) -> PyTree:
    """The real part of every leaf."""
    return jax.tree.map(jnp.real, tree)


@compiled
def tree_clip(tree: PyTree, min_value: ArrayLike | None = None, max_value: ArrayLike | None = None) -> PyTree:
    """Every element held between two numbers, of which either may be None."""
    return jax.tree.map(lambda x: jnp.clip(x, min_value, max_value), tree)


@compiled
def tree_where(condition: ArrayLike, tree_x: PyTree, tree_y: PyTree) -> PyTree:
    """`jnp.where(condition, x, y)`, leaf by leaf."""
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), tree_x, tree_y)


def tree_full_like(tree: PyTree, fill_value: ArrayLike, dtype: jax.typing.DTypeLike | None = None) -> PyTree:
    """Arrays of one number, of the shapes and dtypes of a tree, or of the dtype asked for."""
    return jax.tree.map(lambda x: jnp.full_like(x, fill_value, dtype=dtype), tree)


def tree_zeros_like(tree: PyTree, dtype: jax.typing.DTypeLike | None = None) -> PyTree:
    """Arrays of zeros, of the shapes and dtypes of a tree, or of the dtype asked for."""
    return jax.tree.map(lambda x: jnp.zeros_like(x, dtype=dtype), tree)


def tree_ones_like(tree: PyTree, dtype: jax.typing.DTypeLike | None = None) -> PyTree:
    """Arrays of ones, of the shapes and dtypes of a tree, or of the dtype asked for."""
    return jax.tree.map(lambda x: jnp.ones_like(x, dtype=dtype), tree)


@compiled
def tree_sum(tree: PyTree, associative_reduction: bool = False) -> Any:
    """The sum of all elements; the number 0 without leaves. Both orders of summation are one here."""
    del associative_reduction
    return wide(lambda x: _summed(jnp.sum, x), tree)


@compiled
def tree_vdot(tree_x: PyTree, tree_y: PyTree) -> Any:
    """The inner product sum conj(x) y of two trees; the number 0 without leaves."""
    product = lambda x, y: jnp.vdot(x, y, precision=jax.lax.Precision.HIGHEST)
    return wide(lambda x, y: _summed(product, x, y), tree_x, tree_y)


@compiled
def tree_max(tree: PyTree) -> Any:
    """The largest element, and minus infinity without elements."""
    parts = [jnp.max(jnp.asarray(x)) for x in jax.tree.leaves(tree) if jnp.size(x)]
    return functools.reduce(jnp.maximum, parts, -math.inf)


@compiled
def tree_min(tree: PyTree) -> Any:
    """The smallest element, and infinity without elements."""
    parts = [jnp.min(jnp.asarray(x)) for x in jax.tree.leaves(tree) if jnp.size(x)]
    return functools.reduce(jnp.minimum, parts, math.inf)


def tree_size(tree: PyTree) -> int:
    """The number of elements."""
    return sum(jnp.size(x) for x in jax.tree.leaves(tree))


@compiled
def tree_norm(tree: PyTree, ord: int | str | float | None = None, squared: bool = False) -> Array:
    """The norm of all elements as one vector; its gradient at zero is zero.

    Args:
        tree: a tree of arrays.
        ord: None or 2, 1, or infinity, which may also be spelt `"inf"`.
        squared: whether to give the square.

    Raises:
        ValueError: another `ord`.
    """
    if ord is None or ord == 2:
        square = lambda x: jnp.asarray(_summed(lambda a: jnp.sum(averages.abs_sq(jnp.asarray(a))), x))
        return wide(square if squared else lambda x: averages.sqrt(square(x)), tree)
    if ord == 1:
        norm = lambda x: jnp.asarray(_summed(lambda a: jnp.sum(jnp.abs(a)), x))
    elif ord in (math.inf, "inf"):
        norm = lambda x: jnp.maximum(tree_max(jax.tree.map(jnp.abs, x)), 0)
    else:
        raise ValueError(f"tree_norm: ord must be None, 1, 2 or inf, got {ord!r}")
    return wide(lambda x: jnp.square(norm(x)) if squared else norm(x), tree)


@compiled
def tree_allclose(
    a: PyTree, b: PyTree, rtol: ArrayLike = 1e-5, atol: ArrayLike = 1e-8, equal_nan: bool = False
) -> ArrayLike:
    """Whether two trees agree to a tolerance in every element."""
    close = jax.tree.map(lambda x, y: jnp.allclose(x, y, rtol=rtol, atol=atol, equal_nan=equal_nan), a, b)
    return functools.reduce(jnp.logical_and, jax.tree.leaves(close), jnp.asarray(True))


@partial(compiled, static=("decay",))
def tree_update_moment(updates: PyTree, moments: PyTree, decay: ArrayLike, order: float) -> PyTree:
    """The moving average of g^order: decay m + (1 - decay) g^order; None where g is None."""
    return _average(lambda g: g**order, updates, moments, decay)


@partial(compiled, static=("decay",))
def tree_update_moment_per_elem_norm(updates: PyTree, moments: PyTree, decay: ArrayLike, order: float) -> PyTree:
    """The moving average of |g|^order, of a complex g too: decay m + (1 - decay) |g|^order; None where g is None."""
    half, odd = divmod(order, 2)
    return _average(lambda g: abs(g) ** order if odd else averages.abs_sq(g) ** half, updates, moments, decay)


@partial(compiled, static=("decay",))
def tree_update_infinity_moment(updates: PyTree, moments: PyTree, decay: ArrayLike, eps: ArrayLike) -> PyTree:
    """A decaying maximum: max(|g| + eps, decay m); None where g is None."""
    largest = lambda g, m, d, e: jnp.maximum(abs(g) + e, d * m)
    each = lambda g, m: None if g is None else wide(largest, g, m, decay, eps)
    return jax.tree.map(each, updates, moments, is_leaf=is_none)


@partial(compiled, static=("decay",))
def tree_bias_correction(moment: PyTree, decay: ArrayLike, count: ArrayLike) -> PyTree:
    """A moving average that began at zero, over the weight it has gathered: m / (1 - decay^count)."""

    def correct(m: Any) -> Array:
        m = jnp.asarray(m)
        return precision.narrow(averages.debias(precision.widen(m), decay, jnp.asarray(count)), m.dtype)

    return jax.tree.map(correct, moment)


def _average(power: Callable[[Any], Any], updates: PyTree, moments: PyTree, decay: ArrayLike) -> PyTree:
    mean = lambda g, m, d: averages.ema(m, power(g), d)
    each = lambda g, m: None if g is None else wide(mean, g, m, decay)
    return jax.tree.map(each, updates, moments, is_leaf=is_none)


def _summed(f: Callable[..., Any], *trees: PyTree) -> Any:
    """The sum of f of all leaves."""
    return sum(jax.tree.leaves(jax.tree.map(f, *trees)))
