"""D-Adaptation and Prodigy: Adam whose learning rate is a bound on the distance to the solution, or an estimate."""

from typing import NamedTuple

import jax.numpy as jnp

from gradtx.combine.chain import chain
from gradtx.core import tree
from gradtx.core.averages import abs_sq, adam_correction, ema, safe_divide, sqrt
from gradtx.core.fields import Count, Scalar
from gradtx.core.hyperparameters import Decay, NonNegative, Positive, PositiveNumber
from gradtx.core.leafwise import leafwise
from gradtx.core.precision import cast
from gradtx.core.slots import CopySlot, PositiveSlot, Slot
from gradtx.core.transformation import transformation
from gradtx.core.typing import Array, ArrayLike, PyTree, TransformationLike
from gradtx.transforms.decay import DecayKind
from gradtx.transforms.own_decay import own_decay, with_decay


class DAdaptAdamWState(NamedTuple):
    exp_avg: Slot  # m, running average of k g
    exp_avg_sq: PositiveSlot  # v, running average of |g|^2
    grad_sum: Slot  # s, running average of k g, decay sqrt(b2)
    estim_lr: Scalar  # d, bound on the distance
    numerator_weighted: Scalar  # n, running average of k <g, s / (sqrt(v) + eps)>
    count: Count  # steps taken, int32


class ProdigyState(NamedTuple):
    exp_avg: Slot  # m, running average of d g
    exp_avg_sq: PositiveSlot  # v, running average of |d g|^2
    grad_sum: Slot  # s, decayed sum of k d / d0 g
    params0: CopySlot  # theta_0
    estim_lr: Scalar  # d, estimate of the distance
    numerator_weighted: Scalar  # n, decayed sum of k d / d0 <g, theta_0 - theta>
    count: Count  # steps taken, int32


def dadapt_rule(
    g: Array, s: DAdaptAdamWState, p: Array, *, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike, step_size: Array,
    weight_decay: ArrayLike | None,
) -> tuple[Array, DAdaptAdamWState]:  # fmt: skip
    """u = -m / (sqrt(v) + eps) - k weight_decay theta, k the step size, corrected."""
    k = step_size * adam_correction(b1, b2, cast(s.count, g.real.dtype))
    m = ema(s.exp_avg, k * g, b1)
    v = ema(s.exp_avg_sq, abs_sq(g), b2)
    u = -with_decay(m / (sqrt(v) + eps), k * p, weight_decay)
    return u, s._replace(exp_avg=m, exp_avg_sq=v, grad_sum=ema(s.grad_sum, k * g, b2**0.5))


def dadapt_numbers(
    updates: PyTree, state: DAdaptAdamWState, learning_rate: Array, b1: Array, b2: Array, eps: Array
) -> dict[str, Array]:
    """The step size k and the new numerator n, of s and v before this step."""
    d = state.estim_lr
    step_size = d * learning_rate
    k = step_size * adam_correction(b1, b2, state.count.astype(d.dtype) + 1)
    scaled = lambda g, s, v: jnp.conj(g) * s / (sqrt(v) + eps)
    product = tree.sum_of(scaled, updates, state.grad_sum, state.exp_avg_sq)
    return {"step_size": step_size, "numerator_weighted": ema(state.numerator_weighted, k * product, b2**0.5)}


def dadapt_estimate(state: DAdaptAdamWState, b2: Array) -> DAdaptAdamWState:
    """d <- max(d, n / ((1 - sqrt(b2)) ||s||_1))."""
    estimate = safe_divide(state.numerator_weighted, (1 - b2**0.5) * tree.norm_l1(state.grad_sum))
    return state._replace(estim_lr=jnp.maximum(state.estim_lr, estimate))


