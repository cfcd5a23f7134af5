"""Sophia: averaged gradients divided by a running estimate of the Hessian's diagonal, and clipped."""

from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gradtx.combine.optimizer import optimizer
from gradtx.core import precision
from gradtx.core.averages import debias as debiased
from gradtx.core.averages import ema
from gradtx.core.fields import Count, GatedState
from gradtx.core.hyperparameters import Decay, KeyLike, NonNegative, Positive, PositiveNumber, PositiveTimes, Threshold
from gradtx.core.leafwise import leafwise
from gradtx.core.restart import of_run
from gradtx.core.slots import Slot
from gradtx.core.transformation import Inner, Pair, ours, transformation
from gradtx.core.typing import Array, ArrayLike, PyTree
from gradtx.transforms.curvature import gauss_newton_bartlett, hutchinson
from gradtx.transforms.decay import DecayKind


class SophiaState(NamedTuple):
    count: Count  # steps taken, int32
    mu: Slot  # running average of g
    nu: Slot  # running average of the estimates of the Hessian's diagonal
    hessian_fn_state: GatedState  # the estimator's


def sophia_rule(
    g: Array, s: SophiaState, *, b1: ArrayLike, eps: ArrayLike, gamma: ArrayLike, clip_threshold: ArrayLike,
    debias: bool,
) -> tuple[Array, SophiaState]:  # fmt: skip
    """u = m / max(gamma nu, eps), limited to clip_threshold, m the average of g."""
    mu = ema(s.mu, g, b1)
    m = debiased(mu, b1, s.count) if debias else mu
    return jnp.clip(m / jnp.maximum(gamma * s.nu, eps), -clip_threshold, clip_threshold), s._replace(mu=mu)


def curvature_rule(g: Array, s: SophiaState, *, b2: ArrayLike, due: Array) -> tuple[Array, SophiaState]:
    """nu <- average of the estimates g, where one is due and at a leaf's first step."""
    return g, s._replace(nu=jnp.where((due > 0) | (s.count == 1), ema(s.nu, g, b2), s.nu))


@transformation
def scale_by_sophia(
    curvature: Inner, b1: Decay = 0.965, b2: Decay = 0.99, eps: Positive = 1e-8, *, gamma: NonNegative = 0.01,
    clip_threshold: Threshold = 1.0, update_interval: PositiveTimes = 10, debias: bool = False, delayed: bool = False,
) -> Pair:  # fmt: skip
    """Divide the averaged gradient by a running estimate of the Hessian's diagonal, and clip it.

    Per leaf, at step t = 1, 2, ...:

        nu <- b2 nu + (1 - b2) h, h the estimate of `curvature`, at t = 1, 1 + k, 1 + 2 k, ... only
        mu <- b1 mu + (1 - b1) g
        u  <- mu / max(gamma nu, eps), limited to [-clip_threshold, clip_threshold]

    Args:
        curvature: a transformation that gives estimates, such as `hutchinson()`. It gets the extra arguments of
            `update`, and runs only at the steps that need it.
        b2: in [0, 1), decay of the average of the estimates.
        gamma: at least 0; larger clips less. The authors want 10 to 50 % of the elements to stay unclipped.
        update_interval: k >= 1, the steps from one estimate to the next.
        debias: whether mu / (1 - b1^t) stands for mu.
        delayed: whether an estimate serves from the step after it on; then the first step is made with nu = 0.

    State: `SophiaState(count, mu, nu, hessian_fn_state)`, two values per parameter.

    Source: Liu et al. 2023, Algorithm 3, arXiv:2305.14342. Optax 0.2.8 has `debias` and `delayed`; the authors'
        training loop has `delayed`.
    """
    estimator = ours(curvature)
    direction = leafwise(
        sophia_rule, SophiaState, real_only=True, b1=b1, eps=eps, gamma=gamma, clip_threshold=clip_threshold,
        debias=debias,
    ).named("scale_by_sophia")  # fmt: skip

    def init(params: PyTree) -> SophiaState:
        state = direction.init(params, hessian_fn_state=())
        return state._replace(hessian_fn_state=estimator.init(params))

    def update(updates: PyTree, state: SophiaState, params: PyTree = None, **extra: Any) -> tuple[PyTree, SophiaState]:
        count, due = state.count, of_run(state.count) % precision.cast(update_interval, jnp.int32) == 0

        def refreshed(state: SophiaState) -> SophiaState:
            estimate, inner_state = estimator.within(updates, state.hessian_fn_state, params, **extra)
            average = leafwise(curvature_rule, SophiaState, b2=b2, due=due).named("scale_by_sophia")
            _, averaged = average.update(estimate, state._replace(count=count))
            return state._replace(nu=averaged.nu, hessian_fn_state=inner_state)

        anyone = reduce(jnp.logical_or, [x == 0 for x in jax.tree.leaves(count)], due)
        refresh = lambda state: jax.lax.cond(anyone, refreshed, lambda state: state, state)
        if not delayed:
            return direction.update(updates, refresh(state))
        new, state = direction.update(updates, state)
        return new, refresh(state)

    return Pair(init, update, "numbers", SophiaState, direction.starts)


@optimizer(scale_by_sophia, curvature=hutchinson)
def sophia_h(
    learning_rate: NonNegative, b1: Decay = 0.965, b2: Decay = 0.99, eps: Positive = 1e-8, *, gamma: NonNegative = 0.01,
    clip_threshold: Threshold = 1.0, update_interval: PositiveTimes = 10, debias: bool = False, delayed: bool = False,
    key: KeyLike = 0, weight_decay: DecayKind = 1e-4,
):  # fmt: skip
    """Sophia-H: the Hessian's diagonal by Hutchinson's estimator.

    Call `update(updates, state, params, obj_fn=lambda params: loss(params, batch))`.
    """


@optimizer(scale_by_sophia, curvature=gauss_newton_bartlett)
def sophia_g(
    learning_rate: NonNegative, batch_size: PositiveNumber, b1: Decay = 0.965, b2: Decay = 0.99, eps: Positive = 1e-8,
    *, gamma: NonNegative = 0.05, clip_threshold: Threshold = 1.0, update_interval: PositiveTimes = 10,
    debias: bool = False, delayed: bool = False, key: KeyLike = 0, weight_decay: DecayKind = 1e-4,
):  # fmt: skip
    """Sophia-G: the Hessian's diagonal from sampled labels.

    Call `update(updates, state, params, sampled_obj_fn=loss)`.
    """
