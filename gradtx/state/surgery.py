"""Carry a state over to parameters that were replaced, added, removed, or changed in shape."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gradtx.core.errors import is_none
from gradtx.core.selection import resolve_mask
from gradtx.core.transformation import GradientTransformation, as_transformation
from gradtx.core.typing import Mask, PyTree
from gradtx.state.slots import Path, check_state, owners


def reset(tx: GradientTransformation, state: PyTree, params: PyTree, mask: Mask = None) -> PyTree:
    """Start the slots of some parameters anew, for instance of a head that was replaced.

        state = gradtx.reset(tx, state, params, "head/**")

    Args:
        tx: the optimizer.
        state: its state.
        params: the parameters as they are now.
        mask: which parameters; as in `masked`. None is all of them, step counts still not.

    Returns:
        The state: slots of the chosen parameters as in `tx.init(params)`, all else the very arrays of `state`.
        What belongs to several parameters at once (a step count, the vector of `flatten`) is kept.

    Raises:
        ValueError: a state that is not one of `tx` for `params`, or a mask that does not fit.
    """
    chosen = resolve_mask("reset", mask, params)
    changed = {path for path, keep in jax.tree_util.tree_leaves_with_path(chosen) if keep}
    return _carry("reset", tx, state, params, params, changed, lambda old, fresh: fresh)


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
        `state`; those of the others start as in `tx.init(new_params)`. What belongs to several parameters at once is
        kept where its shape still fits, so step counts go on.

    Raises:
        ValueError: a state that is not one of `tx` for `old_params`.
    """
    changed = _changed(old_params, new_params)
    return _carry("extend", tx, state, old_params, new_params, changed, lambda old, fresh: fresh)


def resize(tx: GradientTransformation, state: PyTree, old_params: PyTree, new_params: PyTree) -> PyTree:
    """Carry a state over to parameters that grew or shrank: `extend`, but their slots are padded or cropped.

    Along every axis the leading elements that old and new have in common are kept; the rest is as in
    `tx.init(new_params)`. A slot with another number of axes starts anew.

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
    return _carry("resize", tx, state, old_params, new_params, _changed(old_params, new_params), _overlap)


def _overlap(old: Any, fresh: Any) -> Any:
    """`fresh` with the leading corner that it has in common with `old` taken from there."""
    if old.ndim != fresh.ndim or jnp.issubdtype(fresh.dtype, jax.dtypes.prng_key):
        return old if old.shape == fresh.shape else fresh
    corner = tuple(slice(0, min(a, b)) for a, b in zip(old.shape, fresh.shape, strict=True))
    return fresh.at[corner].set(old[corner].astype(fresh.dtype))


def _changed(old_params: PyTree, new_params: PyTree) -> set[Path]:
    """The paths of parameters that are new or have another shape or dtype."""
    kind = lambda p: None if p is None else (jnp.shape(p), jnp.result_type(p))
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
    merge: Callable[[Any, Any], Any],
) -> PyTree:
    """A fresh state for the new parameters, with what did not change taken from `state`, and the rest merged."""
    check_state(name, tx, state, old_params)
    owner, olds = owners(tx, new_params), dict(jax.tree_util.tree_leaves_with_path(state))

    def at(path: Path, fresh: Any) -> Any:
        if path not in olds:
            return fresh
        old = olds[path]
        if path in owner and owner[path] in changed:
            return merge(old, fresh)
        same = jnp.shape(old) == jnp.shape(fresh) and jnp.result_type(old) == jnp.result_type(fresh)
        return old if same else fresh

    return jax.tree_util.tree_map_with_path(at, as_transformation(tx).init(new_params))
