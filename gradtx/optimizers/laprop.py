"""LaProp: momentum of normalised gradients, where Adam normalises momentum."""

from gradtx.combine.optimizer import optimizer
from gradtx.core.averages import abs_sq, debias, ema, sqrt
from gradtx.core.hyperparameters import Decay, NonNegative, Positive
from gradtx.core.lifted import lifted
from gradtx.core.typing import Array, ArrayLike
from gradtx.optimizers.adam import ScaleByAdamState
from gradtx.transforms.decay import DecayKind


def laprop_rule(
    g: Array, s: ScaleByAdamState, *, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike
) -> tuple[Array, ScaleByAdamState]:
    """u = debiased average of g / (sqrt(v) + eps), v the debiased average of |g|^2."""
    nu = ema(s.nu, abs_sq(g), b2)
    mu = ema(s.mu, g / (sqrt(debias(nu, b2, s.count)) + eps), b1)
    return debias(mu, b1, s.count), s._replace(mu=mu, nu=nu)


@lifted(laprop_rule, ScaleByAdamState, degree=0)
def scale_by_laprop(b1: Decay = 0.9, b2: Decay = 0.999, eps: Positive = 1e-15):
    """Average gradients that are each divided by the running root-mean-square of their time.

    Per leaf, at step t = 1, 2, ...:

        nu <- b2 nu + (1 - b2) |g|^2
        mu <- b1 mu + (1 - b1) g / (sqrt(nu / (1 - b2^t)) + eps)
        u  <- mu / (1 - b1^t)

    Args:
        b1: in [0, 1), decay of the average of normalised gradients; unlike Adam's it is free of b2.

    Source: Ziyin, Wang & Ueda 2020, Algorithm 1, arXiv:2002.04839. The authors' code puts the learning rate into mu,
        which is the same while it is constant.
    """


@optimizer(scale_by_laprop)
def laprop(
    learning_rate: NonNegative, b1: Decay = 0.9, b2: Decay = 0.999, eps: Positive = 1e-15, *,
    weight_decay: DecayKind = None,
):  # fmt: skip
    """LaProp: Adam with momentum after normalisation.

    Args:
        learning_rate: eta >= 0; the authors' default is 4e-4.
        weight_decay: None, a strength (decoupled; the authors' code does not multiply it by the learning rate,
            `independent` does not either), or a kind; see `descend`.
    """