def prodigy_rule(
    g: Array, s: ProdigyState, p: Array, *, b1: ArrayLike, b2: ArrayLike, b3: ArrayLike, eps: ArrayLike, d: Array,
    d_eps: Array, step_size: Array, weight: Array, weight_decay: ArrayLike | None, bias_correction: bool,
) -> tuple[Array, ProdigyState]:  # fmt: skip
    """u = -k (m / (sqrt(v) + d_eps eps) + weight_decay theta), k the corrected step size, d_eps the old or new d."""
    m = ema(s.exp_avg, d * g, b1)
    v = ema(s.exp_avg_sq, abs_sq(d * g), b2)
    k = step_size * adam_correction(b1, b2, cast(s.count, v.dtype)) if bias_correction else step_size
    u = -k * with_decay(m / (sqrt(v) + d_eps * eps), p, weight_decay)
    return u, s._replace(exp_avg=m, exp_avg_sq=v, grad_sum=b3 * s.grad_sum + weight * g)


def prodigy_numbers(
    updates: PyTree, state: ProdigyState, params: PyTree, learning_rate: Array, b1: Array, b2: Array, b3: Array | None,
    estim_lr0: Array, estim_lr_coef: Array, safeguard_warmup: bool, bias_correction: bool, eps_of_new_d: bool,
) -> dict[str, Array]:  # fmt: skip
    """The step size k, the weight of g in s, the new numerator n, and the d that eps is multiplied by."""
    d, b3 = state.estim_lr, b2**0.5 if b3 is None else b3
    k = step_size = d * learning_rate
    if bias_correction:
        k = k * adam_correction(b1, b2, state.count.astype(d.dtype) + 1)
    progress = tree.sum_of(lambda g, p0, p: jnp.conj(g) * (p0 - p), updates, state.params0, params)
    n = b3 * state.numerator_weighted + d / estim_lr0 * k * progress
    weight = d / estim_lr0 * (d if safeguard_warmup else k)
    d_eps = d
    if eps_of_new_d:
        total = tree.sum_of(lambda s, g: jnp.abs(b3 * s + weight * g), state.grad_sum, updates)
        d_eps = jnp.maximum(d, safe_divide(estim_lr_coef * n, total))
    return {"d": d, "d_eps": d_eps, "step_size": step_size, "b3": b3, "weight": weight, "numerator_weighted": n}


def prodigy_estimate(state: ProdigyState, estim_lr_coef: Array) -> ProdigyState:
    """d <- max(d, coef n / ||s||_1)."""
    estimate = safe_divide(estim_lr_coef * state.numerator_weighted, tree.norm_l1(state.grad_sum))
    return state._replace(estim_lr=jnp.maximum(state.estim_lr, estimate))


@transformation
def dadapt_adamw(
    learning_rate: NonNegative = 1.0, b1: Decay = 0.9, b2: Decay = 0.999, eps: Positive = 1e-8,
    estim_lr0: PositiveNumber = 1e-6, *, weight_decay: DecayKind = None,
) -> TransformationLike:  # fmt: skip
    """AdamW by D-Adaptation: its learning rate is a lower bound d on the distance to the solution.

    At step t = 1, 2, ..., from d = d0, with r = sqrt(b2), k = eta d sqrt(1 - b2^t) / (1 - b1^t) and the inner product
    over the whole tree, of the old s and v:

        n <- r n + (1 - r) k <g, s / (sqrt(v) + eps)>
        m <- b1 m + (1 - b1) k g
        v <- b2 v + (1 - b2) |g|^2
        s <- r s + (1 - r) k g
        theta <- theta - m / (sqrt(v) + eps) - k lambda theta, then d <- max(d, n / ((1 - r) ||s||_1))

    Args:
        learning_rate: eta >= 0, a factor or a schedule whose largest value is 1.
        b1: in [0, 1), decay of the average of k g.
        estim_lr0: d0 > 0, a first estimate that is too small.
        weight_decay: None; a strength or `decoupled(..)`, the formula's lambda; or another kind.

    State: `DAdaptAdamWState`, three values per parameter; in a tuple where `coupled` or `independent` decay adds links.

    Source: Defazio & Mishchenko 2023, arXiv:2301.07733, and its code, where n is of the old v; differs: the factor
        sqrt(1 - b2^t) / (1 - b1^t) in k, as in Optax.
    """
    decay = own_decay(weight_decay, learning_rate)
    if decay.before or decay.after:
        return chain(*decay.before, dadapt_adamw(learning_rate, b1, b2, eps, estim_lr0), *decay.after)
    return leafwise(
        dadapt_rule, DAdaptAdamWState, reduce=dadapt_numbers, finish=dadapt_estimate, learning_rate=learning_rate,
        b1=b1, b2=b2, eps=eps, estim_lr=estim_lr0, weight_decay=decay.weight_decay, masks={"weight_decay": decay.mask},
    )  # fmt: skip


