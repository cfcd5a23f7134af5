"""The mean and the variance of each gradient element over examples, and their running averages."""

from functools import partial
from typing import Annotated, Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from gradtx.aggregating.average import Axes, axes_of, get_batch_size_from_per_elt_updates
from gradtx.aggregating.protocol import Aggregator, aggregation, process
from gradtx.combine.chain import chain
from gradtx.core import averages, checks, precision
from gradtx.core.arguments import Interval
from gradtx.core.border import widely
from gradtx.core.fields import Count
from gradtx.core.hyperparameters import PositiveInt
from gradtx.core.restart import next_count, of_leaf
from gradtx.core.slots import RealSlot, Slot, start_of
from gradtx.core.states import EmptyState
from gradtx.core.transformation import Inner, Pair, transformation
from gradtx.core.typing import Array, ArrayLike, PyTree
from gradtx.core.walk import outermost
from gradtx.transforms.scale import identity

EmaDecay: TypeAlias = Annotated[ArrayLike, Interval("[0, 1)")]


class PerElementMeanAndSumSqDiffGradsState(NamedTuple):
    """State of `get_per_element_mean_and_sum_sq_diff_grads` over several batches."""

    micro_step: Array  # batches gathered since the last result was given, int32
    ready: Array  # whether the last call gave it, bool
    mean_grads: Slot  # over the examples gathered so far
    sum_sq_diff_grads: RealSlot  # their squared distances from it, summed; real


class PerElementMeanAndVarianceEMAState(NamedTuple):
    count: Count  # steps taken, int32
    ema_decay: Array  # of both averages
    mean_grads_ema: Slot  # running average of the mean
    variance_grads_ema: RealSlot  # running average of the variance; real


@aggregation
def get_per_element_mean_and_sum_sq_diff_grads(per_elt_axis: Axes = 0, accumulation_steps: PositiveInt = 1) -> Pair:
    """The mean over examples m = 1/n sum_i g_i, and beside it the sum s = sum_i |g_i - m|^2.

    Over several batches of n examples, with those of batch t after the first t - 1:

        d <- m_t - m
        m <- m + d / t
        s <- s + s_t + |d|^2 n (t - 1) / t

    Args:
        per_elt_axis: the axis of examples, or several.
        accumulation_steps: how many batches, >= 1. Static. The results come after the last of them, zeros before.

    State: `PerElementMeanAndSumSqDiffGradsState(micro_step, ready, mean_grads, sum_sq_diff_grads)`, two values per
        parameter and 5 bytes; for one batch `EmptyState()`.

    Returns:
        An aggregator whose `update` gives a pair: m, and `{"sum_sq_diff_grads": s, "sample_size": examples}`.

    Raises:
        ValueError: from `update`, for a leaf without these axes, with its path, or another number of examples in it.

    Source: Chan, Golub & LeVeque 1983, Algorithms for computing the sample variance, equation 2.1.
    """

    def init(params: PyTree) -> Any:
        if accumulation_steps == 1:
            return EmptyState()
        start = lambda field: jax.tree.map(start_of(PerElementMeanAndSumSqDiffGradsState, field), params)
        return PerElementMeanAndSumSqDiffGradsState(
            jnp.zeros((), jnp.int32), jnp.zeros((), jnp.bool_), start("mean_grads"), start("sum_sq_diff_grads")
        )

    def update(updates: PyTree, state: Any, params: PyTree = None) -> tuple[tuple[PyTree, dict[str, PyTree]], Any]:
        n = get_batch_size_from_per_elt_updates(updates, per_elt_axis)
        mean = jax.tree.map(lambda g: averages.mean(g, axes_of(per_elt_axis, g), keepdims=True), updates)
        distance = lambda g, m: jnp.sum(averages.abs_sq(g - m), axis=axes_of(per_elt_axis, g))
        squares = jax.tree.map(distance, updates, mean)
        mean = jax.tree.map(lambda g, m: jnp.squeeze(m, axes_of(per_elt_axis, g)), updates, mean)
        if accumulation_steps == 1:
            return (mean, {"sum_sq_diff_grads": squares, "sample_size": n}), state

        name = "get_per_element_mean_and_sum_sq_diff_grads"
        checks.check_tree(name, "the state's mean_grads", mean, state.mean_grads)
        checks.check_tree(name, "the state's sum_sq_diff_grads", squares, state.sum_sq_diff_grads)
        t = state.micro_step + 1
        ready = t == accumulation_steps
        over_t = lambda x: x / precision.cast(t, x.dtype)
        old_mean, old_squares = state.mean_grads, state.sum_sq_diff_grads
        d = jax.tree.map(lambda a, b: a - b, mean, old_mean)
        mean = jax.tree.map(lambda m, d: m + over_t(d), old_mean, d)
        between = lambda s, d: over_t(averages.abs_sq(d)) * precision.cast(n * (t - 1), s.dtype)
        squares = jax.tree.map(lambda s, s_t, d: s + s_t + between(s, d), old_squares, squares, d)

        given = lambda tree: jax.tree.map(lambda x: jnp.where(ready, x, 0), tree)
        kept = lambda tree: jax.tree.map(lambda x: jnp.where(ready, 0, x), tree)
        aux = {"sum_sq_diff_grads": given(squares), "sample_size": jnp.where(ready, n * accumulation_steps, 0)}
        new_state = PerElementMeanAndSumSqDiffGradsState(jnp.where(ready, 0, t), ready, kept(mean), kept(squares))
        return (given(mean), aux), new_state

    return Pair(
        init, update, "examples", EmptyState if accumulation_steps == 1 else PerElementMeanAndSumSqDiffGradsState
    )


