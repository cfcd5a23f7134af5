"""Adam-atan2: Adam with an arc tangent for the division, and so without eps."""

import math

import jax.numpy as jnp

from gradtx.combine.optimizer import optimizer
from gradtx.core.averages import abs_sq, debias, ema, sign, sqrt
from gradtx.core.hyperparameters import Decay, NonNegative, Positive
from gradtx.core.lifted import lifted
from gradtx.core.typing import Array, ArrayLike
from gradtx.optimizers.adam import ScaleByAdamState
from gradtx.transforms.decay import DecayKind


def angle(x: Array, y: Array) -> Array:
    """atan2(x, y) for y >= 0, zero where both are, with finite derivatives there; complex `x` keeps its phase."""
    positive = y > 0
    ratio = x / jnp.where(positive, y, 1)
    if jnp.iscomplexobj(x):
        return sign(x) * jnp.where(positive, jnp.arctan(jnp.abs(ratio)), math.pi / 2)
    return jnp.where(positive, jnp.arctan(ratio), math.pi / 2 * sign(x))


def adam_atan2_rule(
    g: Array, s: ScaleByAdamState, *, b1: ArrayLike, b2: ArrayLike, a: ArrayLike, b: ArrayLike
) -> tuple[Array, ScaleByAdamState]:
    """u = a atan2(m, b sqrt(v)), m and v the debiased averages of g and |g|^2."""
    mu, nu = ema(s.mu, g, b1), ema(s.nu, abs_sq(g), b2)
    u = a * angle(debias(mu, b1, s.count), b * sqrt(debias(nu, b2, s.count)))
    return u, s._replace(mu=mu, nu=nu)


@lifted(adam_atan2_rule, ScaleByAdamState, degree=0)
def scale_by_adam_atan2(b1: Decay = 0.9, b2: Decay = 0.999, a: NonNegative = 1.27, b: Positive = 1.0):
    """Adam's direction through an arc tangent: bounded, and the same for gradients of any scale.

    Per leaf, at step t = 1, 2, ...:

        mu <- b1 mu + (1 - b1) g
        nu <- b2 nu + (1 - b2) |g|^2
        u  <- a atan2(mu / (1 - b1^t), b sqrt(nu / (1 - b2^t)))

    Args:
        a: at least 0, size of u; the default, about 4 / pi, gives 1 where Adam does with b = 1.
        b: above 0, how soon the arc tangent bends.

    Source: Everett et al. 2024, arXiv:2407.05872.
    """


@optimizer(scale_by_adam_atan2)
def adam_atan2(
    learning_rate: NonNegative, b1: Decay = 0.9, b2: Decay = 0.999, a: NonNegative = 1.27, b: Positive = 1.0, *,
    weight_decay: DecayKind = None,
):  # fmt: skip
    """Adam-atan2: Adam without eps."""
