"""Averages of the parameters: exponential, of equal weights, of the tail."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from gradtx.combine.chain import chain
from gradtx.core import precision
from gradtx.core.fields import Count, History
from gradtx.core.hyperparameters import Decay, NonNegativeNumber, PositiveInt
from gradtx.core.lifted import lifted
from gradtx.core.restart import of_leaf
from gradtx.core.slots import Slot, copy, scalar, zeros
from gradtx.core.transformation import GradientTransformation, Inner, transformation
from gradtx.core.typing import Array, ArrayLike, Numbers, PyTree
from gradtx.wrappers.evaluation import from_slots


class AverageState(NamedTuple):
    """State of a link that averages parameters; it is the second of `(optimizer's state, AverageState)`."""

    count: Count  # steps taken, int32
    weight: History  # gathered by the average; 0 until there is one
    average: Slot  # of the parameters

    def evaluation_params(self, params: PyTree) -> PyTree:
        """The average; the parameters themselves until there is one."""
        formula = lambda p, average, weight: jnp.where(weight > 0, average, p)
        weights = jax.tree_util.tree_map_with_path(lambda path, _: of_leaf(self.weight, path), params)
        return from_slots("average", formula, params, self.average, weights)


def average_rule(u: Array, s: AverageState, p: Array, *, share: Array) -> tuple[Array, AverageState]:
    """average <- average + share (theta + u - average); the update is left alone."""
    return u, s._replace(average=s.average + share * (p + u - s.average))


def ema_share(state: AverageState, decay: ArrayLike, warmup: bool) -> Numbers:
    """The new parameters' share of a debiased exponential average, and its weight."""
    t = precision.cast(state.count + 1, state.weight.dtype)
    d = jnp.minimum(decay, (1 + t) / (10 + t)) if warmup else decay
    weight = d * state.weight + (1 - d)
    return {"weight": weight, "share": (1 - d) / weight}


def equal_share(state: AverageState, start: ArrayLike, period: int) -> Numbers:
    """1 / n for the n-th of the parameters averaged, else 0."""
    t, first = state.count + 1, precision.cast(start, jnp.int32)
    taken = (t >= first) & ((t - first) % period == 0)
    weight = state.weight + precision.cast(taken, state.weight.dtype)
    return {"weight": weight, "share": jnp.where(taken, 1 / jnp.maximum(weight, 1), 0)}


@lifted(average_rule, AverageState, reduce=ema_share, degree=1)
def average_ema(decay: Decay, *, warmup: bool = False, debias: bool = True):
    """The link that `ema_params` puts after an optimizer; its arguments are explained there."""
    return {"weight": scalar(0.0 if debias else 1.0), "average": zeros() if debias else copy()}


@lifted(average_rule, AverageState, reduce=equal_share, degree=1)
def average_equally(start: NonNegativeNumber = 0, period: PositiveInt = 1):
    """The link that `swa_params` and `polyak_params` put after an optimizer; its arguments are explained there."""


@transformation
def ema_params(
    optimizer: Inner, decay: Decay = 0.999, *, warmup: bool = False, debias: bool = True
) -> GradientTransformation:
    """Keep an exponential moving average of the parameters beside an optimizer; training is not changed by it.

    After step t = 1, 2, ..., theta_t the new parameters, W = 0 at first:

        d <- decay, with `warmup` min(decay, (1 + t) / (10 + t))
        W <- d W + (1 - d)
        average <- average + (1 - d) / W (theta_t - average)

    so that the average, which `evaluation_params` gives, is debiased from the first step on.

    Args:
        optimizer: any optimizer.
        decay: in [0, 1), a number or a schedule.
        warmup: whether early averages reach less far back.
        debias: False starts the average at the first parameters, with W = 1.

    State: `(optimizer's state, AverageState(count, weight, average))`, one value per parameter.

    Source: Polyak & Juditsky 1992; the warm-up is TensorFlow's.
    """
    return chain(optimizer, average_ema(decay, warmup=warmup, debias=debias))


@transformation
def swa_params(optimizer: Inner, start: NonNegativeNumber = 0, period: PositiveInt = 1) -> GradientTransformation:
    """Keep the mean of every period-th parameters beside an optimizer; training is not changed by it.

    With theta_t the parameters after step t, the n-th of t = start, start + period, ... >= 1:

        average <- average + (theta_t - average) / n

    Args:
        optimizer: any optimizer, at a constant or cyclic learning rate once averaging has begun.
        start: the first step whose parameters count, a whole number >= 0. Until then `evaluation_params` gives the
            parameters themselves.
        period: steps between two that count, >= 1; the length of a learning-rate cycle.

    State: `(optimizer's state, AverageState(count, weight, average))`, one value per parameter.

    Source: Izmailov et al. 2018, Algorithm 1, arXiv:1803.05407; differs: nothing. Batch statistics must be computed
        anew for the average.
    """
    return chain(optimizer, average_equally(start, period))


@transformation
def polyak_params(optimizer: Inner, start: NonNegativeNumber = 0) -> GradientTransformation:
    """Keep the mean of all parameters from a step on beside an optimizer; training is not changed by it.

    Args:
        optimizer: any optimizer.
        start: the first step whose parameters count, a whole number >= 0: 0 for Polyak's average, half the run's
            length for its tail. Until then `evaluation_params` gives the parameters themselves.

    State: `(optimizer's state, AverageState(count, weight, average))`, one value per parameter.

    Source: Polyak & Juditsky 1992, SIAM J. Control Optim. 30; tail: Jain et al. 2018, JMLR 18.
    """
    return chain(optimizer, average_equally(start))
