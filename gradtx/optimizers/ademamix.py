"""AdEMAMix: Adam with a second, much slower average of the gradient; and its simplified form."""

from typing import NamedTuple

from gradtx.combine.optimizer import optimizer
from gradtx.core.averages import abs_sq, debias, ema, sqrt
from gradtx.core.fields import Count
from gradtx.core.hyperparameters import Decay, NonNegative
from gradtx.core.lifted import lifted
from gradtx.core.slots import PositiveSlot, Slot
from gradtx.core.typing import Array, ArrayLike
from gradtx.transforms.decay import DecayKind


class ScaleByAdemamixState(NamedTuple):
    count: Count  # steps taken, int32
    m1: Slot  # fast average of g
    m2: Slot  # slow average of g
    nu: PositiveSlot  # running average of |g|^2


class ScaleBySimplifiedAdEMAMixState(NamedTuple):
    count: Count  # steps taken, int32
    m: Slot  # decayed sum of g
    n: PositiveSlot  # running average of |g|^2


def ademamix_rule(
    g: Array, s: ScaleByAdemamixState, *, b1: ArrayLike, b2: ArrayLike, b3: ArrayLike, alpha: ArrayLike,
    eps: ArrayLike, eps_root: ArrayLike,
) -> tuple[Array, ScaleByAdemamixState]:  # fmt: skip
    """u = (m1 + alpha m2) / (sqrt(v + eps_root) + eps), m1 and v debiased, m2 not."""
    m1, m2, nu = ema(s.m1, g, b1), ema(s.m2, g, b3), ema(s.nu, abs_sq(g), b2)
    u = (debias(m1, b1, s.count) + alpha * m2) / (sqrt(debias(nu, b2, s.count) + eps_root) + eps)
    return u, s._replace(m1=m1, m2=m2, nu=nu)


def simplified_rule(
    g: Array, s: ScaleBySimplifiedAdEMAMixState, *, b1: ArrayLike, b2: ArrayLike, alpha: ArrayLike,
    eps: ArrayLike, eps_root: ArrayLike,
) -> tuple[Array, ScaleBySimplifiedAdEMAMixState]:  # fmt: skip
    """u = (m + alpha g) / (sqrt(v + eps_root) + eps), m a decayed sum of g and v the debiased average of |g|^2."""
    m, n = b1 * s.m + g, ema(s.n, abs_sq(g), b2)
    u = (m + alpha * g) / (sqrt(debias(n, b2, s.count) + eps_root) + eps)
    return u, s._replace(m=m, n=n)


@lifted(ademamix_rule, ScaleByAdemamixState, degree=0)
def scale_by_ademamix(
    b1: Decay = 0.9, b2: Decay = 0.999, b3: Decay = 0.9999, alpha: NonNegative = 6.0, eps: NonNegative = 1e-8, *,
    eps_root: NonNegative = 0.0,
):  # fmt: skip
    """Divide a mix of a fast and a slow average of the gradient by its running root-mean-square.

    Per leaf, at step t = 1, 2, ...:

        m1 <- b1 m1 + (1 - b1) g
        m2 <- b3 m2 + (1 - b3) g
        nu <- b2 nu + (1 - b2) |g|^2
        u  <- (m1 / (1 - b1^t) + alpha m2) / (sqrt(nu / (1 - b2^t) + eps_root) + eps)

    Args:
        b1: in [0, 1), decay of the fast average.
        b3: in [0, 1), decay of the slow average; to warm it up, `ademamix_b3_schedule(b1, b3, steps)`.
        alpha: at least 0, weight of the slow average; to warm it up, `ademamix_alpha_schedule(alpha, steps)`.

    Source: Pagliardini, Ablin & Grangier 2024, Algorithm 1, arXiv:2409.03137.
    """


@lifted(simplified_rule, ScaleBySimplifiedAdEMAMixState, degree=0)
def scale_by_simplified_ademamix(
    b1: Decay = 0.99, b2: Decay = 0.95, alpha: NonNegative = 0.0, eps: NonNegative = 1e-8, *,
    eps_root: NonNegative = 0.0,
):  # fmt: skip
    """Divide a mix of the gradient and its decayed sum by its running root-mean-square.

    Per leaf, at step t = 1, 2, ...:

        m <- b1 m + g
        n <- b2 n + (1 - b2) |g|^2
        u <- (m + alpha g) / (sqrt(n / (1 - b2^t) + eps_root) + eps)

    m is a sum, so u is about 1 / (1 - b1) times Adam's, and wants a learning rate that much smaller.

    Args:
        b1: in [0, 1), decay of the sum.
        alpha: at least 0, weight of the gradient.

    Source: Morwani et al. 2025, arXiv:2502.02431.
    """


@optimizer(scale_by_ademamix)
def ademamix(
    learning_rate: NonNegative, b1: Decay = 0.9, b2: Decay = 0.999, b3: Decay = 0.9999, alpha: NonNegative = 5.0,
    eps: NonNegative = 1e-8, *, eps_root: NonNegative = 0.0, weight_decay: DecayKind = None,
):  # fmt: skip
    """AdEMAMix: Adam that also remembers gradients of thousands of steps ago."""


@optimizer(scale_by_simplified_ademamix)
def simplified_ademamix(
    learning_rate: NonNegative, b1: Decay = 0.99, b2: Decay = 0.95, alpha: NonNegative = 0.0,
    eps: NonNegative = 1e-8, *, eps_root: NonNegative = 0.0, weight_decay: DecayKind = None,
):  # fmt: skip
    """Simplified AdEMAMix: one decayed sum, mixed with the gradient; eta is about (1 - b1) times Adam's."""
