"""Gradient descent with noise that fades."""

from gradtx.combine.optimizer import optimizer
from gradtx.core.hyperparameters import KeyLike, NonNegative
from gradtx.transforms.decay import DecayKind
from gradtx.transforms.noise import add_noise


@optimizer(add_noise)
def noisy_sgd(
    learning_rate: NonNegative, eta: NonNegative = 0.01, gamma: NonNegative = 0.55, key: KeyLike = 0, *,
    weight_decay: DecayKind = None,
):  # fmt: skip
    """Gradient descent with noise: theta <- theta - learning_rate (g + N(0, eta / t^gamma)), t = 1, 2, ...

    Args:
        learning_rate: at least 0, a number or a schedule.
    """
