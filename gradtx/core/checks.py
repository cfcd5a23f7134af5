"""What a state must be for the updates it is given with: its kind, the trees and the types of its fields."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.core import errors
from gradtx.core.codecs.coded import is_coded, typed
from gradtx.core.errors import is_inexact, path_str
from gradtx.core.fields import CountMark, hints_of, marks
from gradtx.core.repack import unpacked
from gradtx.core.restart import of_run
from gradtx.core.rules import state_fields
from gradtx.core.slots import NarrowStart, ScalarStart, SlotStart, is_whole, slots_of, start_of
from gradtx.core.stacks import Stack, is_leaf, unwrapped
from gradtx.core.typing import Array, PyTree

Starts: TypeAlias = Mapping[str, Any]
"""How fields of a state start: a slot's as a function of the parameter (None: whoever
keeps it checks it), another's as one of the tree, or its value."""

ANY_NUMBERS = SlotStart(lambda p, dtype: p, real=True)  # stands for a start of which only the shape counts
STEPS = jax.ShapeDtypeStruct((), jnp.int32)  # a number of steps
NUMBER = jax.ShapeDtypeStruct((), np.dtype(object))  # one number, whole or true or false or not


def check_tree(name: str, what: str, updates: PyTree, tree: PyTree, start: Any = None, cache: Any = None) -> list[Any]:
    """The leaves of a tree like `updates`, such as a slot's, each refused if it is not as `start` makes it.

    A stack of packed leaves is one leaf here, as it is to a plain pair.
    """
    leaves, treedef = jax.tree.flatten(updates, is_leaf=errors.is_none)
    column = matched(name, what, updates, treedef, tree)
    for i, (g, slot) in enumerate(zip(leaves, column, strict=True)):
        if g is not None:
            check_slot(name, what, updates, i, g, slot, start or ANY_NUMBERS, None, {} if cache is None else cache)
    return column


def matched(name: str, what: str, updates: PyTree, treedef: Any, tree: PyTree) -> list[Any]:
    """The parts of `tree` at the leaves of `updates`; refused if there are others."""
    try:
        return treedef.flatten_up_to(tree)
    except (TypeError, ValueError):
        errors.structure_mismatch(name, what, *unpacked((updates, tree)))


def fitted(name: str, batches: Any, tree: PyTree, start: Any) -> list[Any] | None:
    """What is kept of a slot for each leaf of the updates; None where it is kept in their batches."""
    if batches.is_packed(tree, whole=is_whole(start)):
        return None
    known = batches.views_of(tree)
    for i, view in ((i, view) for part in batches.parts for i, view in zip(part.places, part.views, strict=True)):
        if known.get(i, view) != view:
            where, shape = path_str(path_at(batches.tree, i)), getattr(known[i] or batches.leaves[i], "shape", None)
            found = f"{batches.leaves[i].shape} != {shape}" if view and known[i] else "they are of other matrices"
            raise ValueError(f"{name}: updates and state differ at {where}: {found}")
    return matched(name, "state", batches.tree, batches.treedef, batches.plain(tree))


def kept(
    name: str, kind: type[Any], slot: str, batches: Any, tree: PyTree, column: list[Any] | None, start: Any,
    params: Sequence[Any] | None, cache: dict[Any, Any],
) -> list[Any]:  # fmt: skip
    """What is kept of a slot for each batch of the updates; refused if it is not of the type in which it starts."""
    whole, matrices = is_whole(start), slots_of(kind)[slot].matrices
    check = lambda place, g, x, p, counted: check_slot(
        name, f"the state's {slot}", batches.tree, place, g, x, start, p, cache, counted
    )
    if column is None:
        values = batches.kept(tree)
        for part, x, like, stacked in zip(batches.parts, values, batches.types, batches.stacked, strict=True):
            if part.of_matrices or not matrices:
                check(part.places[0], like, x, None, int(stacked))
        return values
    for part in batches.parts:
        for i, view in zip(part.places, part.views, strict=True) if part.of_matrices or not matrices else ():
            g, p = batches.leaves[i], None if params is None else params[i]
            if view is None or whole:
                check(i, g, column[i], p, None)
            else:
                check(i, jax.eval_shape(view.cut, g), column[i], p, len(view.counted))
    return batches.cut(column, whole=whole)


