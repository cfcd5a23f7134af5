"""SPAM and Stable-SPAM: Adam with spikes clipped and momentum reset now and then."""

from typing import NamedTuple

import jax.numpy as jnp

from gradtx.combine.optimizer import optimizer
from gradtx.core.averages import abs_sq, debias, ema, missing_weight, safe_divide, sqrt
from gradtx.core.fields import Count
from gradtx.core.hyperparameters import Decay, NonNegative, NonNegativeNumber, Positive, PositiveInt
from gradtx.core.lifted import lifted
from gradtx.core.slots import NumberSlot, PositiveSlot, Slot
from gradtx.core.tree import scaled_norm
from gradtx.core.typing import Array, ArrayLike
from gradtx.transforms.decay import DecayKind


class ScaleBySpamState(NamedTuple):
    count: Count  # steps taken, int32
    mu: Slot  # running average of g since the last reset
    nu: PositiveSlot  # running average of |g|^2 since then


class ScaleByStableSpamState(NamedTuple):
    count: Count  # steps taken, int32
    max_mean: NumberSlot  # running average of this leaf's max |g|
    norm_mean: NumberSlot  # running average of its norm
    norm_sq_mean: NumberSlot  # running average of its squared norm
    mu: Slot  # running average of g since the last reset
    nu: PositiveSlot  # running average of |g|^2 since then


def spam_rule(
    g: Array, s: ScaleBySpamState, *, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike, threshold: ArrayLike,
    reset_every: int, warmup_steps: ArrayLike, clip_after: ArrayLike, debias_since_reset: bool,
) -> tuple[Array, ScaleBySpamState]:  # fmt: skip
    """Adam on clipped g, from fresh averages and a small step after each reset."""
    place, since = after_reset(s.count, reset_every)
    mu, nu = fresh(s.mu, place), fresh(s.nu, place)
    largest, size = sqrt(jnp.asarray(threshold)).astype(nu.dtype) * sqrt(nu), jnp.abs(g)
    spike = (size > largest) & (nu > 0) & (place.astype(nu.dtype) >= clip_after)
    g = jnp.where(spike, safe_divide(largest, size), 1) * g
    mu, nu = ema(mu, g, b1), ema(nu, abs_sq(g), b2)
    t = since if debias_since_reset else s.count
    u = debias(mu, b1, t) / (sqrt(nu) + eps) * sqrt(missing_weight(b2, t.astype(nu.dtype)))
    share = jnp.minimum(place.astype(nu.dtype) / (warmup_steps + 1), 1)
    w = jnp.where(s.count < reset_every, 1, 1 - 0.495 * (1 + jnp.cos(jnp.pi * share)))
    return w * u, s._replace(mu=mu, nu=nu)


def stable_spam_rule(
    g: Array, s: ScaleByStableSpamState, *, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike, norm_decay: ArrayLike,
    norm_sq_decay: ArrayLike, max_decay: ArrayLike, reset_every: int,
) -> tuple[Array, ScaleByStableSpamState]:  # fmt: skip
    """Adam on g clipped to its usual largest entry and rescaled to its usual norm."""
    # What is nearly subnormal counts as 0: XLA makes one division of two in a row, by a product that would vanish.
    g = jnp.where(jnp.max(jnp.abs(g), initial=0) < 1e6 * jnp.finfo(s.nu.dtype).tiny, 0, g)
    size = jnp.abs(g)
    peak = jnp.max(size, initial=0)
    s = s._replace(max_mean=ema(s.max_mean, peak, max_decay))
    usual_peak = debias(s.max_mean, max_decay, s.count)
    g = jnp.where(size > usual_peak, safe_divide(usual_peak, peak), 1) * g
    n = scaled_norm(g)
    s = s._replace(norm_mean=ema(s.norm_mean, n, norm_decay), norm_sq_mean=ema(s.norm_sq_mean, n**2, norm_sq_decay))
    mean, mean_sq = debias(s.norm_mean, norm_decay, s.count), debias(s.norm_sq_mean, norm_sq_decay, s.count)
    g = safe_divide(mean, n) * g / (sqrt(mean_sq) + eps)
    place, since = after_reset(s.count, reset_every)
    mu, nu = ema(fresh(s.mu, place), g, b1), ema(fresh(s.nu, place), abs_sq(g), b2)
    return debias(mu, b1, since) / (sqrt(debias(nu, b2, since)) + eps), s._replace(mu=mu, nu=nu)


