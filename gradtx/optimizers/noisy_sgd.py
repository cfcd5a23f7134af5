"""Gradient descent with noise that fades."""

from gradtx.combine.descend import descend
from gradtx.core.hyperparameters import KeyLike, NonNegative
from gradtx.core.transformation import GradientTransformation, transformation
from gradtx.transforms.decay import DecayKind
from gradtx.transforms.noise import add_noise


@transformation
def noisy_sgd(
    learning_rate: NonNegative,
    eta: NonNegative = 0.01,
    gamma: NonNegative = 0.55,
    key: KeyLike = 0,
    *,
    weight_decay: DecayKind = None,
) -> GradientTransformation:
    """Gradient descent with noise: theta <- theta - learning_rate (g + N(0, eta / t^gamma)), t = 1, 2, ...

    Args:
        learning_rate: at least 0.
        eta: variance of the noise at the first step, >= 0.
        gamma: how fast it fades, >= 0.
        key: a seed, or a key from `jax.random`; see `add_noise`.
        weight_decay: None, a strength (decoupled), or a kind such as `coupled(1e-4)`; see `descend`.

    State: that of `add_noise`, 12 bytes.

    Source: Neelakantan et al. 2015, arXiv:1511.06807.
    """
    return descend(add_noise(eta, gamma, key), learning_rate, weight_decay)
