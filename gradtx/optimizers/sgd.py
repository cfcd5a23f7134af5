"""Stochastic gradient descent, with or without momentum."""

from gradtx.combine.descend import descend
from gradtx.core.hyperparameters import Fraction, NonNegative
from gradtx.core.transformation import GradientTransformation, transformation
from gradtx.transforms.decay import DecayKind
from gradtx.transforms.momentum import scale_by_momentum
from gradtx.transforms.scale import identity


@transformation
def sgd(
    learning_rate: NonNegative,
    momentum: Fraction | None = None,
    *,
    nesterov: bool = False,
    dampening: Fraction = 0.0,
    weight_decay: DecayKind = None,
) -> GradientTransformation:
    """Gradient descent: theta <- theta - eta g, or theta - eta v with momentum v.

    Args:
        learning_rate: eta >= 0.
        momentum: None, or the decay of v in [0, 1]; see `scale_by_momentum`.
        nesterov: whether momentum looks ahead.
        dampening: in [0, 1], the share of each gradient that does not enter v.
        weight_decay: None, a strength (decoupled), or a kind such as `coupled(1e-4)`; see `descend`.

    State: that of `scale_by_momentum`, one value per parameter; without momentum none.

    Raises: ValueError for `nesterov` without momentum.

    Source: Robbins & Monro 1951; momentum: Polyak 1964; nesterov: Sutskever, Martens, Dahl & Hinton 2013.
    """
    if momentum is None:
        if nesterov:
            raise ValueError("sgd: nesterov needs momentum")
        return descend(identity(), learning_rate, weight_decay)
    direction = scale_by_momentum(momentum, dampening=dampening, nesterov=nesterov)
    return descend(direction, learning_rate, weight_decay)
