"""Carry a state over to parameters that were replaced, added, removed, or changed in shape."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gradtx.core import restart
from gradtx.core.codecs.coded import is_coded, opened
from gradtx.core.errors import is_none
from gradtx.core.repack import repacked, unpacked
from gradtx.core.selection import resolve_mask
from gradtx.core.transformation import GradientTransformation, as_transformation
from gradtx.core.typing import Mask, PyTree
from gradtx.core.walk import Path
from gradtx.state.names import entries
from gradtx.state.slots import check_state, owners


def reset(tx: GradientTransformation, state: PyTree, params: PyTree, mask: Mask = None) -> PyTree:
    """Start the slots of some parameters anew, for instance of a head that was replaced.

        state = gradtx.reset(tx, state, params, "head/**")

    Args:
        tx: the optimizer.
        state: its state.
        params: the parameters as they are now.
        mask: which parameters; as in `masked`. None is all of them; the run's step counts still go on.

    Returns:
        The state: slots of the chosen parameters as in `tx.init(params)`, all else the very arrays of `state`. The
        chosen parameters count their steps anew, so that averages are debiased as at their first step: where some have
        counts of their own, `count` is `PerLeaf(run, leaf)`. In the middle of an accumulation they are averaged over
        their own micro-steps alone. What belongs to several parameters at once (the run's count, by which schedules go;
        the vector of `flatten`) is kept, and so are the counts of another library.

    Raises:
        ValueError: a state that is not one of `tx` for `params`, or a mask that does not fit.
    """
    chosen = resolve_mask("reset", mask, unpacked(params))
    changed = {path for path, keep in jax.tree_util.tree_leaves_with_path(chosen) if keep}
    return _carry("reset", tx, state, params, params, changed, changed, lambda old, fresh: fresh)


def extend(tx: GradientTransformation, state: PyTree, old_params: PyTree, new_params: PyTree) -> PyTree:
    """Carry a state over to parameters of which some are new, gone, or of another shape or dtype.

    Parameters are matched by path.

    Args:
        tx: the optimizer.
        state: its state for `old_params`.
        old_params: the parameters before the change, or their shapes and dtypes.
        new_params: the parameters after it.

    Returns:
        A state for `new_params`: slots of parameters that have the shape and dtype they had are the very arrays of
        `state`; those of the others start as in `tx.init(new_params)`, and count their steps anew, as after `reset`.
        What belongs to several parameters at once is kept where its shape still fits, so the run's step counts go on.

    Raises:
        ValueError: a state that is not one of `tx` for `old_params`.
    """
    changed = _changed(*unpacked((old_params, new_params)))
    return _carry("extend", tx, state, old_params, new_params, changed, changed, lambda old, fresh: fresh)


def resize(tx: GradientTransformation, state: PyTree, old_params: PyTree, new_params: PyTree) -> PyTree:
    """Carry a state over to parameters that grew or shrank: `extend`, but their slots are padded or cropped.

    Along every axis the leading elements that old and new have in common are kept; the rest is as in
    `tx.init(new_params)`. A parameter that is new, or has another number of axes, starts anew as in `extend`.

    Args:
        tx: the optimizer.
        state: its state for `old_params`.
        old_params: the parameters before the change, or their shapes and dtypes.
        new_params: the parameters after it.

    Returns:
        A state for `new_params`; untouched parameters keep the very arrays of `state`.

    Raises:
        ValueError: a state that is not one of `tx` for `old_params`.
    """
    axes = lambda tree: {path: jnp.ndim(p) for path, p in jax.tree_util.tree_leaves_with_path(tree)}
    old, new = unpacked((old_params, new_params))
    changed, before, now = _changed(old, new), axes(old), axes(new)
    anew = {path for path in changed if before.get(path) != now.get(path)}
    return _carry("resize", tx, state, old_params, new_params, changed, anew, _overlap)


def _overlap(old: Any, fresh: Any) -> Any:
    """`fresh` with the leading corner that it has in common with `old` taken from there."""
    if is_coded(fresh):
        return fresh.again(_overlap(old, fresh.decoded()))
    old = opened(old)
    if old.ndim != fresh.ndim or jnp.issubdtype(fresh.dtype, jax.dtypes.prng_key):
        return old if old.shape == fresh.shape else fresh
    corner = tuple(slice(0, min(a, b)) for a, b in zip(old.shape, fresh.shape, strict=True))
    return fresh.at[corner].set(old[corner].astype(fresh.dtype))


def _type_of(x: Any) -> Any:
    """What an array is, for one to take the place of another."""
    return (x.kind, x.shape) if is_coded(x) else (jnp.shape(x), jnp.result_type(x))


def _changed(old_params: PyTree, new_params: PyTree) -> set[Path]:
    """The paths of parameters that are new or have another shape or dtype."""
    kind = lambda p: None if p is None else _type_of(p)
    old = {path: kind(p) for path, p in jax.tree_util.tree_leaves_with_path(old_params, is_leaf=is_none)}
    new = {path: kind(p) for path, p in jax.tree_util.tree_leaves_with_path(new_params, is_leaf=is_none)}
    return {path for path, now in new.items() if old.get(path) != now}


def _carry(
    name: str,
    tx: GradientTransformation,
    state: PyTree,
    old_params: PyTree,
    new_params: PyTree,
    changed: set[Path],
    anew: set[Path],
    merge: Callable[[Any, Any], Any],
) -> PyTree:
    """A fresh state for the new parameters, with what did not change taken from `state`, and the rest merged."""
    tx = as_transformation(tx)
    state = unpacked(state)
    numbers = dict(jax.tree_util.tree_leaves_with_path(state, is_leaf=restart.is_per_leaf))
    state = jax.tree.map(restart.of_run, state, is_leaf=restart.is_per_leaf)
    check_state(name, tx, state, old_params)
    owner, olds = owners(tx, new_params), dict(jax.tree_util.tree_leaves_with_path(state, is_leaf=is_coded))

    def at(path: Path, fresh: Any) -> Any:
        if path not in olds:
            return fresh
        old = olds[path]
        if path in owner and owner[path] in changed:
            return merge(old, fresh)
        return old if _type_of(old) == _type_of(fresh) else fresh

    packed = tx.init(new_params)
    start = unpacked(packed)
    carried = jax.tree_util.tree_map_with_path(at, start, is_leaf=is_coded)
    paths = lambda tree: {path for path, _ in jax.tree_util.tree_leaves_with_path(tree)}
    gone = set(map(restart.leaf_name, paths(unpacked(old_params)) - paths(unpacked(new_params))))
    firsts = dict(jax.tree_util.tree_leaves_with_path(start))
    counts: dict[Path, Any] = {}
    for entry in entries(carried):
        histories, joint = restart.histories(type(entry.value)), restart.joint(type(entry.value))
        if not histories and not joint:
            continue
        own = {owner[at] for at in owner if at[: len(entry.path)] == entry.path}
        new = set(map(restart.leaf_name, own & anew))
        for field in histories:
            path = (*entry.path, jax.tree_util.GetAttrKey(field))
            counts[path] = restart.started_anew(numbers.get(path, firsts[path]), firsts[path], new, gone)
        for field in joint if new else ():
            path = (*entry.path, jax.tree_util.GetAttrKey(field))
            counts[path] = firsts[path]
    return repacked(jax.tree_util.tree_map_with_path(counts.get, carried), packed)
