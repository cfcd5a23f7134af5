"""Lookahead: slow weights that follow fast ones every few steps."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gradtx.combine.around import around
from gradtx.core.degree import of
from gradtx.core.fields import InnerState
from gradtx.core.hyperparameters import FractionNumber, PositiveInt
from gradtx.core.leafwise import leafwise
from gradtx.core.restart import counted_like
from gradtx.core.rules import keep_type
from gradtx.core.slots import CopySlot
from gradtx.core.transformation import Inner, Pair, ours, transformation
from gradtx.core.typing import Array, ArrayLike, PyTree
from gradtx.wrappers.evaluation import from_slots


class LookaheadState(NamedTuple):
    fast_state: InnerState  # the fast optimizer's
    steps_since_sync: Array  # int32, from 0 to sync_period - 1
    slow: CopySlot  # the slow weights, a tree like the parameters

    def evaluation_params(self, params: PyTree) -> PyTree:
        """The slow weights."""
        return from_slots("lookahead", lambda p, slow: slow, params, self.slow)


def lookahead_rule(
    u: Array, s: LookaheadState, p: Array, *, slow_step_size: ArrayLike, sync: Array
) -> tuple[Array, LookaheadState]:
    """At a sync: slow <- slow + alpha (p + u - slow), and the update leads there; else u."""
    slow = jnp.where(sync > 0, (1 - slow_step_size) * s.slow + slow_step_size * (p + u), s.slow)
    return jnp.where(sync > 0, slow - p, u), s._replace(slow=slow)


def synced(state: LookaheadState, sync_period: int) -> dict[str, Array]:
    """Whether the slow weights move at this step, and the steps since they did."""
    steps = state.steps_since_sync + 1
    sync = steps == sync_period
    return {"sync": sync, "steps_since_sync": jnp.where(sync, 0, steps)}


@transformation(degree=of("fast_optimizer"))
def lookahead(
    fast_optimizer: Inner, sync_period: PositiveInt, slow_step_size: FractionNumber, *, reset_state: bool = False
) -> Pair:
    """Let an optimizer run ahead, then move a share of the way after it.

    The parameters are the fast weights. Per leaf, with u the fast optimizer's update:

        theta <- theta + u
        every sync_period steps: slow <- slow + slow_step_size (theta - slow); theta <- slow

    Args:
        fast_optimizer: the optimizer of the fast weights.
        sync_period: k >= 1, the steps between two moves of the slow weights; the paper: 5 to 10.
        slow_step_size: alpha in [0, 1]; the paper: 0.5 to 0.8. With 1 nothing but rounding changes, with 0 nothing
            is learned.
        reset_state: whether the optimizer's state starts anew after each move (the paper keeps it).

    State: `LookaheadState(fast_state, steps_since_sync, slow)`, the optimizer's state and one value per parameter.
        `evaluation_params` gives the slow weights.

    Source: Zhang et al. 2019, Algorithm 1, arXiv:1907.08610; differs: nothing. Optax keeps the slow weights in
        the parameters, as `LookaheadParams(fast, slow)`; here the parameters stay plain.
    """
    tx = ours(fast_optimizer)
    no_steps = lambda params: jnp.zeros((), jnp.int32)
    slow = leafwise(
        lookahead_rule, LookaheadState, reduce=synced, slow_step_size=slow_step_size, sync_period=sync_period,
        steps_since_sync=no_steps,
    )  # fmt: skip
    pair = around(tx, slow.named("lookahead"))
    if not reset_state:
        return pair

    def update(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, LookaheadState]:
        updates, state = pair.update(updates, state, params, **extra)
        start = jax.tree.map(keep_type, counted_like(tx.init(params), state.fast_state), state.fast_state)
        again = lambda first, x: jnp.where(state.steps_since_sync == 0, first, x)
        return updates, state._replace(fast_state=jax.tree.map(again, start, state.fast_state))

    return pair._replace(update=update)
