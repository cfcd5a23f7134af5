"""MoMo: momentum and Adam with a step size from the loss, a Polyak step size for averaged losses and gradients."""

from typing import NamedTuple

import jax.numpy as jnp

from gradtx.core import tree
from gradtx.core.averages import abs_sq, debias, divide_up_to, ema, missing_weight, saturate, sqrt
from gradtx.core.extras import one_number
from gradtx.core.fields import Count, Scalar
from gradtx.core.hyperparameters import Decay, NonNegative, Number, Positive
from gradtx.core.lifted import lifted
from gradtx.core.precision import cast
from gradtx.core.slots import PositiveSlot, Slot
from gradtx.core.typing import Array, ArrayLike, PyTree


class MomoState(NamedTuple):
    exp_avg: Slot  # m, running average of g
    barf: Scalar  # f, running average of the loss
    gamma: Scalar  # c, running average of <g, theta>
    lb: Scalar  # lower bound of the loss
    count: Count  # steps taken, int32


class MomoAdamState(NamedTuple):
    exp_avg: Slot  # m, running average of g
    exp_avg_sq: PositiveSlot  # v, running average of |g|^2
    barf: Scalar  # f, running average of the loss
    gamma: Scalar  # c, running average of <g, theta>
    lb: Scalar  # lower bound of the loss
    count: Count  # steps taken, int32


def momo_rule(
    g: Array, s: MomoState, p: Array, *, beta: ArrayLike, step_size: Array, shrink: ArrayLike, weight: Array,
    bias_correction: bool,
) -> tuple[Array, MomoState]:  # fmt: skip
    """u = (theta - step_size m) / (1 + shrink) - theta, a step size for m of the weight that the run's has."""
    m = ema(s.exp_avg, g, beta if bias_correction else jnp.where(s.count == 1, 0, beta))
    if bias_correction:
        step_size = step_size * (weight / missing_weight(beta, cast(s.count, m.real.dtype)))
    return -(step_size * m + shrink * p) / (1 + shrink), s._replace(exp_avg=m)


def momo_adam_rule(
    g: Array, s: MomoAdamState, p: Array, *, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike, step_size: Array,
    shrink: ArrayLike, weight: Array,
) -> tuple[Array, MomoAdamState]:  # fmt: skip
    """u = (theta - step_size m / (sqrt(v / (1 - b2^t)) + eps)) / (1 + shrink) - theta, that as in `momo_rule`."""
    m = ema(s.exp_avg, g, b1)
    v = ema(s.exp_avg_sq, abs_sq(g), b2)
    step_size = step_size * (weight / missing_weight(b1, cast(s.count, v.dtype)))
    u = step_size * m / (sqrt(debias(v, b2, s.count)) + eps)
    return -(u + shrink * p) / (1 + shrink), s._replace(exp_avg=m, exp_avg_sq=v)


def momo_numbers(
    updates: PyTree, state: MomoState, params: PyTree, value: Array, learning_rate: Array, beta: Array,
    lower_bound: Array, weight_decay: Array | None, adapt_lower_bound: bool, bias_correction: bool,
) -> dict[str, ArrayLike]:  # fmt: skip
    """The averages after this step, the step size, and the new lower bound."""
    count = state.count.astype(state.barf.dtype) + 1
    decay = beta if bias_correction else jnp.where(state.count == 0, 0, beta)
    weight = missing_weight(beta, count) if bias_correction else jnp.ones_like(count)
    norm_sq = tree.sum_of(lambda m, g: abs_sq(ema(m, g, decay)), state.exp_avg, updates)
    value = one_number("momo", "value", value)
    common = updates, state, params, value, learning_rate, decay, lower_bound, weight_decay
    return step_numbers(*common, adapt_lower_bound, weight, norm_sq)


def momo_adam_numbers(
    updates: PyTree, state: MomoAdamState, params: PyTree, value: Array, learning_rate: Array, b1: Array, b2: Array,
    eps: Array, lower_bound: Array, weight_decay: Array | None, adapt_lower_bound: bool,
) -> dict[str, ArrayLike]:  # fmt: skip
    """The same with the norm that Adam's denominator makes."""
    count = state.count.astype(state.barf.dtype) + 1
    weight, weight_sq = missing_weight(b1, count), missing_weight(b2, count)

    def length_sq(m: Array, g: Array, v: Array) -> Array:
        return abs_sq(ema(m, g, b1)) / (sqrt(ema(v, abs_sq(g), b2) / weight_sq) + eps)

    norm_sq = tree.sum_of(length_sq, state.exp_avg, updates, state.exp_avg_sq)
    value = one_number("momo_adam", "value", value)
    common = updates, state, params, value, learning_rate, b1, lower_bound, weight_decay
    return step_numbers(*common, adapt_lower_bound, weight, norm_sq)


