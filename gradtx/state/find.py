"""Find and change what is in a state, by field name, by the name of a link's state, or by path."""

import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from gradtx.core import precision
from gradtx.core.repack import repacked, unpacked
from gradtx.core.typing import PyTree
from gradtx.state.names import Entry, entries

_REQUIRED: Any = object()


def find_states(state: PyTree, key: str | type) -> dict[str, Any]:
    """All that a key names in a state, by name, in the order of the tree; what holds others comes before them.

    Args:
        state: an optimizer's state, or any tree that holds some.
        key: one of
            a field or dictionary key: `"mu"`, `"learning_rate"`;
            the state of one link, by its type's name or in snake case: `"ScaleByAdamState"`, `"scale_by_adam"`;
            the end of a name as `state_dict` writes it, or all of it: `"scale_by_adam/mu/layer1/w"`, in which `*` is
            any one part and `**` any number;
            a type: the states that are instances of it.

    Returns:
        A dictionary from name to array or subtree; empty where nothing is found.
    """
    found: dict[str, Any] = {}
    for entry in _hits(unpacked(state), key):
        name = entry.name if entry.name not in found else f"{entry.name} at {jax.tree_util.keystr(entry.path)}"
        found[name] = entry.value
    return found


def find_state(state: PyTree, key: str | type, default: Any = _REQUIRED) -> Any:
    """The one array or subtree that a key names in a state: `find_state(state, "mu")`.

    Args:
        state: an optimizer's state, or any tree that holds some.
        key: a field, a link's state or the end of a path; see `find_states`.
        default: what to return where there is none.

    Raises:
        ValueError: nothing has this key and there is no default, or several have it; the message lists the names.
    """
    found = find_states(state, key)
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise ValueError(f"find_state: {_show(key)} names {len(found)} things, give more of the path: {_list(found)}")
    if default is not _REQUIRED:
        return default
    raise ValueError(f"find_state: nothing is named {_show(key)}; the state has {_list(_names(unpacked(state)))}")


def edit_state(state: PyTree, changes: Mapping[str, Any] | None = None, /, **named: Any) -> PyTree:
    """A copy of a state in which all that has a name is changed: `edit_state(state, count=0)`.

    Args:
        state: an optimizer's state, or any tree that holds some.
        changes: new values by key (as in `find_states`): an array or subtree like the old one; a number, for every
            element; or a function from the old to the new one, such as `lambda nu: jax.tree.map(jnp.sqrt, nu)`.
        **named: the same, for keys that are Python names. Where two overlap, the later has the last word.

    Returns:
        The state, with the shapes and dtypes it had.

    Raises:
        ValueError: nothing has this key, or the new value is of another structure or shape.
    """
    given, state = state, unpacked(state)
    for key, change in {**(changes or {}), **named}.items():
        hits = _hits(state, key)
        if not hits:
            raise ValueError(f"edit_state: nothing is named {_show(key)}; the state has {_list(_names(state))}")
        for hit in hits:
            state = _edited(state, hit, change)
    return repacked(state, given)


def _edited(state: PyTree, hit: Entry, change: Any) -> PyTree:
    leaves, treedef = jax.tree_util.tree_flatten_with_path(state)
    inside = [i for i, (path, _) in enumerate(leaves) if path[: len(hit.path)] == hit.path]
    old = [leaves[i][1] for i in inside]
    structure = jax.tree.structure(hit.value)
    new: Any = change(jax.tree.unflatten(structure, old)) if callable(change) else change
    given: list[Any] = jax.tree.leaves(new)
    if jax.tree.structure(new) != structure and jax.tree_util.all_leaves([new]) and jnp.ndim(given[0]) == 0:
        given *= len(old)
    elif jax.tree.structure(new) != structure:
        raise ValueError(f"edit_state: {hit.name} is {structure}, got {jax.tree.structure(new)}")
    edited = [leaf for _, leaf in leaves]
    for i, x, y in zip(inside, old, given, strict=True):
        edited[i] = _like(hit.name, x, y)
    return treedef.unflatten(edited)


def _like(name: str, old: Any, new: Any) -> Any:
    if jnp.shape(new) not in ((), jnp.shape(old)):
        raise ValueError(f"edit_state: {name} has shape {jnp.shape(old)}, got {jnp.shape(new)}")
    if jnp.issubdtype(jnp.result_type(old), jax.dtypes.prng_key):
        return new
    return jnp.broadcast_to(precision.narrow(new, jnp.result_type(old)), jnp.shape(old))


def _hits(state: PyTree, key: str | type) -> list[Entry]:
    if isinstance(key, type):
        return [entry for entry in entries(state) if isinstance(entry.value, key)]
    text = re.escape(key).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
    pattern = re.compile(f"(?:.*/)?{text}", re.DOTALL)
    return [entry for entry in entries(state) if any(pattern.fullmatch(name) for name in _spellings(entry))]


def _spellings(entry: Entry) -> list[str]:
    """The names of a node: in full too; a link's state also has that of its type, and of the field it is kept in."""
    names = [entry.names, *([(entry.name,)] if entry.own else [])]
    if entry.is_state:
        names += [(*entry.names[:-1], type(entry.value).__name__), entry.kept_in]
    return ["/".join(name) for name in names if name]


def _names(state: PyTree) -> list[str]:
    return [entry.name for entry in entries(state) if entry.is_leaf]


def _show(key: str | type) -> str:
    return repr(key) if isinstance(key, str) else key.__name__


def _list(names: Any) -> str:
    names = list(names)
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "") or "nothing"
