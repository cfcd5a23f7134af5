"""What training loops compute with trees beyond `jax.tree.map`: norms, extremes, casts, random trees, dtypes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.core import averages, precision, tree
from gradtx.core.eager import compiled
from gradtx.core.errors import is_inexact
from gradtx.core.typing import Array, ArrayLike, DType, PyTree


@compiled
def tree_total(x: PyTree) -> Array:
    """The sum of all elements, in float32 or wider; 0 without elements."""
    return tree.total(x)


@compiled
def tree_vdot(x: PyTree, y: PyTree) -> Array:
    """The inner product `sum conj(x) y` of two trees, in float32 or wider; its real part where they are complex."""
    return tree.vdot(x, y)


def tree_size(x: PyTree) -> int:
    """The number of elements in all leaves."""
    return tree.size(x)


@compiled
def tree_norm(x: PyTree, ord: float | str = 2, *, squared: bool = False) -> Array:
    """The norm of all elements of a tree as one vector, in float32 or wider; its gradient at zero is zero.

    Args:
        x: a tree of arrays; 0 without elements.
        ord: 1, 2 or infinity, as `jnp.inf` or "inf".
        squared: whether to give the square.

    Raises:
        ValueError: another `ord`.
    """
    if ord == 2:
        return tree.norm_sq(x) if squared else tree.norm(x)
    if ord == 1:
        norm = tree.norm_l1(x)
    elif ord in (float("inf"), "inf"):
        norm = tree_max(jax.tree.map(lambda a: averages.sqrt(averages.abs_sq(a)) if jnp.iscomplexobj(a) else abs(a), x))
        norm = jnp.maximum(norm, 0)
    else:
        raise ValueError(f"tree_norm: ord must be 1, 2, jnp.inf or 'inf', got {ord!r}")
    return jnp.square(norm) if squared else norm


@compiled
def tree_max(x: PyTree) -> Array:
    """The largest element of a tree, in the widest of its leaves' compute dtypes; -inf without elements."""
    dtype = precision.scalar_dtype(x)
    parts = [precision.cast(jnp.max(jnp.asarray(a)), dtype) for a in jax.tree.leaves(x) if jnp.size(a)]
    return jnp.max(jnp.stack(parts)) if parts else jnp.full((), -jnp.inf, dtype)


@compiled
def tree_min(x: PyTree) -> Array:
    """The smallest element of a tree, in the widest of its leaves' compute dtypes; inf without elements."""
    return -tree_max(jax.tree.map(lambda a: -precision.cast(a, precision.compute_dtype(jnp.result_type(a))), x))


@compiled
def tree_add_scaled(x: PyTree, scale: ArrayLike, y: PyTree) -> PyTree:
    """`x + scale * y` for every leaf, computed in float32 or wider and rounded once to the dtype of `x`."""

    def add(a: Array, b: Array) -> Array:
        dtypes = (precision.compute_dtype(jnp.result_type(z)) for z in (a, b))
        wide = precision.promote(*dtypes)
        number = precision.cast(scale, wide if jnp.iscomplexobj(scale) else precision.real_dtype(wide))
        product = precision.cast(number, wide) * precision.cast(b, wide)
        return precision.narrow(precision.cast(a, wide) + product, jnp.result_type(a))

    return jax.tree.map(add, x, y)


def tree_cast(x: PyTree, dtype: DType | None) -> PyTree:
    """The floating-point leaves in another dtype; integers, flags and keys as they are, and all of them for None.

    Complex leaves take the complex dtype of that precision. A number too large for the dtype becomes its largest.
    """
    return x if dtype is None else _cast(x, jnp.dtype(dtype))


@compiled
def _cast(x: PyTree, real: np.dtype) -> PyTree:
    def cast(a: Any) -> Any:
        if not is_inexact(a):
            return a
        return precision.narrow(a, precision.promote(real, jnp.complex64) if jnp.iscomplexobj(a) else real)

    return jax.tree.map(cast, x)


@compiled
def tree_random_like(
    key: Array, like: PyTree, sampler: Callable[..., Array] = jax.random.normal, dtype: DType | None = None
) -> PyTree:
    """A tree of random arrays of the shapes and dtypes of another.

    Args:
        key: a random key; every leaf gets one of its own.
        like: arrays, or `jax.ShapeDtypeStruct`s of them.
        sampler: `(key, shape, dtype) -> array`, such as those of `jax.random`.
        dtype: another dtype for all leaves.
    """
    draw = lambda k, a: sampler(k, jnp.shape(a), dtype or jnp.result_type(a))
    return jax.tree.map(draw, tree_split_key(key, like), like)


@compiled
def tree_split_key(key: Array, like: PyTree) -> PyTree:
    """A tree with a random key of its own for every leaf of another."""
    structure = jax.tree.structure(like)
    return jax.tree.unflatten(structure, list(jax.random.split(key, structure.num_leaves)))


def tree_dtype(x: PyTree, *, promote: bool = False) -> np.dtype:
    """The dtype of all leaves; float32 (the default float) of a tree without any.

    Args:
        x: a tree of arrays.
        promote: where they differ, give what JAX promotes them to, instead of an error.

    Raises:
        ValueError: they differ; lists them.
    """
    dtypes = sorted({jnp.dtype(jnp.result_type(a)) for a in jax.tree.leaves(x)}, key=str)
    if len(dtypes) > 1 and not promote:
        raise ValueError(f"tree_dtype: leaves are of {', '.join(map(str, dtypes))}; say promote=True for their common")
    with jax.numpy_dtype_promotion("standard"):
        return jnp.dtype(jnp.result_type(*dtypes) if dtypes else jnp.result_type(float))


@compiled
def tree_allclose(x: PyTree, y: PyTree, rtol: float = 1e-5, atol: float = 1e-8, *, equal_nan: bool = False) -> Array:
    """Whether two trees of one structure agree to a tolerance in every element, a boolean scalar.

    Raises:
        ValueError: the trees, or the shapes of two leaves, differ.
    """

    def close(a: Any, b: Any) -> Array:
        if jnp.shape(a) != jnp.shape(b):
            raise ValueError(f"tree_allclose: two leaves have shapes {jnp.shape(a)} and {jnp.shape(b)}")
        with jax.numpy_dtype_promotion("standard"):
            return jnp.allclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)

    return jnp.all(jnp.stack([jnp.ones((), jnp.bool_), *jax.tree.leaves(jax.tree.map(close, x, y))]))
