"""MADGRAD: dual averaging with adaptive steps and momentum."""

from typing import NamedTuple

from gradtx.combine.descend import descend_by
from gradtx.combine.optimizer import optimizer
from gradtx.core.averages import abs_sq, cbrt, sqrt
from gradtx.core.fields import Count
from gradtx.core.hyperparameters import Decay, NonNegative, Positive
from gradtx.core.lifted import lifted
from gradtx.core.precision import cast, real_dtype
from gradtx.core.slots import CopySlot, PositiveSlot, Slot
from gradtx.core.transformation import GradientTransformation
from gradtx.core.typing import Array, ArrayLike
from gradtx.transforms.decay import DecayKind


class MadgradState(NamedTuple):
    count: Count  # steps taken, int32
    grad_sum_sq: PositiveSlot  # weighted sum of |g|^2
    s: Slot  # weighted sum of g
    x0: CopySlot  # the first parameters


def madgrad_rule(
    g: Array, s: MadgradState, p: Array, *, learning_rate: ArrayLike, momentum: ArrayLike, eps: ArrayLike
) -> tuple[Array, MadgradState]:
    """u = (1 - momentum) (z - p), z = x0 - sum of w g / (cbrt(sum of w |g|^2) + eps), w = eta sqrt(t)."""
    w = (learning_rate + eps) * sqrt(cast(s.count, real_dtype(g.dtype)))
    squares, total = s.grad_sum_sq + w * abs_sq(g), s.s + w * g
    z = s.x0 - total / (cbrt(squares) + eps)
    return (1 - momentum) * (z - p), s._replace(grad_sum_sq=squares, s=total)


@lifted(madgrad_rule, MadgradState)
def scale_by_madgrad(learning_rate: NonNegative, momentum: Decay = 0.9, eps: Positive = 1e-6):
    """Step towards the point that all gradients so far, weighted by sqrt(t), give from the first parameters.

    Per leaf, at step t = 1, 2, ..., with w = (eta + eps) sqrt(t):

        nu <- nu + w |g|^2
        s  <- s + w g
        z  <- x0 - s / (cbrt(nu) + eps)
        u  <- (1 - momentum) (z - theta)

    u is a finished step: it is added to the parameters, and the learning rate is in it.

    Args:
        momentum: in [0, 1), the share of theta that stays.
        eps: above 0, beside the root, and as in the authors' code beside eta too.

    Source: Defazio & Jelassi 2021, Algorithm 1, arXiv:2101.11075; differs: eps beside eta.
    """


@optimizer(scale_by_madgrad)
def madgrad(
    learning_rate: NonNegative, momentum: Decay = 0.9, eps: Positive = 1e-6, *, weight_decay: DecayKind = None
) -> GradientTransformation:
    """MADGRAD: adaptive steps that generalise like SGD's.

    Args:
        weight_decay: None, a strength (decoupled), or a kind such as `coupled(1e-4)`, which is the authors'
            and Optax's; see `descend`.
    """
    return descend_by(scale_by_madgrad(learning_rate, momentum, eps), learning_rate, weight_decay)
