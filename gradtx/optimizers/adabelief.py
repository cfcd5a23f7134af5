"""AdaBelief: steps divided by how far the gradient is from its average; ACProp: by how far those before were."""

from typing import NamedTuple

import jax.numpy as jnp

from gradtx.combine.optimizer import optimizer
from gradtx.core.averages import abs_sq, debias, debias_ahead, ema, sqrt
from gradtx.core.fields import Count
from gradtx.core.hyperparameters import Decay, NonNegative
from gradtx.core.lifted import lifted
from gradtx.core.slots import PositiveSlot, Slot
from gradtx.core.typing import Array, ArrayLike
from gradtx.transforms.decay import DecayKind


class ScaleByBeliefState(NamedTuple):
    """State of `scale_by_belief` and `scale_by_acprop`."""

    count: Count  # steps taken, int32
    mu: Slot  # running average of g
    nu: PositiveSlot  # running average of |g - mu|^2, plus eps_root at each step


def belief_rule(
    g: Array, s: ScaleByBeliefState, *, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike, eps_root: ArrayLike,
    nesterov: bool,
) -> tuple[Array, ScaleByBeliefState]:  # fmt: skip
    """u = m / (sqrt(v) + eps), m and v the debiased mu and nu."""
    mu = ema(s.mu, g, b1)
    nu = ema(s.nu, abs_sq(g - mu), b2) + eps_root
    m = debias_ahead(mu, g, b1, s.count) if nesterov else debias(mu, b1, s.count)
    return m / (sqrt(debias(nu, b2, s.count)) + eps), s._replace(mu=mu, nu=nu)


@lifted(belief_rule, ScaleByBeliefState, degree=0)
def scale_by_belief(
    b1: Decay = 0.9, b2: Decay = 0.999, eps: NonNegative = 1e-16, *, eps_root: NonNegative = 1e-16,
    nesterov: bool = False,
):  # fmt: skip
    """Divide the averaged gradient by the root of its variance around that average.

    Per leaf, at step t = 1, 2, ...:

        mu <- b1 mu + (1 - b1) g
        nu <- b2 nu + (1 - b2) |g - mu|^2 + eps_root
        u  <- m / (sqrt(nu / (1 - b2^t)) + eps)

    with m = mu / (1 - b1^t), or with `nesterov` one step ahead as in `scale_by_adam`.

    Args:
        b2: in [0, 1), decay of the average of |g - mu|^2.
        eps_root: at least 0, added to nu at every step, so it grows to eps_root / (1 - b2); eps and it are not both 0.
        nesterov: look one step ahead; the paper does not.

    Source: Zhuang et al. 2020, Algorithm 2, arXiv:2010.07468; differs: nothing.
    """


@optimizer(scale_by_belief)
def adabelief(
    learning_rate: NonNegative, b1: Decay = 0.9, b2: Decay = 0.999, eps: NonNegative = 1e-16, *,
    eps_root: NonNegative = 1e-16, nesterov: bool = False, weight_decay: DecayKind = None,
):  # fmt: skip
    """AdaBelief: larger steps where the gradient is near its average."""


def acprop_rule(
    g: Array, s: ScaleByBeliefState, *, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike, eps_root: ArrayLike
) -> tuple[Array, ScaleByBeliefState]:
    """u = g / (sqrt(v) + eps), v the debiased nu of the step before; u = g at the first step."""
    mu = ema(s.mu, g, b1)
    nu = ema(s.nu, abs_sq(g - mu), b2) + eps_root
    first = s.count == 1
    before = jnp.where(first, 1, debias(s.nu, b2, jnp.maximum(s.count - 1, 1)))
    return jnp.where(first, g, g / (sqrt(before) + eps)), s._replace(mu=mu, nu=nu)


@lifted(acprop_rule, ScaleByBeliefState)
def scale_by_acprop(b1: Decay = 0.9, b2: Decay = 0.999, eps: NonNegative = 1e-16, *, eps_root: NonNegative = 1e-16):
    """Divide the gradient by the root of its variance up to the step before.

    Per leaf, at step t = 1, 2, ...:

        u  <- g / (sqrt(nu / (1 - b2^(t-1))) + eps), and u = g at t = 1
        mu <- b1 mu + (1 - b1) g
        nu <- b2 nu + (1 - b2) |g - mu|^2 + eps_root

    The divisor does not know g, so a gradient far larger than those before makes a large step; clip updates against it.

    Args:
        b1: in [0, 1), decay of the average of g, the centre.
        b2: in [0, 1), decay of the average of |g - mu|^2.
        eps_root: at least 0, added to nu at every step; eps and it are not both 0.

    Source: Zhuang et al. 2021, arXiv:2110.05454; differs: eps outside the root, as in the authors' code. Optax 0.2.8
    takes mu of before the step; the paper and its code do not.
    """


@optimizer(scale_by_acprop)
def acprop(
    learning_rate: NonNegative, b1: Decay = 0.9, b2: Decay = 0.999, eps: NonNegative = 1e-16, *,
    eps_root: NonNegative = 1e-16, weight_decay: DecayKind = None,
):  # fmt: skip
    """ACProp: theta <- theta - eta g / (sqrt(v) + eps), v the variance up to the step before."""
