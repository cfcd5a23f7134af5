"""What `init` and `update` take: every call of a transformation passes here before anything is computed.

A leaf is a floating-point or complex array or number; the parameters have the tree and the shapes of the updates; a
state is of the kind that `init` makes, and each of its fields has the shape in which it starts for these parameters.
Whatever else is refused with the transformation's name and the leaf's path. All this reads types alone, so it costs no
operation on a device and holds under `jit`.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.core import checks, errors
from gradtx.core.errors import is_inexact, is_inexact_dtype, path_str
from gradtx.core.stacks import is_leaf, unwrapped
from gradtx.core.switch import Switch
from gradtx.core.typing import PyTree

Takes: TypeAlias = Literal["anything", "arrays", "numbers", "examples"]
"""The leaves that a plain pair takes: whatever those inside it do; what a conditional can carry; floating-point or
complex arrays of the parameters' shapes; such arrays with an axis of examples before those shapes."""

EXAMPLES = Switch("EXAMPLES", __name__)
"""Where it is on, updates have an axis of examples that the parameters have not."""


def numbers_as_arrays(name: str, what: str, tree: PyTree) -> PyTree:
    """The tree with its Python floats and NumPy arrays of numbers as JAX's arrays; other leaves as they are."""
    try:
        leaves, treedef = jax.tree.flatten(tree)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {what} cannot be taken apart as a tree: {error}") from None
    if _are_of_jax(frozenset(map(type, leaves))) or not any(map(_is_loose, leaves)):
        return tree
    return treedef.unflatten([jnp.asarray(x) if _is_loose(x) else x for x in leaves])


def are_arrays(tree: PyTree) -> bool:
    """Whether all leaves are floating-point or complex arrays of JAX's that are not traced."""
    leaves = jax.tree.leaves(tree)
    return _are_of_jax(frozenset(map(type, leaves))) and all(map(is_inexact_dtype, {x.dtype for x in leaves}))


@lru_cache(maxsize=256)
def _are_of_jax(kinds: frozenset[type]) -> bool:
    """Whether values of these types are arrays, or what stands for such."""
    return all(issubclass(kind, jax.Array | jax.ShapeDtypeStruct) for kind in kinds)


def _is_loose(x: Any) -> bool:
    """Whether `x` is a number, or an array of them, but not JAX's."""
    if isinstance(x, jax.Array | jax.ShapeDtypeStruct):
        return False
    return is_inexact(x) or (hasattr(x, "__jax_array__") and not isinstance(x, type))


def check_init(name: str, takes: Takes | None, params: PyTree) -> None:
    """Refuse parameters with a leaf that a plain pair does not take."""
    if takes in ("numbers", "arrays", "examples"):
        for path, p in jax.tree_util.tree_leaves_with_path(params, is_leaf=is_leaf):
            if p is not None:
                _check_leaf(name, takes, "parameter", path, unwrapped(p))


def check_update(
    name: str, takes: Takes | None, kind: type[Any] | None, starts: checks.Starts, cache: dict[Any, Any],
    updates: PyTree, state: Any, params: PyTree,
) -> None:  # fmt: skip
    """Refuse updates, a state or parameters that a plain pair does not take.

    Args:
        name: the transformation's.
        takes: which leaves it takes.
        kind: the type of its state, which it has; None where the pair checks that itself.
        starts: how fields of that type start, where they are not slots of the parameter's shape or single numbers.
        cache: the types of these starts that are known.
        updates: as given to `update`.
        state: as given to `update`.
        params: as given to `update`.
    """
    if takes == "arrays":
        for what, tree in (("update", updates), ("parameter", params)):
            for path, x in jax.tree_util.tree_leaves_with_path(tree):
                if isinstance(x, jax.ShapeDtypeStruct):
                    errors.check_inexact(name, what, path, x, abstract=False)
                _check_leaf(name, takes, what, path, x)
    if takes in ("numbers", "examples"):
        leaves, treedef = jax.tree.flatten(updates, is_leaf=is_leaf)
        fitting = None if params is None else fitted(name, updates, leaves, treedef, params)
        for i, g in enumerate(leaves):
            if g is not None:
                check_number(name, updates, i, g)
                if fitting is not None and takes == "numbers" and not EXAMPLES:
                    check_param(name, updates, i, g, fitting[i])
    if kind is not None and takes != "anything":
        for path, x in jax.tree_util.tree_leaves_with_path(state):
            if not _is_carried(x):
                raise TypeError(f"{name}: the state at {path_str(path)} is {errors.describe(x)}, wanted an array")
    if kind is not None:
        checks.check_fields(name, kind, starts, state, updates, params, cache, slots=takes == "numbers")


def check_number(name: str, updates: PyTree, place: int, g: Any, *, real_only: bool = False) -> None:
    """Refuse an update that is no floating-point or complex array; `place` is that among the leaves."""
    g = unwrapped(g)
    if not isinstance(g, jax.Array) or real_only or not is_inexact(g):
        errors.check_inexact(name, "update", checks.path_at(updates, place), g, real_only=real_only, abstract=False)


def check_param(name: str, updates: PyTree, place: int, g: Any, p: Any, what: str = "params") -> None:
    """Refuse a parameter, or part of another tree, that is no number or has another shape than its update."""
    g, p = unwrapped(g), unwrapped(p)
    alike = isinstance(p, jax.Array) and p.shape == g.shape and is_inexact(p)
    if alike and checks.is_complex(g.dtype) == checks.is_complex(p.dtype):
        return
    path = checks.path_at(updates, place)
    errors.check_same_shape(name, what, path, g, p)
    errors.check_inexact(name, "parameter" if what == "params" else what, path, p, abstract=False)
    raise ValueError(f"{name}: updates and {what} differ at {path_str(path)}: {g.dtype} is not for {p.dtype}")


def fitted(
    name: str, updates: PyTree, leaves: Sequence[Any], treedef: Any, tree: PyTree, what: str = "params"
) -> list[Any]:
    """The parameters of the updates, or parts of another tree; refused if there are others.

    A missing update stands for one parameter.
    """
    found = checks.matched(name, what, updates, treedef, tree)
    if any(g is None and jax.tree.structure(p).num_nodes > 1 for g, p in zip(leaves, found, strict=True)):
        errors.structure_mismatch(name, what, updates, tree)
    return found


def _check_leaf(name: str, takes: Takes, kind: str, path: Any, x: Any) -> None:
    if takes == "arrays":
        if not _is_carried(x):
            raise TypeError(f"{name}: the {kind} at {path_str(path)} is {errors.describe(x)}, wanted an array")
    else:
        errors.check_inexact(name, kind, path, x)


def _is_carried(x: Any) -> bool:
    """Whether a conditional of JAX can carry a leaf."""
    if isinstance(x, jax.Array | jax.ShapeDtypeStruct | int | float | complex):
        return True
    if not isinstance(x, np.ndarray | np.generic):
        return False
    return is_inexact(x) or checks.kind_of_dtype(x.dtype) in (jnp.integer, jnp.bool_) or x.dtype == jax.dtypes.float0
