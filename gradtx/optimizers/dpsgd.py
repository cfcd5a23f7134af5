"""Gradient descent with differential privacy."""

from gradtx.combine.chain import chain
from gradtx.combine.optimizer import optimizer
from gradtx.core.hyperparameters import Fraction, KeyLike, NonNegative, NonNegativeNumber
from gradtx.core.transformation import GradientTransformation
from gradtx.transforms.decay import DecayKind, decay_links
from gradtx.transforms.momentum import scale_by_momentum
from gradtx.transforms.per_example import differentially_private_aggregate
from gradtx.transforms.scale import identity, scale_by_lr


@optimizer(differentially_private_aggregate, scale_by_momentum)
def dpsgd(
    learning_rate: NonNegative, l2_norm_clip: NonNegativeNumber, noise_multiplier: NonNegativeNumber,
    key: KeyLike = 0, momentum: Fraction | None = None, *, nesterov: bool = False, weight_decay: DecayKind = None,
) -> GradientTransformation:  # fmt: skip
    """Gradient descent on clipped and noised per-example gradients: theta <- theta - eta u.

    u is what `differentially_private_aggregate` makes of gradients of shape (B, ...), with momentum if asked for.

    Args:
        momentum: in [0, 1], or None for none.

    State: `(DifferentiallyPrivateAggregateState, TraceState, ...)`, one value per parameter with momentum.
    """
    before, between, after = decay_links(weight_decay, learning_rate)
    aggregate = differentially_private_aggregate(l2_norm_clip, noise_multiplier, key)
    direction = identity() if momentum is None else scale_by_momentum(momentum, nesterov=nesterov)
    return chain(aggregate, *before, direction, *between, scale_by_lr(learning_rate), *after)
