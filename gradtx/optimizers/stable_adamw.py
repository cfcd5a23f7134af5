"""StableAdamW: AdamW whose step shrinks where the second moment lags behind the gradient."""

import jax.numpy as jnp

from gradtx.combine.optimizer import optimizer
from gradtx.core.averages import debias, ema, finite_abs_sq, mean, sqrt
from gradtx.core.hyperparameters import Decay, NonNegative, Positive
from gradtx.core.lifted import lifted
from gradtx.core.typing import Array, ArrayLike
from gradtx.optimizers.adam import ScaleByAdamState
from gradtx.transforms.decay import DecayKind


def stable_adam_rule(
    g: Array, s: ScaleByAdamState, *, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike
) -> tuple[Array, ScaleByAdamState]:
    """u = m / (sqrt(v) + eps) / max(1, r), r the root of the mean of |g|^2 / max(v, eps^2)."""
    mu, nu = ema(s.mu, g, b1), ema(s.nu, finite_abs_sq(g), b2)
    v = debias(nu, b2, s.count)
    r = sqrt(mean(finite_abs_sq(g) / jnp.maximum(v, eps * eps)))
    u = debias(mu, b1, s.count) / (sqrt(v) + eps) / jnp.maximum(r, 1)
    return u, s._replace(mu=mu, nu=nu)


@lifted(stable_adam_rule, ScaleByAdamState, degree=0)
def scale_by_stable_adam(b1: Decay = 0.9, b2: Decay = 0.99, eps: Positive = 1e-6):
    """Adam's direction, shortened per leaf where gradients are larger than their running root-mean-square.

    Per leaf, at step t = 1, 2, ...:

        mu <- b1 mu + (1 - b1) g
        nu <- b2 nu + (1 - b2) |g|^2
        v  <- nu / (1 - b2^t)
        r  <- root of the mean over the leaf of |g|^2 / max(v, eps^2)
        u  <- mu / (1 - b1^t) / (sqrt(v) + eps) / max(1, r)

    Source: Wortsman et al. 2023, Algorithm 2, arXiv:2304.13013, whose averages with decays that depend on t are
        these, debiased.
    """


@optimizer(scale_by_stable_adam)
def stable_adamw(
    learning_rate: NonNegative, b1: Decay = 0.9, b2: Decay = 0.99, eps: Positive = 1e-6, *,
    weight_decay: DecayKind = 1e-2,
):  # fmt: skip
    """StableAdamW: AdamW with Adafactor's update clipping, so that gradients need none.

    Args:
        weight_decay: None, a strength (decoupled), or a kind such as `coupled(1e-4)`; see `descend`. The paper
            divides decay by max(1, r) too; here its kind alone says how strong it is.
    """
