"""Adan: Nesterov momentum through averaged gradient differences."""

from typing import NamedTuple

import jax.numpy as jnp

from gradtx.combine.optimizer import optimizer
from gradtx.core.averages import abs_sq, debias, ema, sqrt
from gradtx.core.fields import Count
from gradtx.core.hyperparameters import Decay, NonNegative
from gradtx.core.lifted import lifted
from gradtx.core.slots import PositiveSlot, Slot
from gradtx.core.typing import Array, ArrayLike
from gradtx.transforms.decay import DecayKind


class ScaleByAdanState(NamedTuple):
    m: Slot  # running average of g
    v: Slot  # running average of d, the change of g
    n: PositiveSlot  # running average of |g + b2 d|^2
    g: Slot  # g of the step before
    count: Count  # steps taken, int32


def adan_rule(
    g: Array, s: ScaleByAdanState, *, b1: ArrayLike, b2: ArrayLike, b3: ArrayLike, eps: ArrayLike, eps_root: ArrayLike
) -> tuple[Array, ScaleByAdanState]:
    """u = (m + b2 v) / (sqrt(n + eps_root) + eps), all three debiased."""
    d = jnp.where(s.count == 1, 0, g - s.g)
    m = ema(s.m, g, b1)
    v = ema(s.v, d, b2)
    n = ema(s.n, abs_sq(g + b2 * d), b3)
    ahead = debias(m, b1, s.count) + b2 * debias(v, b2, s.count)
    return ahead / (sqrt(debias(n, b3, s.count) + eps_root) + eps), s._replace(m=m, v=v, n=n, g=g)


@lifted(adan_rule, ScaleByAdanState, degree=0)
def scale_by_adan(
    b1: Decay = 0.98, b2: Decay = 0.92, b3: Decay = 0.99, eps: NonNegative = 1e-8, *, eps_root: NonNegative = 0.0
):
    """Divide the averaged gradient, corrected by the averaged change of it, by its running root-mean-square.

    Per leaf, at step t = 1, 2, ..., with d = g_t - g_(t-1), 0 at t = 1:

        m <- b1 m + (1 - b1) g
        v <- b2 v + (1 - b2) d
        n <- b3 n + (1 - b3) |g + b2 d|^2
        u <- (m / (1 - b1^t) + b2 v / (1 - b2^t)) / (sqrt(n / (1 - b3^t) + eps_root) + eps)

    Args:
        b2: in [0, 1), decay of v and its weight.

    Source: Xie et al. 2024, Algorithm 1, arXiv:2208.06677, where b1, b2, b3 stand for 1 - b1, 1 - b2, 1 - b3 here.
    Optax 0.2.8 has 1 - b2 for the factor b2 of d and of v / (1 - b2^t).
    """


@optimizer(scale_by_adan)
def adan(
    learning_rate: NonNegative, b1: Decay = 0.98, b2: Decay = 0.92, b3: Decay = 0.99, eps: NonNegative = 1e-8, *,
    eps_root: NonNegative = 1e-8, weight_decay: DecayKind = None,
):  # fmt: skip
    """Adan: adaptive steps along Nesterov momentum.

    Args:
        eps_root: at least 0, added inside it; the default is Optax's, the paper has 0.
        weight_decay: None, a strength (decoupled), or a kind such as the paper's `proximal(0.02)`; see `descend`.
    """
