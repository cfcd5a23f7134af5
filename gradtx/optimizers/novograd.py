"""NovoGrad: gradients normalised per leaf, then momentum."""

from typing import NamedTuple

import jax.numpy as jnp

from gradtx.combine.descend import descend
from gradtx.combine.optimizer import optimizer
from gradtx.core.averages import abs_sq, ema, sqrt
from gradtx.core.fields import Count
from gradtx.core.hyperparameters import Decay, NonNegative, check_not_both_zero
from gradtx.core.leafwise import Leafwise, leafwise
from gradtx.core.slots import NumberSlot, Slot
from gradtx.core.transformation import GradientTransformation, transformation
from gradtx.core.typing import Array, ArrayLike
from gradtx.transforms.decay import DecayKind, WeightDecay


class ScaleByNovogradState(NamedTuple):
    count: Count  # steps taken, int32
    mu: Slot  # decayed sum of normalised gradients
    nu: NumberSlot  # running average of ||g||^2, one number per leaf


def novograd_rule(
    g: Array, s: ScaleByNovogradState, *, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike, eps_root: ArrayLike
) -> tuple[Array, ScaleByNovogradState]:
    """mu <- b1 mu + g / (sqrt(nu + eps_root) + eps); u = mu."""
    norm_sq = jnp.sum(abs_sq(g))
    nu = jnp.where(s.count == 1, norm_sq, ema(s.nu, norm_sq, b2))
    mu = b1 * s.mu + g / (sqrt(nu + eps_root) + eps)
    return mu, s._replace(mu=mu, nu=nu)


def decayed_novograd_rule(
    g: Array, s: ScaleByNovogradState, p: Array, *, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike, eps_root: ArrayLike,
    weight_decay: ArrayLike,
) -> tuple[Array, ScaleByNovogradState]:  # fmt: skip
    """As `novograd_rule`, with weight_decay p added to the normalised gradient."""
    mu, s = novograd_rule(g, s, b1=b1, b2=b2, eps=eps, eps_root=eps_root)
    u = mu + weight_decay * p
    return u, s._replace(mu=u)


@transformation(degree=0)
def scale_by_novograd(
    b1: Decay = 0.9, b2: Decay = 0.25, eps: NonNegative = 1e-8, *, eps_root: NonNegative = 0.0,
    weight_decay: NonNegative | None = None,
) -> Leafwise:  # fmt: skip
    """Divide each leaf's gradient by the running root of its squared norm, then sum with decay.

    Per leaf, from nu = ||g||^2 at the first step and mu = 0:

        nu <- b2 nu + (1 - b2) ||g||^2
        mu <- b1 mu + g / (sqrt(nu + eps_root) + eps) + weight_decay theta
        u  <- mu

    Args:
        b1: in [0, 1), decay of the sum; the paper takes 0.95.
        b2: in [0, 1), decay of the average of ||g||^2; the paper takes 0.98.
        weight_decay: None, or lambda >= 0, which enters the momentum as in the paper; needs params.

    State: `ScaleByNovogradState(count, mu, nu)`, one value per parameter and one per leaf.

    Source: Ginsburg et al. 2019, Algorithm 1, arXiv:1905.11286; differs: the defaults, which are Optax's.
    """
    check_not_both_zero("scale_by_novograd", eps=eps, eps_root=eps_root)
    rule = novograd_rule if weight_decay is None else decayed_novograd_rule
    return leafwise(rule, ScaleByNovogradState, b1=b1, b2=b2, eps=eps, eps_root=eps_root, weight_decay=weight_decay)


@optimizer(scale_by_novograd)
def novograd(
    learning_rate: NonNegative, b1: Decay = 0.9, b2: Decay = 0.25, eps: NonNegative = 1e-6, *,
    eps_root: NonNegative = 0.0, weight_decay: DecayKind = None,
) -> GradientTransformation:  # fmt: skip
    """NovoGrad: momentum of gradients normalised per leaf.

    Args:
        weight_decay: None; a strength, which enters the momentum as in the paper; or a kind such as
            `decoupled(1e-4)`, which does not (see `descend`).
    """
    inside, around = (None, weight_decay) if isinstance(weight_decay, WeightDecay) else (weight_decay, None)
    return descend(scale_by_novograd(b1, b2, eps, eps_root=eps_root, weight_decay=inside), learning_rate, around)