def check_slot(
    name: str, what: str, updates: PyTree, place: int, g: Any, slot: Any, start: Any, p: Any, cache: dict[Any, Any],
    counted: int | None = None,
) -> None:  # fmt: skip
    """Refuse a slot that is not of the type in which it starts for a parameter of the update's shape.

    The first axes that are `counted` are of a stack; by default they are where the update is a `Stack`.
    """
    counted = int(isinstance(g, Stack)) if counted is None else counted
    g, slot, p = unwrapped(g), typed(unwrapped(slot)), unwrapped(p)
    if isinstance(start, SlotStart):
        if getattr(slot, "shape", None) == g.shape and is_inexact(slot) and not is_complex(g.dtype):
            return
        path = path_at(updates, place)
        errors.check_same_shape(name, "state", path, g, slot, real=start.real)
        if not is_inexact(slot):
            raise TypeError(f"{name}: {what} at {path_str(path)} is {errors.describe(slot)}, wanted numbers")
        return
    if isinstance(start, NarrowStart) and isinstance(slot, tuple) and not slot:
        return
    lead = g.shape[:counted]
    like = jax.ShapeDtypeStruct(g.shape[len(lead) :], (p if is_inexact(p) else g).dtype)
    wanted = _types(start, like, cache)
    leaves, treedef = jax.tree.flatten(wanted)
    given, structure = jax.tree.flatten(jax.tree.map(typed, slot, is_leaf=is_coded))
    if structure == treedef and all(_is_like(x, y, lead) for x, y in zip(given, leaves, strict=True)):
        return
    kinds = f"is {_show(slot)}, wanted {_show(wanted, lead)} for {errors.describe(g)}"
    raise ValueError(f"{name}: {what} at {path_str(path_at(updates, place))} {kinds}")


def check_like(name: str, field: str, x: Any, wanted: PyTree) -> None:
    """Refuse a field of a state that has not the tree and the shapes of what is to take its place."""
    leaves, treedef = jax.tree.flatten(x)
    shapes = [getattr(leaf, "shape", None) for leaf in leaves]
    if treedef != jax.tree.structure(wanted) or shapes != [leaf.shape for leaf in jax.tree.leaves(wanted)]:
        raise ValueError(f"{name}: the state's {field} is {_show(x)}, wanted {_show(wanted)}")


def check_state(name: str, kind: type[Any], state: Any, cure: str = "") -> None:
    """Refuse a state of another kind.

    Of those with its fields, Optax's will do, which `peers` makes a base of it, and one that was since defined anew.

    Raises:
        TypeError: names the kind that `init` makes.
    """
    given = type(state)
    if given is kind or isinstance(state, kind):
        return
    defined = lambda t: (t.__module__, t.__qualname__)
    known = issubclass(kind, given) or defined(kind) == defined(given)
    fits = known and getattr(given, "_fields", None) == kind._fields
    if not fits and (kind._fields or not isinstance(state, tuple) or len(state) > 0):
        raise TypeError(f"{name}: state must be {kind.__name__} from init, got {given.__name__}{cure}")


def check_tuple(name: str, length: int, state: Any) -> tuple[Any, ...]:
    """Refuse a state that is not a tuple of the states of so many links."""
    if not isinstance(state, tuple) or len(state) != length:
        raise ValueError(f"{name}: state must be the tuple of {length} from init, got {kind_of(state)}")
    return state


def kind_of(state: Any) -> str:
    """What a state is, for errors."""
    if isinstance(state, tuple | dict):
        return f"{type(state).__name__} of {len(state)}"
    return type(state).__name__


def check_fields(
    name: str, kind: type[Any], starts: Starts, state: Any, updates: PyTree, params: PyTree, cache: dict[Any, Any], *,
    slots: bool,
) -> None:  # fmt: skip
    """Refuse fields of a state of the right kind that do not have the type in which they start."""
    for field, hint in _types_of(kind).items():
        x = getattr(state, field)
        if field in state_fields(kind)[0]:
            if slots and starts.get(field, field) is not None:
                start = starts.get(field) or start_of(kind, field)
                check_tree(name, f"the state's {field}", updates, x, start, cache)
        elif getattr(hint, "__origin__", hint) is Array:  # also one that is marked
            wanted = _field_type(kind, starts, field, updates if params is None else params, cache)
            check_array(name, field, x, wanted)
        elif isinstance(hint, type) and hasattr(hint, "_fields"):
            check_state(f"{name}: {field}", hint, x)
            check_fields(f"{name}: {field}", hint, {}, x, updates, params, cache, slots=False)


