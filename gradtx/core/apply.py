"""Applying updates to parameters."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gradtx.core import precision
from gradtx.core.at_once import calling
from gradtx.core.each import each
from gradtx.core.eager import compiled, outside
from gradtx.core.errors import is_none, path_str, structure_mismatch
from gradtx.core.lying import lying_as, shielded
from gradtx.core.one_pass import in_one_pass
from gradtx.core.stacks import Packed
from gradtx.core.transformation import GradientTransformation, Pair, as_transformation
from gradtx.core.typing import Array, DType, Extra, PyTree
from gradtx.core.varying import vary_like


def apply_updates(params: PyTree, updates: PyTree) -> PyTree:
    """theta + u for every leaf, added in float32 or wider and rounded once to the parameter's dtype.

    Args:
        params: parameters; a None stays None.
        updates: the same tree of what to add; where it has None, or what `jax.grad` gives for integers (float0), the
            parameter stays as it is.

    Returns:
        The new parameters, of the shapes and dtypes of `params`, lying as these do.

    Raises:
        ValueError: the trees, or the shapes of two leaves, differ.
        TypeError: an update that is no number for its parameter: fractional for an integer, complex for a real one.
    """
    return _apply_eagerly(params, updates) if outside() else _apply(params, updates)


@compiled
def _apply_eagerly(params: PyTree, updates: PyTree) -> PyTree:
    return in_one_pass(lambda params, _, updates: (_apply(params, updates), ()), params, (), updates, in_place=False)[0]


def _apply(params: PyTree, updates: PyTree) -> PyTree:
    return lying_as(_added(shielded(params), updates), params)


def _added(params: PyTree, updates: PyTree) -> PyTree:
    """The sums; they lie as they may."""
    leaves, treedef = jax.tree_util.tree_flatten_with_path(params, is_leaf=is_none)
    try:
        matched = treedef.flatten_up_to(updates)
    except ValueError:
        structure_mismatch("apply_updates", "params", updates, params)
    results = [p for _, p in leaves]
    moved = [k for k, ((path, p), u) in enumerate(zip(leaves, matched, strict=True)) if _moves(path, p, u)]
    for k, sum_ in zip(moved, each(_add, [(results[k], matched[k]) for k in moved]), strict=True):
        results[k] = sum_
    return treedef.unflatten(results)


def _moves(path: Any, p: Any, u: Any) -> bool:
    """Whether an update is there to be added to its parameter, and can be."""
    if p is None or u is None or precision.dtype_of(u) == jax.dtypes.float0:
        return False
    if jnp.shape(p) != jnp.shape(u):
        raise ValueError(
            f"apply_updates: params and updates differ at {path_str(path)}: {jnp.shape(p)} != {jnp.shape(u)}"
        )
    dtype, given = precision.dtype_of(p), precision.dtype_of(u)
    if given != dtype and _kind(given) > _kind(dtype):
        kinds = f"is {given}, which cannot be added to {dtype}"
        raise TypeError(f"apply_updates: the update at {path_str(path)} {kinds}")
    return True


def _add(leaf: tuple[Any, Any]) -> Array:
    p, u = leaf
    dtype = jnp.result_type(p)
    wide = precision.promote(precision.compute_dtype(dtype), precision.compute_dtype(jnp.result_type(u)))
    return precision.narrow(precision.cast(p, wide) + precision.cast(u, wide), dtype)


def _kind(dtype: DType) -> int:
    return jnp.issubdtype(dtype, jnp.inexact) + jnp.issubdtype(dtype, jnp.complexfloating)


def step(tx: GradientTransformation, params: PyTree, state: Any, grads: PyTree, **extra: Any) -> tuple[PyTree, Any]:
    """One whole step: update, then apply, rounded once to the parameters' dtype.

    Under `jit` it is one equation, of which a backend makes one pass over memory where there is one for the device.

    The order of arguments and results is the one in which XLA can reuse the buffers of donated `params` and `state`:
    `jax.jit(gradtx.step, donate_argnums=(1, 2))`.

    Args:
        tx: the optimizer.
        params: the parameters.
        state: its state, from `tx.init(params)` or from the step before.
        grads: the gradients, of the tree and shapes of `params`; of packed params (`pack`) packed or not.
        **extra: passed on to `update`.

    Returns:
        The new parameters and the new state.
    """
    if isinstance(params, Packed) and not isinstance(grads, Packed):
        grads = params.like(grads)
    if any(map(callable, extra.values())):
        return _step(as_transformation(tx), params, state, grads, extra)
    operands = (params, state, grads, extra)
    with calling(_step, as_transformation(tx), operands, _step_eagerly) as call:
        return call(*operands)
    return _step(as_transformation(tx), *operands)


def _step_eagerly(
    remake: Callable[[Any], GradientTransformation], numbers: Any, params: PyTree, state: Any, grads: PyTree,
    extra: Extra,
) -> Any:  # fmt: skip
    return _step(remake(numbers), params, state, grads, extra, in_place=False)


def _step(
    tx: GradientTransformation, params: PyTree, state: Any, grads: PyTree, extra: Extra, *,
    in_place: bool = True,
) -> Any:  # fmt: skip
    pair, inside = tx.made_as().build(), tx.inside
    update = pair.free if isinstance(pair, Pair) and pair.free else tx.update

    def whole(params: PyTree, state: Any, grads: PyTree) -> tuple[PyTree, Any]:
        if isinstance(inside, Pair) and inside.lands:
            new, after = inside.lands(precision.widen(grads), state, params, **extra)
            return new, vary_like(after, state)
        updates, state = update(precision.widen(grads), state, params, **extra)
        return _added(params, updates), state

    new, state = in_one_pass(whole, shielded(params), state, grads, in_place=in_place)
    return lying_as(new, params), state
