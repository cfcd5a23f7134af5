"""Adafactor: second moments kept as the product of a row and a column."""

from collections.abc import Callable
from typing import Annotated, NamedTuple, TypeAlias

import jax.numpy as jnp

from gradtx.combine.chain import chain
from gradtx.combine.descend import descend
from gradtx.combine.optimizer import optimizer
from gradtx.core.averages import ema, finite_abs_sq, mean, mean_sq, saturate, sqrt
from gradtx.core.fields import Count
from gradtx.core.functions import IsFunctionOfStep
from gradtx.core.hyperparameters import (
    Decay,
    Fraction,
    NonNegative,
    NonNegativeNumber,
    Positive,
    PositiveInt,
    Threshold,
)
from gradtx.core.lifted import lifted
from gradtx.core.precision import cast, real_dtype
from gradtx.core.slots import PositiveSlot, zeros_shaped
from gradtx.core.transformation import GradientTransformation
from gradtx.core.typing import Array, ArrayLike
from gradtx.schedules.inverse_sqrt import inverse_sqrt_schedule
from gradtx.transforms.block import clip_by_block_rms, scale_by_param_block_rms
from gradtx.transforms.decay import DecayKind
from gradtx.transforms.momentum import ema as average


class FactoredState(NamedTuple):
    """State of `scale_by_factored_rms`; a leaf has either `v_row` and `v_col` or `v`, and () for the others."""

    count: Count  # steps taken, int32
    v_row: PositiveSlot  # average of |g|^2 over the largest axis
    v_col: PositiveSlot  # average of |g|^2 over the second largest axis
    v: PositiveSlot  # average of |g|^2


StepDecay: TypeAlias = Annotated[Callable[[Array], ArrayLike], IsFunctionOfStep(jnp.float32)]
"""A function of the number of steps, as a float, that gives a decay; static."""


def factored_axes(shape: tuple[int, ...], min_size: int, factored: bool) -> tuple[int, int] | None:
    """The second largest and the largest axis, or None for a leaf that is not factored."""
    if not factored or len(shape) < 2:
        return None
    second, largest = sorted(range(len(shape)), key=shape.__getitem__)[-2:]
    return (second, largest) if shape[second] >= min_size else None


def factored_rule(
    g: Array, s: FactoredState, *, decay_rate: ArrayLike, step_offset: ArrayLike, epsilon: ArrayLike, max_b2: ArrayLike,
    b2: Callable[[Array], ArrayLike] | None, min_dim_size_to_factor: int, factored: bool,
) -> tuple[Array, FactoredState]:  # fmt: skip
    """u = g / sqrt(v), v = row column / mean(row) where factored."""
    t = cast(s.count, real_dtype(g.dtype)) - step_offset
    decay = 1 - jnp.maximum(t, 1) ** -decay_rate if b2 is None else cast(b2(t), t.dtype)
    decay = jnp.minimum(decay, max_b2)
    axes = factored_axes(g.shape, min_dim_size_to_factor, factored)
    if axes is None:
        v = ema(s.v, finite_abs_sq(g) + epsilon, decay)
        return g / sqrt(v), s._replace(v=v)
    second, largest = axes
    row = ema(s.v_row, saturate(mean_sq(g, largest)) + epsilon, decay)
    col = ema(s.v_col, saturate(mean_sq(g, second)) + epsilon, decay)
    scale = mean(row, second - (second > largest), keepdims=True)
    # Two quotients of roots: their product of roots would underflow at eps.
    by_row = g / jnp.expand_dims(sqrt(row), largest)
    u = by_row * (jnp.expand_dims(sqrt(scale), largest) / jnp.expand_dims(sqrt(col), second))
    return u, s._replace(v_row=row, v_col=col)


