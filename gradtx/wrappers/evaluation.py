"""Evaluation parameters: the ones to measure and keep, where an optimizer trains with others."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp

from gradtx.core import checks, precision
from gradtx.core.border import widely
from gradtx.core.codecs.coded import opened
from gradtx.core.each import each
from gradtx.core.errors import is_none, path_str
from gradtx.core.precision import is_narrow
from gradtx.core.selection import MaskedNode
from gradtx.core.typing import Array, PyTree
from gradtx.core.walk import outermost


def evaluation_params(state: Any, params: PyTree) -> PyTree:
    """The parameters to evaluate and to keep: an average, slow weights, or where nothing averages `params` themselves.

        loss = loss_fn(gradtx.evaluation_params(state, params))

    It works on the state of any optimizer, however deep the wrapper lies that has such parameters (`schedule_free`,
    `ema_params`, `swa_params`, `polyak_params`, `lookahead`, `sam(alternate=True)`); the outermost one counts.

    Args:
        state: the optimizer's state.
        params: the parameters being trained, which belong to it.

    Returns:
        Parameters of the tree and dtypes of `params`, in buffers of their own where they differ from them.

    Raises:
        ValueError: two wrappers, neither inside the other, have evaluation parameters for one leaf.
    """
    full = full_params(params, state)
    found = _from_nodes("evaluation_params", state, full)
    leaves, treedef = jax.tree.flatten(params, is_leaf=is_none)
    each = zip(leaves, treedef.flatten_up_to(full), treedef.flatten_up_to(found), strict=True)
    return treedef.unflatten([p if x is y else precision.narrow(x, precision.dtype_of(p)) for p, y, x in each])


def full_params(params: PyTree, state: Any) -> PyTree:
    """The parameters in full, where an optimizer keeps more of those of 16 bits than these hold (`kept`).

        saved = gradtx.full_params(params, state)

    Args:
        params: the parameters being trained.
        state: the state of the optimizer that belongs to them; `kept` may be anywhere in it.

    Returns:
        Parameters of the tree of `params`: of 32 bits where there is more of them, in buffers of their own; the others
        as they are. What is in full already stays so.

    Raises:
        ValueError: there is more of one leaf in two places of the state, or the state is of other parameters.
        TypeError: the state in place of the parameters.
    """
    if outermost(params, lambda x: callable(getattr(x, "full_params", None))):
        raise TypeError("full_params: wanted (params, state), got a state first")
    return _from_nodes("full_params", state, params)


def _from_nodes(method: str, state: Any, params: PyTree) -> PyTree:
    """What the outermost states that have a method make of the parameters."""
    paths, treedef = jax.tree_util.tree_flatten_with_path(params, is_leaf=is_none)
    chosen = [p for _, p in paths]
    for node in outermost(state, lambda x: callable(getattr(x, method, None))):
        for i, x in enumerate(treedef.flatten_up_to(getattr(opened(node), method)(params))):
            path, p = paths[i]
            if x is p:
                continue
            if chosen[i] is not p:
                raise ValueError(f"{method}: two wrappers average or keep the parameter at {path_str(path)}")
            chosen[i] = x
    return treedef.unflatten(chosen)


def from_slots(name: str, formula: Callable[..., Array], params: PyTree, *slots: PyTree) -> PyTree:
    """`formula(p, *slots)` for every leaf that a wrapper sees, in float32 or wider, rounded to the parameter's dtype.

    Args:
        name: the wrapper's, for errors.
        formula: of one parameter and its slots.
        params: the parameters.
        *slots: trees of the state; a masked leaf keeps its parameter.
    """
    leaves, treedef = jax.tree.flatten(params, is_leaf=is_none)
    columns = [checks.matched(name, "state", params, treedef, slot) for slot in slots]

    def evaluate(p: Any, *s: Any) -> Any:
        if p is None or any(isinstance(x, MaskedNode) for x in s):
            return p
        p = jnp.asarray(p)
        mixed = jax.numpy_dtype_promotion("standard") if jnp.iscomplexobj(p) else nullcontext()
        with mixed:
            return jnp.array(widely(formula)(p, *s), copy=True)

    return treedef.unflatten([evaluate(p, *s) for p, *s in zip(leaves, *columns, strict=True)])


def completed(name: str, formula: Callable[..., Array], params: PyTree, *slots: PyTree) -> PyTree:
    """`formula(p, *slots)` for every parameter that is narrower than maths on it, and has such slots.

    Args:
        name: the wrapper's, for errors.
        formula: of one parameter and its slots, as they are kept.
        params: the parameters.
        *slots: trees of the state, with () for what has none.
    """
    paths, treedef = jax.tree_util.tree_flatten_with_path(params, is_leaf=is_none)
    columns = [checks.matched(name, "state", params, treedef, slot) for slot in slots]
    leaves, narrow = [p for _, p in paths], list[int]()
    for k, ((path, p), *held) in enumerate(zip(paths, *columns, strict=True)):
        if not hasattr(p, "dtype") or not is_narrow(p.dtype) or any(isinstance(x, MaskedNode) for x in held):
            continue
        if any(isinstance(x, tuple) for x in held):
            kinds = f"is {p.dtype}, and the state was made for one of 32 bits: call init(params)"
            raise ValueError(f"{name}: the parameter at {path_str(path)} {kinds}")
        narrow.append(k)
    rows = [(leaves[k], *(column[k] for column in columns)) for k in narrow]
    for k, x in zip(narrow, each(lambda row: formula(*row), rows), strict=True):
        leaves[k] = x
    return treedef.unflatten(leaves)
