"""Sharpness-aware minimisation under Optax's protocol: several climbs, hidden in one update or not."""

from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gradtx.compat.optax import base
from gradtx.compat.optax.base import OptState, Pair, Params, Updated, Updates, expose
from gradtx.compat.optax.combine import chain
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.transforms.spelled import made
from gradtx.wrappers import sam as wrapper

NormalizeState = base.EmptyState


class SAMState(NamedTuple):
    """State of `sam`."""

    steps_since_sync: jax.Array
    opt_state: OptState
    adv_state: OptState
    cache: Params | None


def normalize() -> Pair:
    """Give the whole update the norm 1; zeros stay zeros."""
    return expose(wrapper.scale_to_norm, 1.0)


@remembered
def sam(
    optimizer: base.GradientTransformation, adv_optimizer: base.GradientTransformation, sync_period: int = 2,
    reset_state: bool = True, opaque_mode: bool = False, batch_axis_name: str | None = None,
) -> Pair:  # fmt: skip
    """Give an optimizer the gradient at a point uphill from the parameters; see `gradtx.sharpness_aware`.

    Args:
        optimizer: takes the step down.
        adv_optimizer: leads downhill, and is followed in the other direction.
        sync_period: one more than the climbs before each step down.
        reset_state: whether the climbs start anew after each step down.
        opaque_mode: whether an update has all climbs and the step down in it. It needs an extra argument then:
            `grad_fn`, a function `(params, climb) -> gradients`.
        batch_axis_name: the mapped axis that the gradients of `grad_fn` are averaged over.

    State: `SAMState(steps_since_sync, opt_state, adv_state, cache)`; cache is None in the opaque mode.

    Raises:
        ValueError: `sync_period` below 1; from `update` in the opaque mode, no `grad_fn`.
    """
    if sync_period < 1:
        raise ValueError(f"sam: sync_period must be at least 1, got {sync_period!r}")
    climb = chain(adv_optimizer, made.scale(-1.0))
    tx = expose(
        wrapper.sharpness_aware, base.with_extra_args_support(optimizer), climb, climbs=sync_period - 1,
        reset_climb=reset_state, alternate=not opaque_mode,
    )  # fmt: skip

    def init(params: Params) -> OptState:
        return _pack(tx.init(params))

    def update(updates: Updates, state: OptState, params: Params, **extra_args: Any) -> Updated:
        if opaque_mode:
            extra_args["grad_fn"] = _gradients(extra_args.get("grad_fn"), batch_axis_name)
        updates, own = tx.update(updates, _unpack(state), params, **extra_args)
        return updates, _pack(own)

    return Pair(init, update)


def _pack(own: Any) -> SAMState:
    opt_state, (adv_state, _) = own.opt_state, own.adv_state
    if isinstance(own, wrapper.SAMState):
        return SAMState(jnp.zeros((), jnp.int32), opt_state, adv_state, None)
    return SAMState(own.steps_since_sync, opt_state, adv_state, own.cache)


def _unpack(state: SAMState) -> Any:
    adv_state = (state.adv_state, base.EmptyState())
    if state.cache is None:
        return wrapper.SAMState(state.opt_state, adv_state)
    return wrapper.AlternatingSAMState(state.steps_since_sync, state.opt_state, adv_state, state.cache)


def _gradients(grad_fn: Callable[[Params, int], Params] | None, axis_name: str | None) -> Callable[[Params], Params]:
    """`grad_fn` as a function of the parameters that counts its calls."""
    if grad_fn is None:
        raise ValueError("sam: the opaque mode needs grad_fn: call update(updates, state, params, grad_fn=...)")
    calls = count()

    def gradients(params: Params) -> Params:
        grads = grad_fn(params, next(calls))
        return grads if axis_name is None else jax.lax.pmean(grads, axis_name)

    return gradients
