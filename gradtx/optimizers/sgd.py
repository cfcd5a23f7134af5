"""Stochastic gradient descent, with or without momentum."""

from gradtx.combine.descend import descend
from gradtx.combine.optimizer import optimizer
from gradtx.core.hyperparameters import Fraction, NonNegative
from gradtx.core.transformation import GradientTransformation
from gradtx.transforms.decay import DecayKind
from gradtx.transforms.momentum import scale_by_momentum
from gradtx.transforms.scale import identity


@optimizer(scale_by_momentum)
def sgd(
    learning_rate: NonNegative, momentum: Fraction | None = None, *, nesterov: bool = False, dampening: Fraction = 0.0,
    weight_decay: DecayKind = None,
) -> GradientTransformation:  # fmt: skip
    """Gradient descent: theta <- theta - eta g, or theta - eta v with momentum v.

    Args:
        momentum: None, or the decay of v in [0, 1]; see `scale_by_momentum`.

    State: that of `scale_by_momentum` in a tuple, one value per parameter; without momentum none.

    Raises: ValueError for `nesterov` without momentum.

    Source: Robbins & Monro 1951; momentum: Polyak 1964; nesterov: Sutskever, Martens, Dahl & Hinton 2013.
    """
    if nesterov and momentum is None:
        raise ValueError("sgd: nesterov needs momentum")
    velocity = identity() if momentum is None else scale_by_momentum(momentum, dampening=dampening, nesterov=nesterov)
    return descend(velocity, learning_rate, weight_decay)
