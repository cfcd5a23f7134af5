"""ADOPT: Adam whose second moment leaves out the gradient that it divides."""

import jax.numpy as jnp

from gradtx.combine.optimizer import optimizer
from gradtx.core.averages import abs_sq, ema, shortening, sqrt
from gradtx.core.hyperparameters import Decay, NonNegative, Positive, Threshold
from gradtx.core.lifted import lifted
from gradtx.core.precision import cast, real_dtype
from gradtx.core.typing import Array, ArrayLike
from gradtx.optimizers.adam import ScaleByAdamState
from gradtx.transforms.decay import DecayKind


def limit(x: Array, bound: ArrayLike) -> Array:
    """`x` with a modulus of at most `bound`."""
    return x * shortening(jnp.abs(x), bound) if jnp.iscomplexobj(x) else jnp.clip(x, -bound, bound)


def adopt_rule(
    g: Array, s: ScaleByAdamState, *, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike,
    clip_exponent: ArrayLike | None, clip_value: ArrayLike | None, nesterov: bool,
) -> tuple[Array, ScaleByAdamState]:  # fmt: skip
    """m = average of clip(g / max(sqrt(v of the step before), eps)); the first step only sets v."""
    first = s.count == 1
    n = g / jnp.maximum(sqrt(s.nu), eps)
    if clip_value is not None:
        n = limit(n, clip_value)
    elif clip_exponent is not None:
        n = limit(n, jnp.maximum(cast(s.count, real_dtype(g.dtype)) - 1, 1) ** clip_exponent)
    mu = jnp.where(first, s.mu, ema(s.mu, n, b1))
    nu = jnp.where(first, abs_sq(g), ema(s.nu, abs_sq(g), b2))
    u = jnp.where(first, mu, ema(mu, n, b1)) if nesterov else mu
    return u, s._replace(mu=mu, nu=nu)


@lifted(adopt_rule, ScaleByAdamState, degree=0)
def scale_by_adopt(
    b1: Decay = 0.9, b2: Decay = 0.9999, eps: Positive = 1e-6, *, clip_exponent: NonNegative | None = 0.25,
    clip_value: Threshold | None = None, nesterov: bool = False,
):  # fmt: skip
    """Average gradients, each divided by the root-mean-square of those before it.

    Per leaf; step t = 1 sets nu <- |g|^2 and gives u = 0; then at t = 2, 3, ...:

        n  <- g / max(sqrt(nu), eps), limited to a modulus of (t - 1)^clip_exponent
        mu <- b1 mu + (1 - b1) n
        nu <- b2 nu + (1 - b2) |g|^2
        u  <- mu, or b1 mu + (1 - b1) n with `nesterov`

    Args:
        clip_exponent: at least 0; None limits nothing, as in the paper's Algorithm 1.
        clip_value: at least 0, or a schedule: the limit itself, instead of that power of the step.

    Source: Taniguchi et al. 2024, Algorithms 1 and 2, arXiv:2411.02853.
    """


@optimizer(scale_by_adopt)
def adopt(
    learning_rate: NonNegative, b1: Decay = 0.9, b2: Decay = 0.9999, eps: Positive = 1e-6, *,
    clip_exponent: NonNegative | None = 0.25, clip_value: Threshold | None = None, nesterov: bool = False,
    weight_decay: DecayKind = None,
):  # fmt: skip
    """ADOPT: Adam that converges for any b2."""
