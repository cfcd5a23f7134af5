"""AdaMax: Adam in the infinity norm."""

import jax.numpy as jnp

from gradtx.combine.optimizer import optimizer
from gradtx.core.averages import debias, ema
from gradtx.core.hyperparameters import Decay, NonNegative, Positive
from gradtx.core.lifted import lifted
from gradtx.core.typing import Array, ArrayLike
from gradtx.optimizers.adam import ScaleByAdamState
from gradtx.transforms.decay import DecayKind


def adamax_rule(
    g: Array, s: ScaleByAdamState, *, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike
) -> tuple[Array, ScaleByAdamState]:
    """u = m / s, m the debiased average of g and s = max(b2 s, |g| + eps)."""
    mu = ema(s.mu, g, b1)
    nu = jnp.maximum(b2 * s.nu, jnp.abs(g) + eps)
    return debias(mu, b1, s.count) / nu, s._replace(mu=mu, nu=nu)


@lifted(adamax_rule, ScaleByAdamState, degree=0)
def scale_by_adamax(b1: Decay = 0.9, b2: Decay = 0.999, eps: Positive = 1e-8):
    """Divide the averaged gradient by the decayed largest gradient.

    Per leaf, at step t = 1, 2, ...:

        mu <- b1 mu + (1 - b1) g
        s  <- max(b2 s, |g| + eps)
        u  <- mu / (1 - b1^t) / s

    Args:
        b2: in [0, 1), decay of the maximum.
        eps: above 0, inside the maximum; the paper has none.

    State: `ScaleByAdamState(count, mu, nu)` with s as nu, two values per parameter.

    Source: Kingma & Ba 2015, Algorithm 2, arXiv:1412.6980.
    """


@optimizer(scale_by_adamax)
def adamax(
    learning_rate: NonNegative, b1: Decay = 0.9, b2: Decay = 0.999, eps: Positive = 1e-8, *,
    weight_decay: DecayKind = None,
):  # fmt: skip
    """AdaMax: steps divided by the decayed largest gradient."""


@optimizer(scale_by_adamax)
def adamaxw(
    learning_rate: NonNegative, b1: Decay = 0.9, b2: Decay = 0.999, eps: Positive = 1e-8, *,
    weight_decay: DecayKind = 1e-4,
):  # fmt: skip
    """AdaMax with decoupled weight decay: theta <- theta - eta (u + lambda theta)."""