@transformation
def prodigy(
    learning_rate: NonNegative = 1.0, b1: Decay = 0.9, b2: Decay = 0.999, b3: Decay | None = None,
    eps: NonNegative = 1e-8, estim_lr0: PositiveNumber = 1e-6, estim_lr_coef: NonNegative = 1.0, *,
    safeguard_warmup: bool = False, bias_correction: bool = True, eps_of_new_d: bool = False,
    weight_decay: DecayKind = None,
) -> TransformationLike:  # fmt: skip
    """Prodigy: AdamW with an estimate d of the distance to the solution for its learning rate.

    At step t = 1, 2, ..., from d = d0, with k = eta d sqrt(1 - b2^t) / (1 - b1^t) and inner products over the tree:

        m <- b1 m + (1 - b1) d g
        v <- b2 v + (1 - b2) |d g|^2
        n <- b3 n + (d / d0) k <g, theta_0 - theta>
        s <- b3 s + (d / d0) k g, with `safeguard_warmup` d for k
        theta <- theta - k (m / (sqrt(v) + d eps) + lambda theta), then d <- max(d, coef n / ||s||_1)

    Args:
        learning_rate: eta >= 0, a factor or a schedule whose largest value is 1.
        b1: in [0, 1), decay of the average of d g.
        b2: in [0, 1), decay of the average of |d g|^2.
        b3: in [0, 1), decay of n and s; None means sqrt(b2).
        estim_lr0: d0 > 0, a first estimate that is too small.
        estim_lr_coef: coef >= 0, the factor to tune if one must.
        safeguard_warmup: leave the learning rate out of s, so that warm-up does not make d too large.
        bias_correction: without it k = eta d, as in the paper and in its code's default; Optax has it.
        eps_of_new_d: whether the denominator has the d of after this step.
        weight_decay: None; a strength or `decoupled(..)`, the formula's lambda; or another kind.

    State: `ProdigyState`, four values per parameter; in a tuple where `coupled` or `independent` decay adds links.

    Source: Mishchenko & Defazio 2024, arXiv:2306.06101, the Adam form. The denominator has d before this step's change,
        as in the paper; the authors' code and Optax have `eps_of_new_d`.
    """
    decay = own_decay(weight_decay, learning_rate)
    if decay.before or decay.after:
        bare = prodigy(
            learning_rate, b1, b2, b3, eps, estim_lr0, estim_lr_coef, safeguard_warmup=safeguard_warmup,
            bias_correction=bias_correction, eps_of_new_d=eps_of_new_d,
        )  # fmt: skip
        return chain(*decay.before, bare, *decay.after)
    return leafwise(
        prodigy_rule, ProdigyState, reduce=prodigy_numbers, finish=prodigy_estimate, masks={"weight_decay": decay.mask},
        learning_rate=learning_rate, b1=b1, b2=b2, b3=b3, eps=eps, estim_lr0=estim_lr0, estim_lr_coef=estim_lr_coef,
        safeguard_warmup=safeguard_warmup, bias_correction=bias_correction, eps_of_new_d=eps_of_new_d,
        weight_decay=decay.weight_decay, estim_lr=estim_lr0,
    )  # fmt: skip
