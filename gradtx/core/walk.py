"""Walking a state by what its types declare: the one place that takes states apart."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from gradtx.core.fields import InnerMark, Mark, marks
from gradtx.core.slots import SlotMark
from gradtx.core.typing import PyTree

Path = tuple[Any, ...]
UNDECLARED = SlotMark()


def map_declared(
    f: Callable[[str, Any, PyTree], PyTree], state: PyTree, params: PyTree = None,
    kind: type[Mark] | tuple[type[Mark], ...] = SlotMark, *, inner: bool = True,
) -> PyTree:  # fmt: skip
    """The state with `f(field, mark, tree)` in place of what every field holds that is declared so.

    What is in other fields, in tuples, lists, dictionaries and other nodes is walked, too; arrays stay as they are. The
    state of another library declares nothing: there, what has the tree and the shapes of `params` is a slot.

    Args:
        f: what to apply.
        state: the state.
        params: the parameters, where there may be states of other libraries.
        kind: the declarations that are meant.
        inner: whether to go into the states of other transformations that a state holds.
    """
    new = {path: f(name, mark, tree) for path, name, mark, tree in declared(state, params, kind, inner=inner)}
    is_field: Any = lambda path, _: path in new
    return jax.tree_util.tree_map_with_path(new.get, state, is_leaf=is_field, is_leaf_takes_path=True)


def map_chosen(
    where: str, name: str, f: Callable[[Any, SlotMark, PyTree], PyTree], general: Sequence[Any],
    named: Mapping[str, Any], state: PyTree, params: PyTree, *, exact: bool = True,
) -> PyTree:  # fmt: skip
    """The state with `f(choice, mark, slot)` in place of every slot that a user chose something for.

    Args:
        where: who asks, for errors.
        name: of the transformation whose state it is.
        f: what to apply.
        general: the choice for slots that are not named, if any.
        named: that for slots by name.
        state: the state.
        params: the parameters.
        exact: whether the general choice is also for slots whose dtype is chosen where they are made.

    Raises:
        ValueError: a name that no slot has.
    """
    seen = dict[str, None]()

    def chosen(field: str, mark: Any, slot: PyTree) -> PyTree:
        seen[field] = None
        choice = named.get(field, general[0] if general and (exact or not mark.exact) else None)
        return slot if choice is None else f(choice, mark, slot)

    state = map_declared(chosen, state, params)
    unknown = [field for field in named if field not in seen]
    if unknown:
        raise ValueError(f"{where}: {name} has no slot {unknown[0]}; it has {', '.join(seen) or 'none'}")
    return state


def declared(
    state: PyTree, params: PyTree = None, kind: type[Mark] | tuple[type[Mark], ...] = SlotMark, path: Path = (), *,
    inner: bool = True,
) -> Iterator[tuple[Path, str, Any, PyTree]]:  # fmt: skip
    """The path, the name, the declaration and what it holds, of every field that is declared so; see `map_declared`."""
    if jax.tree_util.all_leaves([state]):
        return
    fields = marks(type(state))
    foreign = not fields and hasattr(state, "_fields")
    for (key,), child in jax.tree_util.tree_leaves_with_path(state, is_leaf=lambda x: x is not state):
        name = getattr(key, "name", "")
        mark = fields.get(name) or (UNDECLARED if foreign and _is_like(child, params) else None)
        if isinstance(mark, kind):
            yield (*path, key), name, mark, child
        elif inner or not isinstance(mark, InnerMark):
            yield from declared(child, params, kind, (*path, key), inner=inner)


def _is_like(tree: PyTree, params: PyTree) -> bool:
    """Whether a tree has the structure and the shapes of the parameters; a lone number is no sign of that."""
    shapes = [jnp.shape(p) for p in jax.tree.leaves(params)]
    if jax.tree.structure(tree) != jax.tree.structure(params) or shapes in ([], [()]):
        return False
    return [jnp.shape(x) for x in jax.tree.leaves(tree)] == shapes


def outermost(state: PyTree, wanted: Callable[[Any], bool]) -> list[Any]:
    """The states in a state that are wanted, and lie in no other such."""
    return [x for x in jax.tree.leaves(state, is_leaf=wanted) if wanted(x)]