def step_numbers(
    updates: PyTree, state: MomoState | MomoAdamState, params: PyTree, value: Array, learning_rate: Array, decay: Array,
    lower_bound: Array, weight_decay: Array | None, adapt_lower_bound: bool, weight: Array, norm_sq: Array,
) -> dict[str, ArrayLike]:  # fmt: skip
    """tau = min(eta / rho, max(a (f - rho lb - c) + <m, theta>, 0) / ||m||^2), a = 1 + eta lambda, rho = `weight`."""
    shrink = 0.0 if weight_decay is None else learning_rate * weight_decay
    f = ema(state.barf, value, decay)
    c = ema(state.gamma, tree.vdot(updates, params), decay)
    inner = tree.sum_of(lambda m, g, p: jnp.conj(ema(m, g, decay)) * p, state.exp_avg, updates, params)
    norm_sq = saturate(norm_sq)
    lb = state.lb
    if adapt_lower_bound:  # too high a bound would stop: lower it
        cap = (f - c + inner / (1 + shrink)) / weight
        lb = jnp.where(cap < lb, jnp.maximum(cap / 2, lower_bound), lb)
    gap = jnp.maximum((1 + shrink) * (f - weight * lb - c) + inner, 0)
    tau = divide_up_to(gap, norm_sq, learning_rate / weight)
    if adapt_lower_bound:
        lb = jnp.maximum((f + inner - c - tau * norm_sq / 2) / weight, lower_bound)
    return {"step_size": tau, "shrink": shrink, "weight": weight, "barf": f, "gamma": c, "lb": lb}


@lifted(momo_rule, MomoState, reduce=momo_numbers)
def momo(
    learning_rate: NonNegative = 1.0, beta: Decay = 0.9, lower_bound: Number = 0.0,
    weight_decay: NonNegative | None = None, adapt_lower_bound: bool = False, *, bias_correction: bool = False,
):  # fmt: skip
    """MoMo: momentum whose step size is the largest that a lower bound of the loss allows, up to the learning rate.

    Call `update(updates, state, params, value=loss)`. m, f and c are running averages of g, of the loss and of
    <g, theta>, each started at its first value. With a = 1 + eta lambda, over the whole tree:

        tau   <- min(eta, max(a (f - lb - c) + <m, theta>, 0) / ||m||^2)
        theta <- (theta - tau m) / a

    Args:
        learning_rate: eta >= 0, the largest step size, or a schedule.
        beta: in [0, 1), decay of the averages.
        lower_bound: lb, below every loss; 0 suits most.
        weight_decay: lambda >= 0, or None. It is proximal, after the step, and tau takes it into account.
        adapt_lower_bound: estimate lb on the way, never below `lower_bound`.
        bias_correction: start the averages at 0 instead, with rho = 1 - beta^t: min(eta / rho, ..), rho lb for lb.

    Source: Schaipp et al. 2024, arXiv:2305.07583, Algorithm 1. In Optax a divides theta alone, not the step.
    """
    return {"lb": lower_bound}


@lifted(momo_adam_rule, MomoAdamState, reduce=momo_adam_numbers)
def momo_adam(
    learning_rate: NonNegative = 0.01, b1: Decay = 0.9, b2: Decay = 0.999, eps: Positive = 1e-8,
    lower_bound: Number = 0.0, weight_decay: NonNegative | None = None, adapt_lower_bound: bool = False,
):  # fmt: skip
    """MoMo-Adam: Adam whose step size is the largest that a lower bound of the loss allows, up to the learning rate.

    Call `update(updates, state, params, value=loss)`. m, f and c are running averages of g, of the loss and of
    <g, theta>, v that of |g|^2, all from 0. With a = 1 + eta lambda, rho = 1 - b1^t, D = sqrt(v / (1 - b2^t)) + eps:

        tau   <- min(eta / rho, max(a (f - rho lb - c) + <m, theta>, 0) / <m, m / D>)
        theta <- (theta - tau m / D) / a

    Args:
        learning_rate: eta >= 0, the largest step size, or a schedule.
        b1: in [0, 1), decay of the averages of g, loss and <g, theta>.
        lower_bound: lb, below every loss; 0 suits most.
        weight_decay: lambda >= 0, or None. It is proximal, after the step, and tau takes it into account.
        adapt_lower_bound: estimate lb on the way, never below `lower_bound`.

    Source: Schaipp et al. 2024, arXiv:2305.07583, Algorithm 2. In Optax a divides theta alone, not the step.
    """
    return {"lb": lower_bound}
