"""Fromage: steps as long, per leaf, as the parameters, and a shrinkage that keeps their norm."""

from gradtx.combine.optimizer import optimizer
from gradtx.core.averages import safe_divide
from gradtx.core.hyperparameters import NonNegative
from gradtx.core.lifted import lifted
from gradtx.core.typing import Array, ArrayLike
from gradtx.transforms.decay import DecayKind
from gradtx.transforms.trust import leaf_norm


def fromage_rule(g: Array, p: Array, *, learning_rate: ArrayLike, min_norm: ArrayLike) -> Array:
    """u = (d + eta p / (1 + r)) / r, d = ||p|| g / ||g||, r = sqrt(1 + eta^2); so p - eta u = (p - eta d) / r."""
    r = (1 + learning_rate**2) ** 0.5
    turn = safe_divide(g, leaf_norm(g, min_norm)) * leaf_norm(p, min_norm)
    return (turn + learning_rate / (1 + r) * p) / r


@lifted(fromage_rule, degree=0)
def scale_by_fromage(learning_rate: NonNegative, min_norm: NonNegative = 1e-6):
    """The direction of `fromage`, which depends on the learning rate that follows it.

    Args:
        learning_rate: eta >= 0, the one that is applied to this direction.
        min_norm: at least 0, the smallest value either norm counts as, so that a leaf of zeros can move.

    Source: Bernstein et al. 2020, Algorithm 1, arXiv:2002.03432; differs: `min_norm`.
    """


@optimizer(scale_by_fromage)
def fromage(learning_rate: NonNegative, min_norm: NonNegative = 1e-6, *, weight_decay: DecayKind = None):
    """Fromage: each leaf turns by an angle that the learning rate gives.

    Per leaf:

        theta <- (theta - eta ||theta|| g / ||g||) / sqrt(1 + eta^2)

    Args:
        learning_rate: eta >= 0, the tangent of the largest turn; 0.01 in the paper.

    State: none, or two step counts (8 bytes) with a schedule.
    """
