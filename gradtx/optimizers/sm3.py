"""SM3: AdaGrad whose sums are kept per row, column, ... instead of per parameter."""

from collections.abc import Callable
from functools import partial, reduce
from typing import Annotated, NamedTuple

import jax.numpy as jnp

from gradtx.combine.descend import descend
from gradtx.combine.optimizer import optimizer
from gradtx.core.averages import abs_sq, ema, safe_divide, sqrt
from gradtx.core.hyperparameters import Decay, Fraction, NonNegative
from gradtx.core.lifted import lifted
from gradtx.core.slots import Slot, SlotMark, zeros_shaped
from gradtx.core.transformation import GradientTransformation
from gradtx.core.typing import Array, ArrayLike
from gradtx.transforms.decay import DecayKind


def other_axes(axis: int, ndim: int) -> tuple[int, ...]:
    """All axes but one."""
    return tuple(i for i in range(ndim) if i != axis)


def per_axis(x: Array, over: Callable[..., Array] = jnp.sum) -> tuple[Array, ...]:
    """For each axis a vector, x taken together over all others; of a scalar itself."""
    return tuple(over(x, other_axes(k, x.ndim)) for k in range(max(x.ndim, 1)))


class ScaleBySM3State(NamedTuple):
    mu: Annotated[tuple[Array, ...], SlotMark(zeros_shaped(per_axis), real=True, positive=True)]  # v's largest values
    nu: Slot  # running average of the scaled updates


def sm3_rule(
    g: Array, s: ScaleBySM3State, *, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike
) -> tuple[Array, ScaleBySM3State]:
    """v = b2 min over axes of mu + |g|^2; mu = max of v along the other axes; u = average of g / sqrt(v + eps)."""
    bounds = [jnp.expand_dims(mu, other_axes(k, g.ndim)) for k, mu in enumerate(s.mu)]
    v = b2 * reduce(jnp.minimum, bounds) + jnp.where(b2 == 1, 1, 1 - b2) * abs_sq(g)
    u = ema(s.nu, safe_divide(g, sqrt(v + eps)), b1)
    return u, ScaleBySM3State(mu=per_axis(v, partial(jnp.max, initial=0)), nu=u)


@lifted(sm3_rule, ScaleBySM3State, degree=0)
def scale_by_sm3(b1: Decay = 0.9, b2: Fraction = 1.0, eps: NonNegative = 1e-8):
    """Divide updates by the root of sums of squares that whole rows and columns share.

    Per leaf, with one vector mu_k per axis k:

        v    <- b2 min_k(mu_k) + |g|^2, where (1 - b2) |g|^2 stands for |g|^2 if b2 < 1
        mu_k <- max of v over all axes but k
        u    <- b1 u + (1 - b1) g / sqrt(v + eps), with 0 where that root is 0

    Args:
        b1: in [0, 1), decay of the average of the scaled updates; the paper calls it momentum.
        b2: in [0, 1]; 1 sums squares as AdaGrad does, less averages them.
        eps: at least 0, inside the root; the paper has none.

    State: `ScaleBySM3State(mu, nu)`, one value per parameter for nu, and m + n for an m x n leaf.

    Source: Anil, Gupta, Koren & Singer 2019, SM3-II, arXiv:1901.11150.
    """


@optimizer(scale_by_sm3)
def sm3(
    learning_rate: NonNegative, momentum: Decay = 0.9, b2: Fraction = 1.0, eps: NonNegative = 1e-8, *,
    weight_decay: DecayKind = None,
) -> GradientTransformation:  # fmt: skip
    """SM3: AdaGrad with one sum per row and column.

    Args:
        momentum: in [0, 1), decay of the average of the scaled updates.
    """
    return descend(scale_by_sm3(momentum, b2, eps), learning_rate, weight_decay)