def after_reset(count: Array, reset_every: int) -> tuple[Array, Array]:
    """How far past a multiple of `reset_every` step `count` is, and how many steps the averages hold with it."""
    place = count % reset_every
    return place, jnp.where(count < reset_every, count, place + 1)


def fresh(average: Array, place: Array) -> Array:
    """The average, or zeros at a reset."""
    return jnp.where(place == 0, 0, average)


@lifted(spam_rule, ScaleBySpamState)
def scale_by_spam(
    b1: Decay = 0.9, b2: Decay = 0.999, eps: Positive = 1e-6, *, threshold: NonNegative = 5000.0,
    reset_every: PositiveInt = 500, warmup_steps: NonNegativeNumber = 150, clip_after: NonNegativeNumber = 20,
    debias_since_reset: bool = False,
):  # fmt: skip
    """Adam's direction with spikes clipped entry by entry and both averages reset now and then.

    Per leaf, at step t = 1, 2, ..., with k = t mod reset_every:

        mu, nu <- 0 where k = 0
        g  <- g / |g| sqrt(threshold nu) where |g|^2 > threshold nu, from k = clip_after on
        mu <- b1 mu + (1 - b1) g
        nu <- b2 nu + (1 - b2) |g|^2
        u  <- w mu / (sqrt(nu) + eps) sqrt(1 - b2^t) / (1 - b1^t)

    with w = 1 - 0.495 (1 + cos(pi min(1, k / (warmup_steps + 1)))) after a reset, and 1 before the first.

    Args:
        threshold: at least 0, the largest |g|^2 / nu.
        warmup_steps: at least 0, after each reset.
        clip_after: at least 0, steps after a reset in which nothing is clipped.
        debias_since_reset: count t in the last line from the last reset; the authors' code does not.

    Source: Huang et al. 2025, arXiv:2501.06842; differs: no sparse momentum, and where nu is 0 nothing is clipped
        (there the entry would stay 0 until the next reset).
    """


@lifted(stable_spam_rule, ScaleByStableSpamState)
def scale_by_stable_spam(
    b1: Decay = 0.9, b2: Decay = 0.999, eps: Positive = 1e-8, *, norm_decay: Decay = 0.7, norm_sq_decay: Decay = 0.9,
    max_decay: Decay = 0.999, reset_every: PositiveInt = 1000,
):  # fmt: skip
    """Adam's direction on gradients with their largest entries and their norm held to what is usual.

    Per leaf, at step t = 1, 2, ..., hats debiased:

        T <- max_decay T + (1 - max_decay) max |g|;  g <- g T^ / max |g| where |g| > T^
        n <- ||g||;  a <- norm_decay a + (1 - norm_decay) n;  b <- norm_sq_decay b + (1 - norm_sq_decay) n^2
        g <- g / n a^ / (sqrt(b^) + eps)
        u <- Adam's direction for g, its averages and its t counted from the last multiple of reset_every

    Args:
        norm_decay: in [0, 1), of the norm; gamma_1 of the paper.
        norm_sq_decay: in [0, 1), of the squared norm; gamma_2.
        max_decay: in [0, 1), of the largest entry; gamma_3.

    Source: Huang et al. 2025, arXiv:2502.17055; differs: T, a and b are debiased by all steps, resets or not.
    """


@optimizer(scale_by_spam)
def spam(
    learning_rate: NonNegative, b1: Decay = 0.9, b2: Decay = 0.999, eps: Positive = 1e-6, *,
    threshold: NonNegative = 5000.0, reset_every: PositiveInt = 500, warmup_steps: NonNegativeNumber = 150,
    clip_after: NonNegativeNumber = 20, debias_since_reset: bool = False, weight_decay: DecayKind = None,
):  # fmt: skip
    """SPAM: Adam with spike clipping and momentum reset."""


@optimizer(scale_by_stable_spam)
def stable_spam(
    learning_rate: NonNegative, b1: Decay = 0.9, b2: Decay = 0.999, eps: Positive = 1e-8, *, norm_decay: Decay = 0.7,
    norm_sq_decay: Decay = 0.9, max_decay: Decay = 0.999, reset_every: PositiveInt = 1000,
    weight_decay: DecayKind = None,
):  # fmt: skip
    """Stable-SPAM: SPAM with limits that adapt, and normalised gradients."""
