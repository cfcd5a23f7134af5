"""LARS and LAMB: updates, and Adam's direction, scaled per leaf to the parameters."""

from gradtx.combine.chain import chain
from gradtx.combine.optimizer import optimizer
from gradtx.core.hyperparameters import Decay, Fraction, NonNegative
from gradtx.core.transformation import GradientTransformation
from gradtx.core.typing import Mask
from gradtx.optimizers.adam import scale_by_adam
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


@optimizer(scale_by_adam, scale_by_trust_ratio)
def lamb(
    learning_rate: NonNegative, b1: Decay = 0.9, b2: Decay = 0.999, eps: NonNegative = 1e-6, *,
    eps_root: NonNegative = 0.0, trust_ratio_mask: Mask = None, weight_decay: DecayKind = None,
) -> GradientTransformation:  # fmt: skip
    """LAMB: Adam with a learning rate per leaf, for large batches.

    Per leaf, with r the direction of `scale_by_adam`:

        u     <- r + lambda theta
        theta <- theta - eta u ||theta|| / ||u||, or theta - eta u where a norm is 0

    Args:
        learning_rate: eta >= 0, the length of a step relative to the parameter.
        trust_ratio_mask: which leaves have a trust ratio, as in `add_decayed_weights`; None means all.
        weight_decay: None; a strength, which joins r before the trust ratio as in the paper; or a kind, of which
            `decoupled` does the same, with a mask.

    Source: You et al. 2020, Algorithm 2, arXiv:1904.00962, with phi(z) = z.
    """
    before, between, after = decay_links(weight_decay, learning_rate)
    direction, trust = scale_by_adam(b1, b2, eps, eps_root=eps_root), scale_by_trust_ratio(mask=trust_ratio_mask)
    return chain(*before, direction, *between, trust, scale_by_lr(learning_rate), *after)
