"""Lookahead: slow weights that follow fast ones every few steps."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gradtx.core import precision
from gradtx.core.degree import of
from gradtx.core.fields import InnerState
from gradtx.core.hyperparameters import FractionNumber, PositiveInt, SlotDType
from gradtx.core.leafwise import leafwise
from gradtx.core.restart import counted_like
from gradtx.core.slots import Slot, copy
from gradtx.core.transformation import Inner, Pair, as_transformation, transformation
from gradtx.core.typing import Array, ArrayLike, PyTree
from gradtx.wrappers.evaluation import from_slots


class LookaheadState(NamedTuple):
    """State of `lookahead`."""

    fast_state: InnerState  # the fast optimizer's
    steps_since_sync: Array  # int32, from 0 to sync_period - 1
    slow: Slot  # the slow weights, a tree like the parameters

    def evaluation_params(self, params: PyTree) -> PyTree:
        """The slow weights."""
        return from_slots("lookahead", lambda p, slow: slow, params, self.slow)


class SlowState(NamedTuple):
    """What `lookahead_rule` keeps."""

    slow: Slot  # the slow weights


def lookahead_rule(
    u: Array, s: SlowState, p: Array, *, slow_step_size: ArrayLike, sync: Array
) -> tuple[Array, SlowState]:
    """At a sync: slow <- slow + alpha (p + u - slow), and the update leads there; else u."""
    slow = jnp.where(sync > 0, (1 - slow_step_size) * s.slow + slow_step_size * (p + u), s.slow)
    return jnp.where(sync > 0, slow - p, u), SlowState(slow)


@transformation(degree=of("fast_optimizer"))
def lookahead(
    fast_optimizer: Inner, sync_period: PositiveInt, slow_step_size: FractionNumber, *,
    reset_state: bool = False, slow_dtype: SlotDType = None,
) -> Pair:  # fmt: skip
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
        slow_dtype: the dtype of the slow weights; by default the parameter's, float32 where that is narrower.

    State: `LookaheadState(fast_state, steps_since_sync, slow)`, the optimizer's state and one value per parameter.
        `evaluation_params` gives the slow weights.

    Source: Zhang et al. 2019, Algorithm 1, arXiv:1907.08610; differs: nothing. Optax keeps the slow weights in
        the parameters, as `LookaheadParams(fast, slow)`; here the parameters stay plain.
    """
    tx = as_transformation(fast_optimizer)
    given = lambda sync: {"sync": sync}
    slow = leafwise(lookahead_rule, SlowState, reduce=given, slow=copy(slow_dtype), slow_step_size=slow_step_size)
    slow = slow.named("lookahead")

    def init(params: PyTree) -> LookaheadState:
        return LookaheadState(tx.init(params), jnp.zeros((), jnp.int32), slow.init(params).slow)

    def update(
        updates: PyTree, state: LookaheadState, params: PyTree = None, **extra: Any
    ) -> tuple[PyTree, LookaheadState]:
        fast, fast_state = tx.update(precision.widen(updates), state.fast_state, params, **extra)
        steps = state.steps_since_sync + 1
        sync = steps == sync_period
        fast, new = slow.update(fast, SlowState(state.slow), params, sync=sync)
        if reset_state:
            start = counted_like(tx.init(params), fast_state)
            fast_state = jax.tree.map(lambda a, b: jnp.where(sync, a, b), start, fast_state)
        new_state = LookaheadState(fast_state, jnp.where(sync, 0, steps), new.slow)
        return precision.round_like(fast, updates), new_state

    return Pair(init, update, "numbers", LookaheadState, {"steps_since_sync": 0})
