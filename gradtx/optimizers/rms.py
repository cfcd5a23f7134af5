"""AdaGrad and RMSProp: gradients divided by the root of their squares, summed or averaged."""

from typing import NamedTuple

import jax.numpy as jnp

from gradtx.combine.chain import chain
from gradtx.combine.descend import descend
from gradtx.combine.optimizer import optimizer
from gradtx.core.averages import abs_sq, debias, ema, finite_abs_sq, safe_divide, sqrt
from gradtx.core.fields import Count
from gradtx.core.hyperparameters import Decay, Fraction, NonNegative, NonNegativeNumber
from gradtx.core.leafwise import Leafwise, leafwise
from gradtx.core.lifted import lifted
from gradtx.core.slots import PositiveSlot, Slot
from gradtx.core.transformation import GradientTransformation, transformation
from gradtx.core.typing import Array, ArrayLike
from gradtx.transforms.decay import DecayKind
from gradtx.transforms.momentum import scale_by_momentum


class ScaleByRssState(NamedTuple):
    sum_of_squares: PositiveSlot  # h, sum of |g|^2


class ScaleByRmsState(NamedTuple):
    nu: PositiveSlot  # running average of |g|^2


class ScaleByRmsWithCountState(NamedTuple):
    """State of `scale_by_rms(bias_correction=True)`."""

    count: Count  # steps taken, int32
    nu: PositiveSlot  # running average of |g|^2


class ScaleByRStdDevState(NamedTuple):
    """State of `scale_by_rms(centered=True)`."""

    mu: Slot  # running average of g
    nu: PositiveSlot  # running average of |g|^2


class ScaleByRStdDevWithCountState(NamedTuple):
    """State of `scale_by_rms(centered=True, bias_correction=True)`."""

    count: Count  # steps taken, int32
    mu: Slot  # running average of g
    nu: PositiveSlot  # running average of |g|^2


def rss_rule(g: Array, s: ScaleByRssState, *, eps: ArrayLike, eps_in_sqrt: bool) -> tuple[Array, ScaleByRssState]:
    """h <- h + |g|^2; u = g / sqrt(h + eps), or g / (sqrt(h) + eps)."""
    h = s.sum_of_squares + abs_sq(g)
    return safe_divide(g, root(h, eps, eps_in_sqrt)), ScaleByRssState(sum_of_squares=h)


def rms_rule(
    g: Array, s: ScaleByRmsWithCountState, *, decay: ArrayLike, eps: ArrayLike, eps_in_sqrt: bool, bias_correction: bool
) -> tuple[Array, ScaleByRmsWithCountState]:
    """nu <- decay nu + (1 - decay) |g|^2; u = g / sqrt(nu + eps), or g / (sqrt(nu) + eps)."""
    nu = ema(s.nu, abs_sq(g), decay)
    r = debias(nu, decay, s.count) if bias_correction else nu
    return safe_divide(g, root(r, eps, eps_in_sqrt)), s._replace(nu=nu)


def stddev_rule(
    g: Array, s: ScaleByRStdDevWithCountState, *, decay: ArrayLike, eps: ArrayLike, eps_in_sqrt: bool,
    bias_correction: bool,
) -> tuple[Array, ScaleByRStdDevWithCountState]:  # fmt: skip
    """As `rms_rule`, with the variance nu - |mu|^2 for nu."""
    mu = ema(s.mu, g, decay)
    nu = ema(s.nu, finite_abs_sq(g), decay)
    m, r = (debias(mu, decay, s.count), debias(nu, decay, s.count)) if bias_correction else (mu, nu)
    variance = jnp.maximum(r - finite_abs_sq(m), 0)  # rounding may make the difference negative
    return safe_divide(g, root(variance, eps, eps_in_sqrt)), s._replace(mu=mu, nu=nu)


def root(x: Array, eps: ArrayLike, eps_in_sqrt: bool) -> Array:
    """sqrt(x + eps) or sqrt(x) + eps."""
    return sqrt(x + eps) if eps_in_sqrt else sqrt(x) + eps


