"""Lookahead on Optax's pair of parameters: the fast ones, and the slow ones that follow them."""

from typing import Any

import jax
import jax.numpy as jnp

import gradtx
from gradtx.compat.optax.base import OptState, Pair, Params, Updated, Updates
from gradtx.compat.optax.states import LookaheadParams, LookaheadState
from gradtx.compat.optax.table import translation
from gradtx.wrappers.lookahead import LookaheadState as OurState


@translation("fast_optimizer:inner! sync_period:int! slow_step_size:float! reset_state", gradtx.lookahead)
def lookahead(own: Pair, fast_optimizer: Pair, sync_period: int, **_: Any) -> Pair:
    """Let an optimizer run ahead, then move a share of the way after it; see `gradtx.lookahead`.

    State: `LookaheadState(fast_state, steps_since_sync)`. Parameters and updates are `LookaheadParams(fast, slow)`,
        and gradients are those of the fast ones.

    Raises:
        ValueError: `sync_period` below 1.
        TypeError: from `update`, other parameters. `init` takes plain ones too.
    """
    if sync_period < 1:
        raise ValueError(f"lookahead: sync_period must be at least 1, got {sync_period!r}")

    def init(params: Params) -> OptState:
        return LookaheadState(fast_optimizer.init(getattr(params, "fast", params)), jnp.zeros((), jnp.int32))

    def update(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> Updated:
        if not isinstance(params, LookaheadParams):
            raise TypeError(f"lookahead: params must be LookaheadParams, got {type(params).__name__}")
        before = OurState(state.fast_state, state.steps_since_sync, params.slow)
        updates, after = own.update(updates, before, params.fast, **extra_args)
        moved = jax.tree.map(jnp.subtract, after.slow, params.slow)
        return LookaheadParams(updates, moved), LookaheadState(after.fast_state, after.steps_since_sync)

    return Pair(init, update)
