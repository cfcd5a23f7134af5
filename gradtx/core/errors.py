"""Errors that say what, got, wanted and where: helpers that name a leaf by its path."""

from functools import lru_cache
from typing import Any, Never

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.core.typing import Array, PyTree


def is_none(x: Any) -> bool:
    """Whether `x` is None: lets `jax.tree` see a missing leaf instead of dropping it."""
    return x is None


def path_str(path: tuple[Any, ...]) -> str:
    """A leaf's path as it is written in Python: `['layer']['w']`; a tree that is one leaf has the path `(root)`."""
    return jax.tree_util.keystr(path) or "(root)"


def describe(x: Any) -> str:
    """Dtype and shape of an array, as `float32(3, 4)`; anything else as its type's name."""
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        return f"{x.dtype}{tuple(x.shape)}"
    return type(x).__name__


def is_inexact(x: Any) -> bool:
    """Whether `x` is a floating-point or complex array, structure of one, or Python number."""
    if isinstance(x, jax.Array | np.ndarray | np.generic | jax.ShapeDtypeStruct):
        return is_inexact_dtype(x.dtype) and not isinstance(x, np.ma.MaskedArray)
    return isinstance(x, float | complex)


def is_real_number(x: Any) -> bool:
    """Whether `x` is an array of one real floating-point number."""
    return getattr(x, "shape", None) == () and is_inexact(x) and not jnp.iscomplexobj(x)


@lru_cache(maxsize=256)
def is_inexact_dtype(dtype: Any) -> bool:
    """Whether a dtype is a floating-point or complex one that JAX has: NumPy's extended precision it has not."""
    if not jnp.issubdtype(dtype, jnp.inexact):
        return False
    return dtype.itemsize <= (16 if jnp.issubdtype(dtype, jnp.complexfloating) else 8)


def check_inexact(
    name: str, kind: str, path: tuple[Any, ...], x: Any, *, real_only: bool = False, abstract: bool = True
) -> None:
    """Refuse an integer, boolean, key or non-array leaf, and where `real_only` a complex one.

    A structure of an array is one only where it may be `abstract`, as in `init`.

    Raises:
        TypeError: names the transformation, the leaf's path and the way out.
    """
    if not abstract and isinstance(x, jax.ShapeDtypeStruct):
        raise TypeError(f"{name}: the {kind} at {path_str(path)} is a ShapeDtypeStruct, wanted an array")
    if not is_inexact(x):
        raise TypeError(
            f"{name}: the {kind} at {path_str(path)} is {describe(x)}, wanted a floating-point or complex array; "
            "leave such leaves out with masked or partition"
        )
    if real_only and (isinstance(x, complex) or jnp.issubdtype(jnp.result_type(x), jnp.complexfloating)):
        raise TypeError(
            f"{name}: the {kind} at {path_str(path)} is {describe(x)}, and this rule has no meaning for complex "
            "numbers; treat real and imaginary parts as two parameters, or leave it out with masked or partition"
        )


def check_params(name: str, params: PyTree) -> None:
    """Refuse a missing `params`.

    Raises:
        ValueError: names the transformation and the call that gives them.
    """
    if params is None:
        raise ValueError(f"{name} needs params: call update(updates, state, params)")


def check_same_shape(name: str, other: str, path: tuple[Any, ...], g: Array, x: Any, *, real: bool = False) -> None:
    """Refuse a leaf of `other` (params or a slot) whose shape is not the update's.

    A complex update needs a complex leaf, unless that is meant to be `real`.

    Raises:
        ValueError: names the transformation, the leaf's path and both arrays.
    """
    if not hasattr(x, "shape") or x.shape != g.shape:
        got = describe(x) if not hasattr(x, "shape") else tuple(x.shape)
        raise ValueError(f"{name}: updates and {other} differ at {path_str(path)}: {tuple(g.shape)} != {got}")
    if not real and jnp.iscomplexobj(g) and not jnp.issubdtype(x.dtype, jnp.complexfloating):
        raise ValueError(
            f"{name}: updates and {other} differ at {path_str(path)}: {g.dtype} cannot be kept in {x.dtype}"
        )


def paths_of(tree: PyTree) -> list[Any]:
    """The path of each leaf, None among them."""
    return [path for path, _ in jax.tree_util.tree_leaves_with_path(tree, is_leaf=is_none)]


def structure_mismatch(name: str, other: str, updates: PyTree, tree: PyTree) -> Never:
    """Explain why `tree` does not have the structure of `updates`: the first path that only one of them has.

    Raises:
        ValueError: always.
    """
    ours, theirs = set(map(path_str, paths_of(updates))), set(map(path_str, paths_of(tree)))
    only_ours, only_theirs = sorted(ours - theirs), sorted(theirs - ours)
    if only_ours or only_theirs:
        side, path = ("updates", only_ours[0]) if only_ours else (other, only_theirs[0])
        detail = f"only {side} has {path}"
    else:
        kinds = jax.tree.structure(updates), jax.tree.structure(tree)
        detail = f"{kinds[0]} != {kinds[1]}"
    raise ValueError(f"{name}: updates and {other} have different trees: {detail}")
