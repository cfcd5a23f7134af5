"""Names for what is in a state: `scale_by_adam/mu/layer1/w`, whatever chain or wrapper the link stands in."""

import re
from typing import Any, NamedTuple

import jax
from jax.tree_util import DictKey, GetAttrKey, SequenceKey

from gradtx.core.codecs.coded import is_coded
from gradtx.core.fields import inner_fields, marks
from gradtx.core.selection import MaskedNode
from gradtx.core.slots import slots_of
from gradtx.core.typing import PyTree


class Entry(NamedTuple):
    """A node or leaf of a state."""

    names: tuple[str, ...]  # all that leads to it, wrappers and their fields too
    path: tuple[Any, ...]  # JAX's path to it
    value: Any
    is_leaf: bool
    own: tuple[str, ...]  # what its name is made of: from the state it lies in, the innermost, on
    below: int | None = None  # how much of the path lies in that state; None outside of any
    owner: type[Any] | None = None  # the type of that state
    keys: tuple[str, ...] = ()  # the dictionary keys on the way to that state, which tell states of one kind apart
    gate: tuple[Any, ...] = ()  # the path to the state around it that counts its own steps
    kept_in: tuple[str, ...] = ()  # for a link's state in a field or under a key: the name of that
    label: str = ""  # what stands before its name, where several things have it
    link: str | None = None  # the name of the link whose state it is

    @property
    def name(self) -> str:
        """The parts joined by slashes; that of a chain is `(root)`."""
        return "/".join(filter(None, (self.label, *self.own))) or "(root)"

    @property
    def in_full(self) -> str:
        """The name with all that leads there, as version 0.1.0 wrote it."""
        return "/".join(self.names) or "(root)"

    @property
    def is_state(self) -> bool:
        """Whether it is the state of one link."""
        return self.link is not None

    @property
    def state_path(self) -> tuple[Any, ...]:
        """The path to the state it lies in."""
        return self.path[: len(self.path) - (self.below or 0)]

    @property
    def field(self) -> str | None:
        """The field of that state that it is in, or None."""
        key: Any = self.path[len(self.path) - self.below] if self.below else None
        return key.name if isinstance(key, GetAttrKey) else None


def link_name(x: Any) -> str | None:
    """The name of the link whose state `x` is, `scale_by_adam` for a `ScaleByAdamState`; None for anything else.

    A state's type declares what its fields are. The types of other libraries do not: there, what is called `...State`
    is a state, and so is what keeps nothing.
    """
    name = type(x).__name__.removesuffix("State")
    return _snake(name) if marks(type(x)) or (name and _is_called_state(x)) else None


def _is_called_state(x: Any) -> bool:
    """Whether the type of `x` has a state's name, by which version 0.1.0 went, and other libraries' are known."""
    return type(x).__name__.endswith("State")


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower().lstrip("_")


def entries(tree: PyTree) -> list[Entry]:
    """Every node and leaf with its name, a node before what is in it.

    A name begins at the state of one link, with its type's name; a field, attribute or key gives its own. Neither the
    chain nor the wrappers around a link are in it. Where several things have one name, the keys of the dictionaries
    that they lie in stand before it if those tell them apart (`a/scale_by_adam/count`), else the numbers of their
    states, from 0.
    """
    found = _entries(tree)
    groups: dict[tuple[str, ...], list[int]] = {}
    for i, entry in enumerate(found):
        if entry.below is not None:
            groups.setdefault(entry.own, []).append(i)
    clashing = [group for group in groups.values() if len(group) > 1]
    numbered: dict[str, list[Any]] = {}
    for i in sorted(i for group in clashing for i in group):
        states = numbered.setdefault(found[i].own[0], [])
        if found[i].state_path not in states:
            states.append(found[i].state_path)
    for group in clashing:
        by_key = len({found[i].keys for i in group}) == len(group)
        for i in group:
            entry = found[i]
            number = numbered[entry.own[0]].index(entry.state_path)
            found[i] = entry._replace(label="/".join(entry.keys) if by_key else str(number))
    return found


def named_leaves(tree: PyTree) -> list[Entry]:
    """The leaves with their names, in the order of `jax.tree.leaves`."""
    return [entry for entry in entries(tree) if entry.is_leaf]


def _entries(tree: PyTree, in_slot: bool = False) -> list[Entry]:
    """The entries, where the full names of those in a tuple are numbered from 0 if they would clash.

    What is in a slot has the parameters' tree, in which there are no states, whatever they are called.
    """
    children = children_of(tree)
    if children is None:
        return [Entry((), (), tree, True, ())]
    slots = slots_of(type(tree))
    below = [_entries(child, in_slot or getattr(key, "name", None) in slots) for key, child in children]
    short = [_label(key, found) for (key, _), found in zip(children, below, strict=True)]
    names = [{label + e.names for e in found if e.is_leaf} for label, found in zip(short, below, strict=True)]
    number: list[int | None] = [None] * len(below)
    for i, mine in enumerate(names):
        rivals = [j for j in range(len(names)) if j != i and _collide(mine, names[j])]
        if rivals:
            number[i] = 1 + max((number[j] or 0 for j in rivals if j < i), default=-1)
    link = None if in_slot else link_name(tree)
    first = () if link is None else (link,)
    prefix = first if _is_called_state(tree) else ()
    start = Entry(prefix, (), tree, False, first, link=link)
    result = [start if link is None else start._replace(below=0, owner=type(tree))]
    gates = {name for name, mark in inner_fields(type(tree)).items() if mark.gated}
    for (key, _), label, found, n in zip(children, short, below, number, strict=True):
        if n is not None:
            label = (str(n), *label) if isinstance(key, SequenceKey) else (f"{key}",)
        gate = (key,) if isinstance(key, GetAttrKey) and key.name in gates else ()
        for e in found:
            is_kept = e.kept_in or (label and e.is_state and not e.path)
            new = e._replace(
                names=prefix + label + e.names,
                path=(key, *e.path),
                kept_in=prefix + label + e.kept_in if is_kept else (),
                gate=(key, *e.gate) if e.gate else gate,
            )
            if e.below is None:
                new = new._replace(own=first + label + e.own)
                new = new if link is None else new._replace(below=len(new.path), owner=type(tree))
            elif isinstance(key, DictKey):
                new = new._replace(keys=(str(key.key), *e.keys))
            result.append(new)
    return result


def children_of(x: Any) -> list[tuple[Any, Any]] | None:
    """What is directly in a node, by key; None for a leaf, as what is coded is."""
    if is_coded(x):
        return None
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