@transformation
def track_per_element_mean_and_variance_with_ema(ema_decay: EmaDecay = 0.9) -> Pair:
    """Keep running averages of the mean and the variance over examples; updates pass through.

        mean     <- b mean + (1 - b) u
        variance <- b variance + (1 - b) sum_sq_diff_grads / (sample_size - 1)

    `update` needs `sum_sq_diff_grads` and `sample_size`, as `get_per_element_mean_and_sum_sq_diff_grads` gives them.
    `get_unbiased_mean_and_variance_ema` reads the averages.

    Args:
        ema_decay: b in [0, 1).

    State: `PerElementMeanAndVarianceEMAState(count, ema_decay, mean_grads_ema, variance_grads_ema)`, two values per
        parameter and 8 bytes.
    """

    def init(params: PyTree) -> PerElementMeanAndVarianceEMAState:
        start = lambda field: jax.tree.map(start_of(PerElementMeanAndVarianceEMAState, field), params)
        decay = jnp.array(ema_decay, jnp.result_type(float))
        return PerElementMeanAndVarianceEMAState(
            jnp.zeros((), jnp.int32), decay, start("mean_grads_ema"), start("variance_grads_ema")
        )

    def update(
        updates: PyTree, state: Any, params: PyTree = None, *, sum_sq_diff_grads: PyTree, sample_size: ArrayLike
    ) -> tuple[PyTree, PerElementMeanAndVarianceEMAState]:
        def ema(average: Array, x: Array) -> Array:
            return averages.ema(average, precision.cast(x, average.dtype), precision.cast(ema_decay, average.dtype))

        def ema_variance(average: Array, squares: Array) -> Array:
            degrees = precision.cast(jnp.maximum(jnp.asarray(sample_size) - 1, 1), average.dtype)
            return ema(average, precision.cast(squares, average.dtype) / degrees)

        return updates, PerElementMeanAndVarianceEMAState(
            next_count(state.count),
            precision.cast(ema_decay, state.ema_decay.dtype),
            jax.tree.map(ema, state.mean_grads_ema, updates),
            jax.tree.map(ema_variance, state.variance_grads_ema, sum_sq_diff_grads),
        )

    return Pair(init, update, "numbers", PerElementMeanAndVarianceEMAState)


@aggregation
def add_mean_variance_to_opt(
    opt: Inner, ema_decay: EmaDecay = 0.9, per_elt_axis: Axes = 0, accumulation_steps: PositiveInt = 1
) -> Aggregator:
    """An optimizer that takes the gradients of single examples, and tracks their mean and variance.

    Args:
        opt: the optimizer; it sees the mean.
        ema_decay: b in [0, 1), of the running averages.
        per_elt_axis: the axis of examples, or several.
        accumulation_steps: how many batches make a step, >= 1. Static.

    State: a tuple of `EmptyState()`, the state of `get_per_element_mean_and_sum_sq_diff_grads`, and a pair of that of
        `track_per_element_mean_and_variance_with_ema` and opt's.
    """
    moments = get_per_element_mean_and_sum_sq_diff_grads(per_elt_axis, accumulation_steps)
    return process(identity(), moments, chain(track_per_element_mean_and_variance_with_ema(ema_decay), opt), True)


def get_unbiased_mean_and_variance_ema(state: PyTree) -> tuple[PyTree, PyTree]:
    """The running averages of the mean and the variance, each over the weight it has gathered: 1 - b^steps.

    Args:
        state: the state of `add_mean_variance_to_opt`, or any with one `PerElementMeanAndVarianceEMAState` in it.

    Returns:
        Two trees like the parameters; zeros before the first step.

    Raises:
        ValueError: for a state without it, or with several.
    """
    is_average = lambda x: isinstance(x, PerElementMeanAndVarianceEMAState)
    found = outermost(state, is_average)
    if len(found) != 1:
        raise ValueError(f"wanted a state with one PerElementMeanAndVarianceEMAState, got {len(found)}")
    averaged = found[0]

    @widely
    def debiased(average: Array, path: Any) -> Array:
        real = precision.real_dtype(average.dtype)
        weight = averages.missing_weight(
            precision.cast(averaged.ema_decay, real), precision.cast(of_leaf(averaged.count, path), real)
        )
        return averages.safe_divide(average, precision.cast(weight, average.dtype))

    each = partial(jax.tree_util.tree_map_with_path, lambda path, x: debiased(x, path))
    return each(averaged.mean_grads_ema), each(averaged.variance_grads_ema)
