"""Clipping against spikes: limits on the gradient's norm that follow its own history."""

from typing import Annotated, NamedTuple, TypeAlias

import jax.numpy as jnp

from gradtx.core import tree
from gradtx.core.arguments import Interval
from gradtx.core.averages import ema, saturate, shortening, sqrt
from gradtx.core.fields import RunCount, Scalar
from gradtx.core.hyperparameters import Decay, Hyperparameter, Positive, PositiveInt, Threshold
from gradtx.core.lifted import lifted
from gradtx.core.schedule import as_schedule
from gradtx.core.slots import scalar
from gradtx.core.typing import Array, PyTree
from gradtx.transforms.scale import scale_rule

Percentile: TypeAlias = Annotated[Hyperparameter, Interval("[0, 100]", schedule=as_schedule)]
"""A number in [0, 100], or a schedule."""


class ZClipState(NamedTuple):
    count: RunCount  # steps taken, int32
    mean: Scalar  # running mean of the norm
    var: Scalar  # running variance of the norm


class AutoClipState(NamedTuple):
    count: RunCount  # steps taken, int32
    norms: Scalar  # the last norms, the oldest overwritten first


def z_limit(
    updates: PyTree, state: ZClipState, decay: Array, z_threshold: Array, max_norm: Array, eps: Array, warmup_steps: int
) -> dict[str, Array]:
    """The norm that a norm of too large a z-score is brought to, and the statistics with that norm counted in."""
    norm, deviation = tree.norm(updates), sqrt(state.var)
    z = (norm - state.mean) / (deviation + eps)
    warming = state.count < warmup_steps
    spike = (z > z_threshold) & ~warming
    limit = jnp.where(spike, state.mean + z_threshold**2 / jnp.where(spike, z, 1) * deviation, norm)
    seen = jnp.where(jnp.isfinite(norm), limit, state.mean)
    t = (state.count + 1).astype(norm.dtype)
    mean = jnp.where(warming, state.mean + (seen - state.mean) / t, ema(state.mean, seen, decay))
    population = state.var + ((seen - state.mean) * (seen - mean) - state.var) / t
    var = jnp.where(warming, population, ema(state.var, (seen - mean) ** 2, decay))
    return {"step_size": shortening(norm, jnp.minimum(limit, max_norm)), "mean": mean, "var": saturate(var)}


def percentile_limit(updates: PyTree, state: AutoClipState, percentile: Array) -> dict[str, Array]:
    """The percentile of the norms so far, this one included, interpolated as NumPy does."""
    norm, length = tree.norm(updates), len(state.norms)
    largest = jnp.finfo(norm.dtype).max / 4
    seen = jnp.where(jnp.isfinite(norm), jnp.minimum(norm, largest), largest)
    norms = state.norms.at[state.count % length].set(seen)
    n = jnp.minimum(state.count + 1, length)
    ordered = jnp.sort(jnp.where(jnp.arange(length, dtype=n.dtype) < n, norms, jnp.inf))
    place = percentile / 100 * (n - 1).astype(norm.dtype)
    below = jnp.clip(jnp.floor(place).astype(jnp.int32), 0, n - 1)
    low, high = ordered[below], ordered[jnp.minimum(below + 1, n - 1)]
    limit = low + (place - below.astype(norm.dtype)) * (high - low)
    return {"step_size": shortening(norm, limit), "norms": norms}


@lifted(scale_rule, ZClipState, reduce=z_limit, degree=(0, 1))
def zclip(
    z_threshold: Positive = 2.5, decay: Decay = 0.97, max_norm: Threshold = 1.0, *, warmup_steps: PositiveInt = 25,
    eps: Positive = 1e-6,
):  # fmt: skip
    """Shorten the whole update where its norm is an outlier among the recent ones.

    With n = ||g|| and its running mean and variance, at step t = 1, 2, ...:

        z     <- (n - mean) / (sqrt(var) + eps)
        limit <- mean + (z_threshold^2 / z) sqrt(var) where z > z_threshold, else n
        u     <- g min(1, min(limit, max_norm) / n)
        mean  <- decay mean + (1 - decay) limit
        var   <- decay var + (1 - decay) (limit - mean)^2

    For the first `warmup_steps` the limit is n, and mean and var are those of all norms so far.

    Args:
        z_threshold: above 0, the largest z-score that passes.
        decay: in [0, 1), of the statistics.
        max_norm: at least 0, a fixed limit besides; infinity for none.

    State: `ZClipState(count, mean, var)`, 12 bytes. A norm that is not finite is not counted in.

    Source: Kumar et al. 2025, arXiv:2504.02507, with the authors' warm-up; differs: nothing.
    """


@lifted(scale_rule, AutoClipState, reduce=percentile_limit, degree=(0, 1))
def autoclip(percentile: Percentile = 10.0, *, history: PositiveInt = 1000):
    """Shorten the whole update to a percentile of the norms seen so far: u <- g min(1, P(norms) / ||g||).

    Args:
        percentile: in [0, 100]; 10 in the paper.
        history: how many of the last norms count, >= 1. Static.

    State: `AutoClipState(count, norms)`, 4 bytes for each norm of the history.

    Source: Seetharaman et al. 2020, arXiv:2007.14469; differs: it keeps all norms of the run.
    """
    return {"norms": scalar(lambda params: jnp.zeros(history), shape=(history,))}
