"""Adam: the averaged gradient over its root-mean-square, with its Nesterov and weight-decay forms."""

from typing import NamedTuple

from gradtx.combine.optimizer import optimizer
from gradtx.core.averages import abs_sq, debias, debias_ahead, ema, sqrt
from gradtx.core.fields import Count
from gradtx.core.hyperparameters import Decay, NonNegative
from gradtx.core.lifted import lifted
from gradtx.core.slots import PositiveSlot, Slot
from gradtx.core.typing import Array, ArrayLike
from gradtx.transforms.decay import DecayKind


class ScaleByAdamState(NamedTuple):
    count: Count  # steps taken, int32; a rule sees the step being taken, from 1
    mu: Slot  # running average of g
    nu: PositiveSlot  # running average of |g|^2


def adam_rule(
    g: Array, s: ScaleByAdamState, *, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike, eps_root: ArrayLike, nesterov: bool
) -> tuple[Array, ScaleByAdamState]:
    """u = m / (sqrt(v + eps_root) + eps), m and v the debiased averages of g and |g|^2."""
    mu = ema(s.mu, g, b1)
    nu = ema(s.nu, abs_sq(g), b2)
    m = debias_ahead(mu, g, b1, s.count) if nesterov else debias(mu, b1, s.count)
    u = m / (sqrt(debias(nu, b2, s.count) + eps_root) + eps)
    return u, s._replace(mu=mu, nu=nu)


@lifted(adam_rule, ScaleByAdamState, degree=0)
def scale_by_adam(
    b1: Decay = 0.9, b2: Decay = 0.999, eps: NonNegative = 1e-8, *, eps_root: NonNegative = 0.0, nesterov: bool = False
):
    """Divide the averaged gradient by its running root-mean-square.

    Per leaf, at step t = 1, 2, ...:

        mu <- b1 mu + (1 - b1) g
        nu <- b2 nu + (1 - b2) |g|^2
        u  <- m / (sqrt(nu / (1 - b2^t) + eps_root) + eps)

    with m = mu / (1 - b1^t), or with `nesterov` m = b1 mu / (1 - b1^(t+1)) + (1 - b1) g / (1 - b1^t).

    Args:
        nesterov: NAdam's look ahead (Dozat's report has a factor on nu too; like common practice this has none).

    Source: Kingma & Ba 2015, Algorithm 1, arXiv:1412.6980; nesterov: Dozat 2016.
    """


@optimizer(scale_by_adam)
def adam(
    learning_rate: NonNegative, b1: Decay = 0.9, b2: Decay = 0.999, eps: NonNegative = 1e-8, *, nesterov: bool = False,
    eps_root: NonNegative = 0.0, weight_decay: DecayKind = None,
):  # fmt: skip
    """Adam: theta <- theta - eta m / (sqrt(v) + eps), with m and v debiased averages of g and |g|^2.

    Source: Kingma & Ba 2015, Algorithm 1, arXiv:1412.6980.
    """


@optimizer(scale_by_adam)
def adamw(
    learning_rate: NonNegative, b1: Decay = 0.9, b2: Decay = 0.999, eps: NonNegative = 1e-8, *, nesterov: bool = False,
    eps_root: NonNegative = 0.0, weight_decay: DecayKind = 1e-4,
):  # fmt: skip
    """Adam with decoupled weight decay: theta <- theta - eta (u + lambda theta), u Adam's direction.

    PyTorch's default strength is 1e-2; this one is Optax's. Source: Loshchilov & Hutter 2019, arXiv:1711.05101.
    """


@optimizer(scale_by_adam, nesterov=True)
def nadam(
    learning_rate: NonNegative, b1: Decay = 0.9, b2: Decay = 0.999, eps: NonNegative = 1e-8, *,
    eps_root: NonNegative = 0.0, weight_decay: DecayKind = None,
):  # fmt: skip
    """Adam with Nesterov momentum. Source: Dozat 2016."""


@optimizer(scale_by_adam, nesterov=True)
def nadamw(
    learning_rate: NonNegative, b1: Decay = 0.9, b2: Decay = 0.999, eps: NonNegative = 1e-8, *,
    eps_root: NonNegative = 0.0, weight_decay: DecayKind = 1e-4,
):  # fmt: skip
    """AdamW with Nesterov momentum."""
