"""Names for what is in a state: `scale_by_adam/mu/layer1/w`, whatever chain the link stands in."""

import re
from typing import Any, NamedTuple

import jax
from jax.tree_util import DictKey, GetAttrKey, SequenceKey

from gradtx.core.selection import MaskedNode
from gradtx.core.typing import PyTree


class Entry(NamedTuple):
    """A node or leaf of a state."""

    names: tuple[str, ...]  # what its name is made of
    path: tuple[Any, ...]  # JAX's path to it
    value: Any
    is_leaf: bool
    kept_in: tuple[str, ...] = ()  # for a link's state in a field or under a key: the name of that

    @property
    def name(self) -> str:
        """The parts joined by slashes; that of a chain is `(root)`."""
        return "/".join(self.names) or "(root)"

    @property
    def is_state(self) -> bool:
        """Whether it is the state of one link: an instance of a type named `...State`."""
        return state_name(self.value) is not None


def state_name(x: Any) -> str | None:
    """The name of a link's state, `scale_by_adam` for a `ScaleByAdamState`; None for anything else."""
    name = type(x).__name__
    if not name.endswith("State") or name == "State":
        return None
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.removesuffix("State"))
    return split.lower().lstrip("_")


def entries(tree: PyTree) -> list[Entry]:
    """Every node and leaf with its name, a node before what is in it.

    The state of a link gives its type's name, a field, attribute or key its own. The position of a state in a tuple
    is left out where the names are unique without it; else those of one name are numbered from 0.
    """
    children = children_of(tree)
    if children is None:
        return [Entry((), (), tree, True)]
    below = [entries(child) for _, child in children]
    short = [_label(key, found) for (key, _), found in zip(children, below, strict=True)]
    names = [{label + e.names for e in found if e.is_leaf} for label, found in zip(short, below, strict=True)]
    number: list[int | None] = [None] * len(below)
    for i, mine in enumerate(names):
        rivals = [j for j in range(len(names)) if j != i and _collide(mine, names[j])]
        if rivals:
            number[i] = 1 + max((number[j] or 0 for j in rivals if j < i), default=-1)
    own = state_name(tree)
    prefix = () if own is None else (own,)
    result = [Entry(prefix, (), tree, False)]
    for (key, _), label, found, n in zip(children, short, below, number, strict=True):
        if n is not None:
            label = (str(n), *label) if isinstance(key, SequenceKey) else (f"{key}",)
        for e in found:
            is_kept = e.kept_in or (label and e.is_state and not e.path)
            kept_in = prefix + label + e.kept_in if is_kept else ()
            result.append(Entry(prefix + label + e.names, (key, *e.path), e.value, e.is_leaf, kept_in))
    return result


def named_leaves(tree: PyTree) -> list[Entry]:
    """The leaves with their names, in the order of `jax.tree.leaves`."""
    return [entry for entry in entries(tree) if entry.is_leaf]


def children_of(x: Any) -> list[tuple[Any, Any]] | None:
    """What is directly in a node, by key; None for a leaf."""
    found = jax.tree_util.tree_flatten_with_path(x, is_leaf=lambda y: y is not x)[0]
    if found and found[0][0] == ():
        return None
    return [(path[0], child) for path, child in found if not isinstance(child, MaskedNode | None)]


def _label(key: Any, below: list[Entry]) -> tuple[str, ...]:
    """What a key adds to the names below it: nothing where it is the position of a state."""
    if isinstance(key, DictKey):
        return (str(key.key),)
    if isinstance(key, GetAttrKey):
        return (key.name,)
    if isinstance(key, SequenceKey):
        return () if any(entry.is_state for entry in below) else (str(key.idx),)
    return (str(getattr(key, "key", key)),)


def _collide(some: set[tuple[str, ...]], others: set[tuple[str, ...]]) -> bool:
    return not {"/".join(x) for x in some}.isdisjoint("/".join(x) for x in others)
