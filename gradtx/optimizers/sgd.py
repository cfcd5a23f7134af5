"""Stochastic gradient descent: with or without momentum, with noise that fades, with differential privacy."""

from gradtx.combine.chain import chain
from gradtx.combine.descend import descend
from gradtx.combine.optimizer import optimizer
from gradtx.core.hyperparameters import Fraction, KeyLike, NonNegative, NonNegativeNumber
from gradtx.core.transformation import GradientTransformation
from gradtx.transforms.decay import DecayKind, decay_links
from gradtx.transforms.momentum import scale_by_momentum
from gradtx.transforms.noise import add_noise
from gradtx.transforms.per_example import differentially_private_aggregate
from gradtx.transforms.scale import identity, scale_by_lr


@optimizer(scale_by_momentum)
def sgd(
    learning_rate: NonNegative, momentum: Fraction | None = None, *, nesterov: bool = False, dampening: Fraction = 0.0,
    weight_decay: DecayKind = None,
) -> GradientTransformation:  # fmt: skip
    """Gradient descent: theta <- theta - eta g, or theta - eta v with momentum v.

    State: that of `scale_by_momentum` in a tuple, one value per parameter; without momentum none.

    Raises: ValueError for `nesterov` without momentum.

    Source: Robbins & Monro 1951; momentum: Polyak 1964; nesterov: Sutskever, Martens, Dahl & Hinton 2013.
    """
    if nesterov and momentum is None:
        raise ValueError("sgd: nesterov needs momentum")
    velocity = identity() if momentum is None else scale_by_momentum(momentum, dampening=dampening, nesterov=nesterov)
    return descend(velocity, learning_rate, weight_decay)


@optimizer(add_noise)
def noisy_sgd(
    learning_rate: NonNegative, eta: NonNegative = 0.01, gamma: NonNegative = 0.55, key: KeyLike = 0, *,
    weight_decay: DecayKind = None,
):  # fmt: skip
    """Gradient descent with noise: theta <- theta - learning_rate (g + N(0, eta / t^gamma)), t = 1, 2, ...

    Args:
        learning_rate: at least 0, a number or a schedule.
    """


@optimizer(differentially_private_aggregate, scale_by_momentum)
def dpsgd(
    learning_rate: NonNegative, l2_norm_clip: NonNegativeNumber, noise_multiplier: NonNegativeNumber,
    key: KeyLike = 0, momentum: Fraction | None = None, *, nesterov: bool = False, weight_decay: DecayKind = None,
) -> GradientTransformation:  # fmt: skip
    """Gradient descent on clipped and noised per-example gradients: theta <- theta - eta u.

    u is what `differentially_private_aggregate` makes of gradients of shape (B, ...), with momentum if asked for.

    State: `(DifferentiallyPrivateAggregateState, TraceState, ...)`, one value per parameter with momentum.
    """
    before, between, after = decay_links(weight_decay, learning_rate)
    aggregate = differentially_private_aggregate(l2_norm_clip, noise_multiplier, key)
    direction = identity() if momentum is None else scale_by_momentum(momentum, nesterov=nesterov)
    return chain(aggregate, *before, direction, *between, scale_by_lr(learning_rate), *after)
