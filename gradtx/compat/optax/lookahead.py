"""Lookahead on Optax's pair of parameters: the fast ones, and the slow ones that follow them."""

from typing import Any

import jax
import jax.numpy as jnp

from gradtx.compat.optax.base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    OptState,
    Params,
    Updates,
    expose,
    with_extra_args_support,
)
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.states import LookaheadParams, LookaheadState
from gradtx.wrappers import lookahead as wrapper


@remembered
def lookahead(
    fast_optimizer: GradientTransformation, sync_period: int, slow_step_size: float, reset_state: bool = False
) -> GradientTransformationExtraArgs:
    """Let an optimizer run ahead, then move a share of the way after it; see `gradtx.lookahead`.

    Args:
        fast_optimizer: the optimizer of the fast parameters.
        sync_period: the steps between two moves of the slow parameters.
        slow_step_size: the share.
        reset_state: whether the optimizer's state starts anew after each move.

    State: `LookaheadState(fast_state, steps_since_sync)`. Parameters and updates are `LookaheadParams(fast, slow)`,
        and gradients are those of the fast ones.

    Raises:
        ValueError: `sync_period` below 1.
        TypeError: from `update`, other parameters. `init` takes plain ones too.
    """
    if sync_period < 1:
        raise ValueError(f"lookahead: sync_period must be at least 1, got {sync_period!r}")
    fast = with_extra_args_support(fast_optimizer)
    ahead = expose(wrapper.lookahead, fast, sync_period, slow_step_size, reset_state=reset_state)

    def init(params: Params) -> OptState:
        return LookaheadState(fast.init(getattr(params, "fast", params)), jnp.zeros((), jnp.int32))

    def update(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> tuple[Updates, OptState]:
        if not isinstance(params, LookaheadParams):
            raise TypeError(f"lookahead: params must be LookaheadParams, got {type(params).__name__}")
        own = wrapper.LookaheadState(state.fast_state, state.steps_since_sync, params.slow)
        updates, own = ahead.update(updates, own, params.fast, **extra_args)
        moved = jax.tree.map(jnp.subtract, own.slow, params.slow)
        return LookaheadParams(updates, moved), LookaheadState(own.fast_state, own.steps_since_sync)

    return GradientTransformationExtraArgs(init, update)
