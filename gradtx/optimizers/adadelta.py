"""AdaDelta: steps in the units of the parameters."""

from typing import NamedTuple

from gradtx.combine.optimizer import optimizer
from gradtx.core.averages import abs_sq, ema, sqrt
from gradtx.core.hyperparameters import Decay, NonNegative, Positive
from gradtx.core.lifted import lifted
from gradtx.core.slots import PositiveSlot
from gradtx.core.typing import Array, ArrayLike
from gradtx.transforms.decay import DecayKind


class ScaleByAdaDeltaState(NamedTuple):
    e_g: PositiveSlot  # running average of |g|^2
    e_x: PositiveSlot  # running average of |u|^2


def adadelta_rule(
    g: Array, s: ScaleByAdaDeltaState, *, rho: ArrayLike, eps: ArrayLike
) -> tuple[Array, ScaleByAdaDeltaState]:
    """u = g sqrt(e_x + eps) / sqrt(e_g + eps), e_x from the step before."""
    e_g = ema(s.e_g, abs_sq(g), rho)
    u = g * (sqrt(s.e_x + eps) / sqrt(e_g + eps))
    return u, ScaleByAdaDeltaState(e_g=e_g, e_x=ema(s.e_x, abs_sq(u), rho))


@lifted(adadelta_rule, ScaleByAdaDeltaState, degree=0)
def scale_by_adadelta(rho: Decay = 0.9, eps: Positive = 1e-6):
    """Scale updates by the root-mean-square of past steps over that of past gradients.

    Per leaf, from e_g = e_x = 0:

        e_g <- rho e_g + (1 - rho) |g|^2
        u   <- g sqrt(e_x + eps) / sqrt(e_g + eps)
        e_x <- rho e_x + (1 - rho) |u|^2

    Args:
        rho: in [0, 1), decay of both averages; the paper takes 0.95.
        eps: above 0, added inside both roots; it makes the first steps possible.

    Source: Zeiler 2012, Algorithm 1, arXiv:1212.5701; differs: nothing.
    """


@optimizer(scale_by_adadelta)
def adadelta(
    learning_rate: NonNegative = 1.0, rho: Decay = 0.9, eps: Positive = 1e-6, *, weight_decay: DecayKind = None
):
    """AdaDelta: theta <- theta - eta u, u in the units of theta.

    The paper has no eta, which is 1. Optax and PyTorch add decay to the gradient; here that is `coupled(...)`.
    """
