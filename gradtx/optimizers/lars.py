"""LARS: momentum of updates scaled per leaf to the parameters."""

from gradtx.combine.chain import chain
from gradtx.combine.optimizer import optimizer
from gradtx.core.hyperparameters import Fraction, NonNegative
from gradtx.core.transformation import GradientTransformation
from gradtx.core.typing import Mask
from gradtx.transforms.decay import DecayKind, decay_links
from gradtx.transforms.momentum import scale_by_momentum
from gradtx.transforms.scale import scale_by_lr
from gradtx.transforms.trust import scale_by_trust_ratio


@optimizer(scale_by_momentum, scale_by_trust_ratio)
def lars(
    learning_rate: NonNegative, trust_coefficient: NonNegative = 0.001, eps: NonNegative = 0.0,
    momentum: Fraction = 0.9, *, nesterov: bool = False, trust_ratio_mask: Mask = None, weight_decay: DecayKind = None,
) -> GradientTransformation:  # fmt: skip
    """LARS: momentum SGD with a learning rate per leaf, for large batches.

    Per leaf:

        u     <- g + lambda theta
        u     <- trust_coefficient u ||theta|| / (||u|| + eps); unchanged where a norm is 0
        v     <- momentum v - eta u
        theta <- theta + v, or with `nesterov` theta + momentum v - eta u

    Args:
        momentum: in [0, 1], the share of v that stays at each step.
        trust_ratio_mask: which leaves have a trust ratio, as in `add_decayed_weights`; None means all.
        weight_decay: None; a strength, which joins g before the trust ratio as in the paper; or a kind:
            `coupled` and `decoupled` the same, with a mask, and `independent` after everything else.

    Source: You, Gitman & Ginsburg 2017, Algorithm 1, arXiv:1708.03888; differs: the norm of the sum g + lambda theta
    instead of the sum of the norms, as in Optax.
    """
    before, between, after = decay_links(weight_decay, learning_rate)
    trust = scale_by_trust_ratio(0.0, trust_coefficient, eps, mask=trust_ratio_mask)
    velocity = scale_by_momentum(momentum, nesterov=nesterov)
    return chain(*before, *between, trust, scale_by_lr(learning_rate), velocity, *after)
