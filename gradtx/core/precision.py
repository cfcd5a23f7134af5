"""Dtypes, decided once: maths in float32 or wider, one rounding at the end."""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.core.each import each
from gradtx.core.errors import is_inexact, is_none
from gradtx.core.typing import Array, DType, PyTree


@lru_cache(maxsize=64)
def compute_dtype(dtype: DType) -> np.dtype:
    """The dtype that maths on arrays of `dtype` runs in: float32 for anything narrower, else `dtype` itself."""
    dtype = jnp.dtype(dtype)
    if jnp.issubdtype(dtype, jnp.floating) and jnp.finfo(dtype).bits < 32:
        return jnp.dtype(jnp.float32)
    return dtype


def is_narrow(dtype: DType) -> bool:
    """Whether numbers of a dtype are fewer than those that maths on them runs in."""
    return compute_dtype(dtype) != jnp.dtype(dtype)


def real_dtype(dtype: DType) -> np.dtype:
    """The dtype of the real part: float32 for complex64, float64 for complex128, else `dtype` itself."""
    dtype = jnp.dtype(dtype)
    return jnp.finfo(dtype).dtype if jnp.issubdtype(dtype, jnp.complexfloating) else dtype


@lru_cache(maxsize=256)
def promote(x: DType, y: DType) -> np.dtype:
    """The dtype that holds both, also where JAX is set to promote strictly."""
    with jax.numpy_dtype_promotion("standard"):
        return jnp.dtype(jnp.promote_types(x, y))


def dtype_of(x: Any) -> Any:
    """The dtype of an array or a number."""
    return x.dtype if isinstance(x, jax.Array) else jnp.result_type(x)


def bytes_of(x: Any) -> int:
    """The bytes of an array, or of its type, in memory: those of 4 bits lie two in a byte."""
    bits = jnp.iinfo(x.dtype).bits if jnp.issubdtype(x.dtype, jnp.integer) else 8 * x.dtype.itemsize
    return -(-prod(x.shape) * bits // 8)


def scalar_dtype(tree: PyTree, of: Callable[[DType], DType] = compute_dtype) -> np.dtype:
    """The dtype of a scalar reduced over `tree`: real, float32 or wider, and as wide as the widest leaf.

    `of` is the dtype for a leaf's: another than the one that maths on it runs in.
    """
    dtypes = {real_dtype(of(dtype)) for dtype in set(map(dtype_of, jax.tree.leaves(tree)))}
    return max(dtypes, key=lambda d: d.itemsize, default=jnp.dtype(jnp.float32))


def cast(x: Any, dtype: DType) -> Array:
    """`x` in `dtype`, strongly typed."""
    if isinstance(x, jax.Array) and _is_strongly(x, dtype):
        return x
    return jax.lax.convert_element_type(x, jnp.dtype(dtype))


def narrow(x: Any, dtype: DType) -> Array:
    """`x` in `dtype`, where a finite number too large for it becomes its largest instead of infinity."""
    if isinstance(x, jax.Array) and _is_strongly(x, dtype):
        return x
    dtype = jnp.dtype(dtype)
    source = jnp.result_type(x)
    floats = jnp.issubdtype(source, jnp.floating) and jnp.issubdtype(dtype, jnp.floating)
    if floats and float(jnp.finfo(source).max) > float(jnp.finfo(dtype).max):
        largest = float(jnp.finfo(dtype).max)
        x = jnp.where(jnp.isfinite(x), jnp.clip(x, -largest, largest), x)
    return cast(x, dtype)


def widen(tree: PyTree) -> PyTree:
    """Every floating-point or complex leaf in its compute dtype; others as they are."""
    leaves, treedef = jax.tree.flatten(tree)
    is_number = lambda x: is_inexact(x) and not isinstance(x, jax.ShapeDtypeStruct)
    wide = _in_dtypes(cast, leaves, [compute_dtype(dtype_of(x)) if is_number(x) else None for x in leaves])
    return tree if wide is leaves else treedef.unflatten(wide)


def widen_inexact(tree: PyTree) -> PyTree:
    """Every floating-point or complex leaf in its compute dtype; counts and flags as they are."""
    return jax.tree.map(lambda x: cast(x, compute_dtype(x.dtype)) if jnp.issubdtype(x.dtype, jnp.inexact) else x, tree)


def round_like(tree: PyTree, like: PyTree) -> PyTree:
    """Every leaf of `tree` in the dtype of the same leaf of `like`; what is no number stays as it is."""
    leaves, treedef = jax.tree.flatten(tree, is_leaf=is_none)
    dtypes = [dtype_of(y) if is_inexact(y) else None for y in treedef.flatten_up_to(like)]
    return treedef.unflatten(_in_dtypes(narrow, leaves, dtypes))


def _in_dtypes(convert: Callable[[Any, DType], Array], leaves: list[Any], dtypes: Sequence[Any]) -> list[Any]:
    """Every leaf in its dtype by `convert`; one that has it, or is None or has none, stays; the same list if all do."""
    is_there = lambda x, dtype: dtype is None or x is None or (isinstance(x, jax.Array) and _is_strongly(x, dtype))
    places = [k for k, (x, dtype) in enumerate(zip(leaves, dtypes, strict=True)) if not is_there(x, dtype)]
    if not places:
        return leaves
    to = {dtype: partial(_converted, convert, dtype) for dtype in {dtypes[k] for k in places}}
    new = each([to[dtypes[k]] for k in places], [leaves[k] for k in places])
    converted = list(leaves)
    for place, x in zip(places, new, strict=True):
        converted[place] = x
    return converted


def _converted(convert: Callable[[Any, DType], Array], dtype: DType, x: Any) -> Array:
    return convert(x, dtype)


def _is_strongly(x: jax.Array, dtype: DType) -> bool:
    return x.dtype == dtype and not getattr(x, "weak_type", False)


def number_in(x: Any, dtype: DType) -> Any:
    """A hyperparameter in `dtype`: an array is cast, a Python number stays one (JAX casts it as it is used)."""
    return cast(x, dtype) if isinstance(x, jax.Array | np.ndarray | np.generic) else x
