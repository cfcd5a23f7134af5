"""Finding, replacing and mapping what is in a state, under Optax's names; `tree_utils` shows them."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
from jax.tree_util import DictKey

from gradtx.core.selection import MaskedNode

PyTree: TypeAlias = Any
KeyPath: TypeAlias = tuple[Any, ...]
Filter: TypeAlias = Callable[[KeyPath, Any], bool]


@dataclass(frozen=True)
class NamedTupleKey:
    """A step of a path: the field `name` of a NamedTuple of type `tuple_name`."""

    tuple_name: str
    name: str

    def __str__(self) -> str:
        return f"{self.tuple_name}.{self.name}"


class ParamsPlaceholder(MaskedNode):
    """Stands, without leaves, for parameters of any tree where `tree_map_params` asks for a state."""


def placeholder() -> Any:
    """A placeholder; where Optax is imported it is one of Optax's, which Optax's transformations look for."""
    theirs = getattr(sys.modules.get("optax.tree_utils._state_utils"), "_ParamsPlaceholder", ParamsPlaceholder)
    return theirs()


def is_placeholder(x: Any) -> bool:
    """Whether `x` is a placeholder, Optax's included."""
    return isinstance(x, ParamsPlaceholder) or type(x).__name__ == "_ParamsPlaceholder"


def tree_get(tree: PyTree, key: Any, default: Any = None, filtering: Filter | None = None) -> Any:
    """The one value of a tree with a key, or `default` if there is none.

    Args:
        tree: the tree to search, such as a state.
        key: a key of a dictionary, a field of a NamedTuple, or the name of a type of NamedTuple.
        default: what to give if there is none.
        filtering: `(path, value) -> bool`, which of the values with that key count.

    Raises:
        KeyError: there are several.
    """
    found = tree_get_all_with_path(tree, key, filtering)
    if len(found) > 1:
        paths = ", ".join(jax.tree_util.keystr(path) or "(root)" for path, _ in found)
        raise KeyError(f"tree_get: {len(found)} values have the key {key!r}, wanted one: {paths}")
    return found[0][1] if found else default


def tree_get_all_with_path(tree: PyTree, key: Any, filtering: Filter | None = None) -> list[tuple[KeyPath, Any]]:
    """All values with a key, each with its path, as for `tree_get`; a value comes before those inside it."""
    found = _found(tree, key, ())
    return [(path, x) for path, x in found if filtering is None or filtering(path, x)]


def tree_set(tree: PyTree, filtering: Filter | None = None, /, **kwargs: Any) -> PyTree:
    """The tree with all values of some keys replaced, by new ones by key; keys and `filtering` as for `tree_get`.

    Raises:
        KeyError: no value has one of the keys, or none of them counts.
    """
    for key in kwargs:
        if not tree_get_all_with_path(tree, key, filtering):
            which = "" if filtering is None else " that the filter lets through"
            raise KeyError(f"tree_set: no value{which} has the key {key!r}")

    def replaced(path: KeyPath, node: Any) -> Any:
        for key, new in kwargs.items():
            if (_is_key(path, key) or _is_named(node, key)) and (filtering is None or filtering(path, node)):
                return new
        children = _children(node, path)
        new_children = [replaced(step, child) for step, child in children]
        return jax.tree.structure(node, is_leaf=lambda x: x is not node).unflatten(new_children) if children else node

    return replaced((), tree)


def tree_map_params(
    initable: Any, f: Callable[..., Any], state: PyTree, /, *rest: PyTree,
    transform_non_params: Callable[..., Any] | None = None, is_leaf: Callable[[Any], bool] | None = None,
) -> PyTree:  # fmt: skip
    """Apply `f(slot, *others)` to everything in a state that has one value for each parameter.

    Such parts are found by calling `init` (of a transformation, or given itself) with a tree without leaves in place of
    the parameters. The `rest` are more trees like the parameters, for `f`; all else is left as it is, or given to
    `transform_non_params`. `f` gets as a whole what `is_leaf` says, such as the `MaskedNode`s of masked leaves.
    """
    init = initable.init if hasattr(initable, "init") else initable

    def each(place: Any, part: Any) -> Any:
        if is_placeholder(place):
            return jax.tree.map(f, part, *rest, is_leaf=is_leaf)
        return part if transform_non_params is None else transform_non_params(part)

    return jax.tree.map(each, init(placeholder()), state, is_leaf=is_placeholder)


def _found(node: Any, key: Any, path: KeyPath) -> list[tuple[KeyPath, Any]]:
    """Hits at and below a node: first those of the outermost nodes that hold one, then those further inside."""
    holders = _holders(node, key, path)
    hits: list[tuple[KeyPath, Any]] = []
    for at, holder in holders:
        hits += [(at, holder)] if _is_named(holder, key) else []
        hits += [(step, child) for step, child in _children(holder, at) if _is_key(step, key)]
    return hits + [
        hit for at, holder in holders for step, child in _children(holder, at) for hit in _found(child, key, step)
    ]


def _holders(node: Any, key: Any, path: KeyPath) -> list[tuple[KeyPath, Any]]:
    """The outermost nodes that have a hit as a child, or are one by the name of their type."""
    children = _children(node, path)
    if _is_named(node, key) or any(_is_key(step, key) for step, _ in children):
        return [(path, node)]
    return [found for step, child in children for found in _holders(child, key, step)]


def _is_named(node: Any, key: Any) -> bool:
    return _is_named_tuple(node) and type(node).__name__ == key


def _is_key(path: KeyPath, key: Any) -> bool:
    """Whether a path ends in a field or a key of this name."""
    match path[-1:]:
        case (NamedTupleKey(name=found),) | (DictKey(key=found),):
            return found == key
        case _:
            return False


def _children(node: Any, path: KeyPath) -> list[tuple[KeyPath, Any]]:
    """What is directly in a node, with its path; nothing for a leaf."""
    if _is_named_tuple(node):
        return [((*path, NamedTupleKey(type(node).__name__, name)), getattr(node, name)) for name in node._fields]
    if jax.tree_util.all_leaves([node]):
        return []
    inside = jax.tree_util.tree_leaves_with_path(node, is_leaf=lambda x: x is not node)
    return [((*path, *step), child) for step, child in inside if step]


def _is_named_tuple(node: Any) -> bool:
    return isinstance(node, tuple) and hasattr(node, "_fields")
