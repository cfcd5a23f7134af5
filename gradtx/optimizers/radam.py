"""RAdam: Adam that waits until its second moment can be trusted."""

import jax.numpy as jnp

from gradtx.combine.optimizer import optimizer
from gradtx.core.averages import abs_sq, debias, debias_ahead, ema, sqrt
from gradtx.core.hyperparameters import Decay, NonNegative
from gradtx.core.lifted import lifted
from gradtx.core.typing import Array, ArrayLike
from gradtx.optimizers.adam import ScaleByAdamState
from gradtx.transforms.decay import DecayKind


def average_length(b2: ArrayLike, t: Array) -> Array:
    """rho = 2 / (1 - b2) - 1 - 2 t b2^t / (1 - b2^t), the length of the simple average that reaches as far back.

    For small x = -t log(b2) the two large terms cancel. There rho = t - 2 (c(x) - c(x / t)) t / x, c below.
    """
    rest = jnp.asarray(1 - b2, t.dtype)
    some = rest < 1
    per_step = -jnp.log1p(-jnp.where(some, rest, 0.5))
    x = t * per_step
    near = t - 2 * (_excess(jnp.minimum(x, 0.25)) - _excess(jnp.minimum(per_step, 0.25))) / per_step
    far = 2 / rest - 1 - 2 * t * jnp.exp(-x) / -jnp.expm1(-x)
    return jnp.where(some, jnp.where(x < 0.25, near, far), 1)


def _excess(x: Array) -> Array:
    """c(x) = (x / 2) coth(x / 2) - 1 for |x| <= 1/4, by its Taylor series."""
    y = x * x
    return y * (1 / 12 - y * (1 / 720 - y * (1 / 30240 - y * (1 / 1209600 - y / 47900160))))


def rectification(b2: ArrayLike, rho: Array, trusted: Array) -> Array:
    """r = sqrt((rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho)) where `trusted`, which is above 4."""
    rho = jnp.where(trusted, rho, 5)
    limit = jnp.where(trusted, 2 / (1 - b2) - 1, 5)
    return sqrt((rho - 4) / (limit - 4) * (rho - 2) / (limit - 2) * limit / rho)


def radam_rule(
    g: Array, s: ScaleByAdamState, *, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike, eps_root: ArrayLike,
    threshold: ArrayLike, nesterov: bool,
) -> tuple[Array, ScaleByAdamState]:  # fmt: skip
    """u = r m / (sqrt(v + eps_root) + eps) where rho is large enough for r, else u = m."""
    mu = ema(s.mu, g, b1)
    nu = ema(s.nu, abs_sq(g), b2)
    m = debias_ahead(mu, g, b1, s.count) if nesterov else debias(mu, b1, s.count)
    rho = average_length(b2, s.count.astype(g.real.dtype))
    trusted = (rho >= threshold) & (rho > 4)
    r = rectification(b2, rho, trusted)
    u = jnp.where(trusted, r * m / (sqrt(debias(nu, b2, s.count) + eps_root) + eps), m)
    return u, s._replace(mu=mu, nu=nu)


@lifted(radam_rule, ScaleByAdamState)
def scale_by_radam(
    b1: Decay = 0.9, b2: Decay = 0.999, eps: NonNegative = 1e-8, *, eps_root: NonNegative = 0.0,
    threshold: NonNegative = 5.0, nesterov: bool = False,
):  # fmt: skip
    """Adam's direction, times a factor for how few gradients its second moment has seen; at first, the average alone.

    Per leaf, at step t = 1, 2, ..., with mu, nu, m as in `scale_by_adam` and rho_inf = 2 / (1 - b2) - 1:

        rho <- rho_inf - 2 t b2^t / (1 - b2^t)
        r   <- sqrt((rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho))
        u   <- r m / (sqrt(nu / (1 - b2^t) + eps_root) + eps) if rho >= threshold, else m

    Args:
        b2: in [0, 1), decay of the average of |g|^2; below 2/3 rho never reaches 5.
        threshold: at least 0, the rho from which the second moment is used; never for rho <= 4. The paper: above 4.

    Source: Liu et al. 2020, Algorithm 2, arXiv:1908.03265; differs: the threshold is 5, as in the authors' code.
    """


@optimizer(scale_by_radam)
def radam(
    learning_rate: NonNegative, b1: Decay = 0.9, b2: Decay = 0.999, eps: NonNegative = 1e-8, *,
    eps_root: NonNegative = 0.0, threshold: NonNegative = 5.0, nesterov: bool = False, weight_decay: DecayKind = None,
):  # fmt: skip
    """RAdam: Adam whose warm-up is computed instead of tuned."""
