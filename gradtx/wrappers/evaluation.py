"""Evaluation parameters: the ones to measure and keep, where an optimizer trains with others."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp

from gradtx.core import errors
from gradtx.core.border import widely
from gradtx.core.codecs.coded import opened
from gradtx.core.errors import is_none, path_str
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
    paths, treedef = jax.tree_util.tree_flatten_with_path(params, is_leaf=is_none)
    chosen = [p for _, p in paths]
    for node in outermost(state, _can_evaluate):
        for i, x in enumerate(treedef.flatten_up_to(opened(node).evaluation_params(params))):
            path, p = paths[i]
            if x is p:
                continue
            if chosen[i] is not p:
                raise ValueError(f"evaluation_params: two wrappers average the parameter at {path_str(path)}")
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
    try:
        columns = [treedef.flatten_up_to(slot) for slot in slots]
    except ValueError:
        errors.structure_mismatch(name, "state", params, slots[0])

    def evaluate(p: Any, *s: Any) -> Any:
        if p is None or any(isinstance(x, MaskedNode) for x in s):
            return p
        p = jnp.asarray(p)
        mixed = jax.numpy_dtype_promotion("standard") if jnp.iscomplexobj(p) else nullcontext()
        with mixed:
            return jnp.array(widely(formula)(p, *s), copy=True)

    return treedef.unflatten([evaluate(p, *s) for p, *s in zip(leaves, *columns, strict=True)])


def _can_evaluate(x: Any) -> bool:
    return callable(getattr(x, "evaluation_params", None))