def check_numbers(name: str, hyperparameters: Mapping[str, Any]) -> None:
    """Refuse hyperparameters that are arrays of several numbers: they are those of several runs."""
    for argument, h in hyperparameters.items():
        if isinstance(h, jax.Array | np.ndarray) and h.ndim and not jnp.issubdtype(h.dtype, jax.dtypes.prng_key):
            raise ValueError(
                f"{name}: {argument} has shape {h.shape}, wanted a scalar; "
                "a stacked transformation runs under jax.vmap over it and its state"
            )


def check_array(name: str, field: str, x: Any, wanted: Any) -> None:
    """Refuse a field of a state that is no array of the shape and the kind that `init` gives it."""
    x = of_run(x)
    if not isinstance(x, jax.Array | np.ndarray | np.generic):
        raise TypeError(f"{name}: the state's {field} is {errors.describe(x)}, wanted an array as from init")
    if not _is_like(x, wanted, ()):
        kinds = f"{errors.describe(x)}, wanted {_show(wanted)}"
        raise ValueError(
            f"{name}: the state's {field} is {kinds}; a state of stacked runs is for jax.vmap over it and the values"
        )


def _field_type(kind: type[Any], starts: Starts, field: str, like: PyTree, cache: dict[Any, Any]) -> Any:
    """The type of a field that is no slot: as it starts, else one number of the kind that is declared."""
    start = starts.get(field)
    if isinstance(marks(kind).get(field), CountMark):
        return STEPS
    if isinstance(start, ScalarStart):
        return jax.ShapeDtypeStruct(start.shape, jnp.float32)
    if callable(start):
        if field not in cache:
            numbers = [x for x in jax.tree.leaves(like) if is_inexact(x)]
            cache[field] = jax.eval_shape(start, numbers)
        return cache[field]
    if start is None:
        return NUMBER
    return jax.ShapeDtypeStruct(np.shape(start), jnp.result_type(start))


def _types(start: Callable[[Any], Any], p: jax.ShapeDtypeStruct, cache: dict[Any, Any]) -> Any:
    """The types that a slot starts with for a parameter."""
    if isinstance(start, ScalarStart):
        return jax.ShapeDtypeStruct(start.shape, jnp.float32)
    key = (start, p.shape, p.dtype)
    if key not in cache:
        cache[key] = jax.eval_shape(start, p)
    return cache[key]


def _is_like(x: Any, wanted: Any, lead: tuple[int, ...]) -> bool:
    """Whether an array has the shape, after the leading axes, and the kind of dtype that is wanted."""
    if getattr(x, "shape", None) != (*lead, *wanted.shape):
        return False
    return wanted is NUMBER or kind_of_dtype(x.dtype) == kind_of_dtype(wanted.dtype)


@lru_cache(maxsize=256)
def is_complex(dtype: Any) -> bool:
    """Whether a dtype is complex."""
    return jnp.issubdtype(dtype, jnp.complexfloating)


@lru_cache(maxsize=256)
def kind_of_dtype(dtype: Any) -> Any:
    """Numbers, whole numbers, truth values or keys."""
    kinds = (jnp.inexact, jnp.integer, jnp.bool_, jax.dtypes.prng_key)
    return next((kind for kind in kinds if jnp.issubdtype(dtype, kind)), dtype)


def _show(tree: Any, lead: Sequence[int] = ()) -> str:
    """Arrays by dtype and shape, in the tree they are in."""
    shown = jax.tree.map(
        lambda x: f"{x.dtype}{(*lead, *x.shape)}" if hasattr(x, "shape") else type(x).__name__, tree, is_leaf=is_leaf
    )
    return shown if isinstance(shown, str) else str(shown).replace("'", "")


def path_at(tree: PyTree, place: int) -> Any:
    """The path of a leaf, None and stacks being leaves, by its place."""
    return jax.tree_util.tree_flatten_with_path(tree, is_leaf=is_leaf)[0][place][0]


@lru_cache(maxsize=512)
def _types_of(kind: type[Any]) -> dict[str, Any]:
    """The declared types of a state's own fields."""
    hints = hints_of(kind)
    return {field: hints[field] for field in kind._fields if field in hints}
