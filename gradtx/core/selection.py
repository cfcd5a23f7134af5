"""Which leaves a transformation acts on: a mask as a tree, a prefix of it, a callable, or patterns on paths."""

import re
from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple, cast

import jax
import numpy as np

from gradtx.core.errors import is_none, path_str, paths_of
from gradtx.core.stacks import Packed
from gradtx.core.typing import Mask, PyTree


class MaskedNode(NamedTuple):
    """Stands, without leaves, for a parameter that a transformation does not act on."""


def path_parts(path: tuple[Any, ...]) -> str:
    """A leaf's path as patterns see it: the keys joined by slashes, as in `layer1/kernel`."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def matches(pattern: str, path: tuple[Any, ...]) -> bool:
    """Whether a pattern matches a path: `*` is any one key (or part of it), `**` any number of keys."""
    parts = [".*" if part == "**" else re.escape(part).replace(r"\*", "[^/]*") for part in pattern.split("/")]
    text = "/".join(parts).replace(".*/", "(?:.*/)?").replace("/.*", "(?:/.*)?")
    return re.fullmatch(text, path_parts(path)) is not None


def resolve_mask(name: str, mask: Mask, tree: PyTree) -> PyTree:
    """The mask as a tree of booleans with the structure of `tree` (None counts as a leaf).

    Args:
        name: who asks, for errors.
        mask: None (every leaf); a tree of booleans or a prefix of one; a callable from `tree` to such a tree; a
            pattern on paths (`"*/kernel"`), or a tuple of them of which any may match.
        tree: parameters or updates.

    Raises:
        ValueError: a mask of another structure, naming the first path that differs, or a pattern without a match; a
            mask that tells leaves apart which are packed together.
    """
    if isinstance(tree, Packed) and mask is not None and not isinstance(mask, Packed):
        kept = jax.tree.leaves(resolve_mask(name, mask, tree.shapes()))
        return jax.tree.unflatten(jax.tree.structure(tree, is_leaf=is_none), tree.spread(name, "mask", kept))
    if _is_hidden(tree):
        return tree
    treedef = jax.tree.structure(tree, is_leaf=is_none)
    if mask is None:
        return jax.tree.unflatten(treedef, [True] * treedef.num_leaves)
    if isinstance(mask, str) or (isinstance(mask, tuple) and mask and all(isinstance(m, str) for m in mask)):
        return _by_pattern(name, (mask,) if isinstance(mask, str) else mask, tree)
    mask = resolved(mask, tree)
    for path, leaf in jax.tree_util.tree_leaves_with_path(mask):
        if not isinstance(leaf, bool | np.bool_):
            raise TypeError(f"{name}: the mask at {path_str(path)} must be a bool, got {leaf!r}")
    return jax.tree.unflatten(treedef, [bool(keep) for keep in _spread(name, "mask", mask, tree, is_none)])


def resolve_labels(
    name: str, labels: Any, tree: PyTree, *, is_label: Callable[[Any], bool] = is_none, all_used: bool = True
) -> list[Any]:
    """One label for every leaf of `tree` (None counts as a leaf), in the order of its leaves.

    Args:
        name: who asks, for errors.
        labels: a tree of labels or a prefix of one; a callable from `tree` to such a tree; or a dictionary from
            patterns on paths to labels, in which `"**"` stands for the leaves that no other pattern matches.
        tree: parameters or updates.
        is_label: says that a container (or None) is one label.
        all_used: whether a pattern that matches nothing is an error.

    Raises:
        ValueError: labels of another structure, naming the first path that differs; paths that no pattern matches,
            or patterns with different labels both match; a pattern without a match.
    """
    if isinstance(tree, Packed) and not isinstance(labels, Packed):
        found = resolve_labels(name, labels, tree.shapes(), is_label=is_label, all_used=all_used)
        return tree.spread(name, "tree of labels", found)
    if _is_hidden(tree):
        return []
    labels = resolved(labels, tree)
    if _is_patterns(labels, tree):
        return _labels_by_pattern(name, labels, tree, all_used)
    return _spread(name, "tree of labels", labels, tree, is_label)


def _is_hidden(tree: PyTree) -> bool:
    """Whether what is given for parameters is one node without anything in it, such as a `MaskedNode`."""
    own_container = tree is None or type(tree) in (dict, list, tuple)
    return not own_container and not jax.tree.leaves(tree, is_leaf=lambda x: x is not tree)


def resolved(given: Any, tree: PyTree) -> PyTree:
    """The result of a function of the tree; a callable that is itself a tree of that kind stays as it is.

    A model may be callable and a pytree at once, and so may be the mask that was made of it. Any other callable is a
    function, also where it is a pytree (`jax.tree_util.Partial`, a method of a model).
    """
    is_tree = type(given) is type(tree) and not jax.tree_util.all_leaves([given])
    return given(tree) if callable(given) and not is_tree else given


def _is_patterns(labels: Any, tree: PyTree) -> bool:
    """Whether a dictionary is one of patterns: it has a key with `*`, or one with `/` that is no key of the tree."""
    if not isinstance(labels, dict) or not all(isinstance(key, str) for key in cast("dict[Any, Any]", labels)):
        return False
    own = set(cast("dict[Any, Any]", tree)) if isinstance(tree, dict) else set[Any]()
    return any("*" in key or ("/" in key and key not in own) for key in cast("dict[str, Hashable]", labels))


def _by_pattern(name: str, patterns: tuple[str, ...], tree: PyTree) -> PyTree:
    check_used(name, "mask", patterns, paths_of(tree))
    return jax.tree_util.tree_map_with_path(
        lambda path, _: any(matches(pattern, path) for pattern in patterns), tree, is_leaf=is_none
    )


def _labels_by_pattern(name: str, labels: dict[str, Hashable], tree: PyTree, all_used: bool) -> list[Any]:
    paths = paths_of(tree)
    specific = [pattern for pattern in labels if pattern != "**"]
    if all_used:
        check_used(name, "label", specific, paths)
    hits = [[pattern for pattern in specific if matches(pattern, path)] for path in paths]
    hits = [patterns or [pattern for pattern in labels if pattern == "**"] for patterns in hits]
    unmatched = [path_parts(path) for path, patterns in zip(paths, hits, strict=True) if not patterns]
    if unmatched:
        raise ValueError(f"{name}: no pattern matches {', '.join(unmatched)}; patterns are {', '.join(labels)}")
    doubly = [
        f"{path_parts(path)} ({', '.join(patterns)})"
        for path, patterns in zip(paths, hits, strict=True)
        if any(labels[pattern] != labels[patterns[0]] for pattern in patterns)
    ]
    if doubly:
        raise ValueError(f"{name}: patterns with different labels match {', '.join(doubly)}")
    return [labels[patterns[0]] for patterns in hits]


def check_used(name: str, what: str, patterns: Iterable[str], paths: list[Any]) -> None:
    """Refuse patterns of which one matches no path."""
    for pattern in patterns:
        if paths and not any(matches(pattern, path) for path in paths):
            known = ", ".join(map(path_parts, paths))
            raise ValueError(f"{name}: {what} pattern {pattern!r} matches no parameter; their paths are {known}")


def _spread(name: str, what: str, prefix: PyTree, tree: PyTree, is_label: Callable[[Any], bool]) -> list[Any]:
    """The leaves of a prefix of `tree`, each repeated for the leaves of `tree` below it."""
    leaves, treedef = jax.tree.flatten(prefix, is_leaf=is_label)
    try:
        parts = treedef.flatten_up_to(tree)
    except ValueError:
        ours = paths_of(tree)
        theirs = [path for path, _ in jax.tree_util.tree_leaves_with_path(prefix, is_leaf=is_label)]
        needed = [path for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
        missing = [p for p in needed if not any(p[: len(m)] == m for m in theirs)]
        extra = [m for m in theirs if not any(p[: len(m)] == m for p in ours)]
        side, path = ("only params have", missing[0]) if missing else (f"only the {what} has", (extra or [()])[0])
        raise ValueError(f"{name}: the {what} does not fit the params: {side} {path_str(path)}") from None
    return [leaf for leaf, part in zip(leaves, parts, strict=True) for _ in jax.tree.leaves(part, is_leaf=is_none)]