@lifted(factored_rule, FactoredState, degree=0)
def scale_by_factored_rms(
    factored: bool = True, decay_rate: Positive = 0.8, step_offset: NonNegativeNumber = 0,
    min_dim_size_to_factor: PositiveInt = 128, epsilon: Positive = 1e-30, *, max_b2: Fraction = 1.0,
    b2: StepDecay | None = None,
):  # fmt: skip
    """Divide updates by the root of their mean square, kept for matrices as a row and a column.

    Per leaf, at step t = 1, 2, ..., with b2 = min(1 - max(t - step_offset, 1)^-decay_rate, max_b2):

        r <- b2 r + (1 - b2) (mean of |g|^2 over the largest axis + epsilon)
        c <- b2 c + (1 - b2) (mean of |g|^2 over the second largest axis + epsilon)
        u <- g / sqrt(r c / mean(r))

    and where the second largest axis is shorter than `min_dim_size_to_factor`, or without `factored`:

        v <- b2 v + (1 - b2) (|g|^2 + epsilon);  u <- g / sqrt(v)

    Args:
        factored: whether any leaf is factored.
        decay_rate: above 0, how fast b2 approaches 1.
        step_offset: at least 0, the step at which the average starts anew, where a count is restored from elsewhere.
        min_dim_size_to_factor: at least 1, the smallest size of the shorter axis of a factored leaf. Static.
        epsilon: above 0, added to |g|^2.
        max_b2: in [0, 1], a cap on b2 that keeps the average moving (Zhai et al. 2021: 0.999).
        b2: None, or a function of t - step_offset, as a number of the compute dtype, that gives b2 before the cap.

    State: `FactoredState(count, v_row, v_col, v)`, (m + n) values for a factored m x n leaf, else one per parameter.

    Source: Shazeer & Stern 2018, Algorithm 4, arXiv:1804.04235; max_b2: arXiv:2106.04560. Until `step_offset`
        b2 is 0; Optax 0.2.8 gives NaN there.
    """
    axes_of = lambda p: factored_axes(p.shape, min_dim_size_to_factor, factored)
    summed = lambda i: zeros_shaped(lambda p: jnp.sum(p, axes[i]) if (axes := axes_of(p)) else ())
    return {"v_row": summed(1), "v_col": summed(0), "v": zeros_shaped(lambda p: () if axes_of(p) else p)}


@optimizer(scale_by_factored_rms)
def adafactor(
    learning_rate: NonNegative | None = None, min_dim_size_to_factor: PositiveInt = 128, decay_rate: Positive = 0.8,
    decay_offset: NonNegativeNumber = 0, *, multiply_by_parameter_scale: bool = True,
    clipping_threshold: Threshold | None = 1.0, momentum: Decay | None = None, eps: Positive = 1e-30,
    factored: bool = True, max_b2: Fraction = 1.0, weight_decay: DecayKind = None,
) -> GradientTransformation:  # fmt: skip
    """Adafactor: steps relative to the size of the parameter, with a second moment of m + n values per matrix.

    theta <- theta - eta max(rms(theta), 1e-3) u min(1, clipping_threshold / rms(u)), u from `scale_by_factored_rms`.

    Args:
        learning_rate: eta >= 0; None is the paper's relative step min(1e-2, 1 / sqrt(t)) (in Optax it is 1).
        decay_offset: at least 0, the step at which the average starts anew.
        multiply_by_parameter_scale: whether steps are relative to the parameter.
        clipping_threshold: at least 0, the largest root-mean-square of u; None clips nothing.
        momentum: None, or the decay of an average of the steps in [0, 1), taken before the learning rate.
        eps: above 0, added to |g|^2.
        weight_decay: None, a strength (decoupled, so times the learning rate; Optax's is not), or a kind.

    State: of the chain; `FactoredState`, and with `momentum` one value per parameter.

    Source: Shazeer & Stern 2018, arXiv:1804.04235; differs: momentum is Optax's, the paper has none.
    """
    links = [scale_by_factored_rms(factored, decay_rate, decay_offset, min_dim_size_to_factor, eps, max_b2=max_b2)]
    links += [] if clipping_threshold is None else [clip_by_block_rms(clipping_threshold)]
    links += [scale_by_param_block_rms()] if multiply_by_parameter_scale else []
    links += [] if momentum is None else [average(momentum, debias=False)]
    rate = inverse_sqrt_schedule(1e-2, 1e-2, 10_000) if learning_rate is None else learning_rate
    return descend(chain(*links), rate, weight_decay)
