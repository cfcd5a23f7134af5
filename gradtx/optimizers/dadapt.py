"""D-Adaptation: Adam whose learning rate is a lower bound on the distance to the solution."""

from typing import NamedTuple

import jax.numpy as jnp

from gradtx.combine.chain import chain
from gradtx.core import tree
from gradtx.core.averages import abs_sq, adam_correction, ema, safe_divide, sqrt
from gradtx.core.fields import Count, Scalar
from gradtx.core.hyperparameters import Decay, NonNegative, Positive, PositiveNumber
from gradtx.core.leafwise import leafwise
from gradtx.core.precision import cast
from gradtx.core.slots import PositiveSlot, Slot
from gradtx.core.transformation import transformation
from gradtx.core.typing import Array, ArrayLike, PyTree, TransformationLike
from gradtx.transforms.decay import DecayKind
from gradtx.transforms.own_decay import own_decay, with_decay


class DAdaptAdamWState(NamedTuple):
    """State of `dadapt_adamw`."""

    exp_avg: Slot  # m, running average of k g
    exp_avg_sq: PositiveSlot  # v, running average of |g|^2
    grad_sum: Slot  # s, running average of k g, decay sqrt(b2)
    estim_lr: Scalar  # d, bound on the distance
    numerator_weighted: Scalar  # n, running average of k <g, s / (sqrt(v) + eps)>
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
