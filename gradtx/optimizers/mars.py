"""MARS: Adam on gradients corrected by how they changed since the step before."""

from typing import NamedTuple

import jax.numpy as jnp

from gradtx.combine.optimizer import optimizer
from gradtx.core.averages import abs_sq, debias, ema, rms, shortening, sqrt
from gradtx.core.fields import Count
from gradtx.core.hyperparameters import Decay, NonNegative, Positive, Threshold
from gradtx.core.lifted import lifted
from gradtx.core.slots import PositiveSlot, Slot
from gradtx.core.typing import Array, ArrayLike
from gradtx.transforms.decay import DecayKind


class ScaleByMarsState(NamedTuple):
    count: Count  # steps taken, int32
    mu: Slot  # running average of c
    nu: PositiveSlot  # running average of |c|^2
    g: Slot  # g of the step before


def mars_rule(
    g: Array, s: ScaleByMarsState, *, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike, gamma: ArrayLike,
    max_norm: ArrayLike,
) -> tuple[Array, ScaleByMarsState]:  # fmt: skip
    """Adam's direction on c = g + gamma b1 / (1 - b1) (g - g of the step before), shortened to max_norm."""
    c = g + gamma * b1 / (1 - b1) * jnp.where(s.count == 1, 0, g - s.g)
    c = c * shortening(rms(c) * g.size**0.5, max_norm)
    mu, nu = ema(s.mu, c, b1), ema(s.nu, abs_sq(c), b2)
    u = debias(mu, b1, s.count) / (sqrt(debias(nu, b2, s.count)) + eps)
    return u, s._replace(mu=mu, nu=nu, g=g)


@lifted(mars_rule, ScaleByMarsState, degree=0)
def scale_by_mars(
    b1: Decay = 0.95, b2: Decay = 0.99, eps: Positive = 1e-8, gamma: NonNegative = 0.025, *, max_norm: Threshold = 1.0
):
    """Adam's direction on variance-reduced gradients, in the approximate form that needs no second gradient.

    Per leaf, at step t = 1, 2, ..., with h the gradient of the step before (g itself at t = 1):

        c  <- g + gamma b1 / (1 - b1) (g - h)
        c  <- c min(1, max_norm / ||c||)
        mu <- b1 mu + (1 - b1) c
        nu <- b2 nu + (1 - b2) |c|^2
        u  <- mu / (1 - b1^t) / (sqrt(nu / (1 - b2^t)) + eps)

    Args:
        gamma: at least 0, strength of the correction.
        max_norm: at least 0, the longest c of a leaf.

    Source: Yuan et al. 2024, Algorithm 2 (MARS-AdamW), arXiv:2411.10438; its code takes h = 0 at t = 1.
    """


@optimizer(scale_by_mars)
def mars(
    learning_rate: NonNegative, b1: Decay = 0.95, b2: Decay = 0.99, eps: Positive = 1e-8, gamma: NonNegative = 0.025, *,
    max_norm: Threshold = 1.0, weight_decay: DecayKind = None,
):  # fmt: skip
    """MARS-AdamW, approximate form: Adam on variance-reduced gradients.

    The paper uses it for matrices, by default with the learning rate 3e-3, and AdamW with b1 = 0.9, b2 = 0.95 for the
    rest: see `partition`.
    """