@lifted(rss_rule, ScaleByRssState, degree=0)
def scale_by_rss(
    initial_accumulator_value: NonNegativeNumber = 0.1, eps: NonNegative = 1e-7, *, eps_in_sqrt: bool = True
):
    """Divide updates by the root of the sum of all their squares (AdaGrad).

    Per leaf:

        h <- h + |g|^2
        u <- g / sqrt(h + eps), or g / (sqrt(h) + eps) without `eps_in_sqrt`; 0 where that root is 0

    The course's form is `scale_by_rss(0.0, 1e-7, eps_in_sqrt=False)`.

    Args:
        initial_accumulator_value: h at the start, >= 0.
        eps_in_sqrt: where eps is added.

    Source: Duchi, Hazan & Singer 2011 (JMLR 12).
    """
    return {"sum_of_squares": initial_accumulator_value}


@transformation(degree=0)
def scale_by_rms(
    decay: Decay = 0.9, eps: NonNegative = 1e-8, *, eps_in_sqrt: bool = True, centered: bool = False,
    bias_correction: bool = False, initial_scale: NonNegativeNumber = 0.0,
) -> Leafwise:  # fmt: skip
    """Divide updates by the root of the running average of their squares (RMSProp).

    Per leaf, at step t = 1, 2, ...:

        nu <- decay nu + (1 - decay) |g|^2
        r  <- nu; with `bias_correction` nu / (1 - decay^t)
        r  <- r - |m|^2 with `centered`, where m is the average of g likewise
        u  <- g / sqrt(r + eps), or g / (sqrt(r) + eps) without `eps_in_sqrt`

    Args:
        eps_in_sqrt: where eps is added; PyTorch adds it outside.
        centered: subtract the squared mean, so that r is a variance.
        bias_correction: divide the averages by the weight gathered so far.
        initial_scale: nu at the start, >= 0.

    State: `ScaleByRmsState(nu)`, one real value per parameter; centered, also `mu`; with bias correction, also `count`.

    Source: Tieleman & Hinton 2012, lecture 6.5; centered: Graves 2013, arXiv:1308.0850.
    """
    plain, counting = ScaleByRmsState, ScaleByRmsWithCountState
    if centered:
        plain, counting = ScaleByRStdDevState, ScaleByRStdDevWithCountState
    return leafwise(
        stddev_rule if centered else rms_rule, counting if bias_correction else plain, nu=initial_scale,
        decay=decay, eps=eps, eps_in_sqrt=eps_in_sqrt, bias_correction=bias_correction,
    )  # fmt: skip


@optimizer(scale_by_rss)
def adagrad(
    learning_rate: NonNegative, initial_accumulator_value: NonNegativeNumber = 0.1, eps: NonNegative = 1e-7, *,
    eps_in_sqrt: bool = True, weight_decay: DecayKind = None,
):  # fmt: skip
    """AdaGrad: steps that shrink with the sum of squared gradients."""


@optimizer(scale_by_rms)
def rmsprop(
    learning_rate: NonNegative, decay: Decay = 0.9, eps: NonNegative = 1e-8, *, eps_in_sqrt: bool = True,
    centered: bool = False, bias_correction: bool = False, initial_scale: NonNegativeNumber = 0.0,
    momentum: Fraction | None = None, nesterov: bool = False, weight_decay: DecayKind = None,
) -> GradientTransformation:  # fmt: skip
    """RMSProp: gradients divided by the root of their running mean square.

    Args:
        momentum: None, or the decay of momentum in [0, 1], applied after the learning rate as in TensorFlow.
        nesterov: whether that momentum looks ahead.
    """
    direction = scale_by_rms(
        decay, eps, eps_in_sqrt=eps_in_sqrt, centered=centered, bias_correction=bias_correction,
        initial_scale=initial_scale,
    )  # fmt: skip
    steps = descend(direction, learning_rate, weight_decay)
    return steps if momentum is None else chain(steps, scale_by_momentum(momentum, nesterov=nesterov))
