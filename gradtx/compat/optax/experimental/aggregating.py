"""One update from the gradients of single examples: gradtx's aggregators as Optax's pairs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import jax

from gradtx import aggregating
from gradtx.aggregating import AccumulateAvgUpdatesState as AccumulateAvgUpdatesState
from gradtx.aggregating import AggregatorUpdateFn as AggregatorUpdateFn
from gradtx.aggregating import PerElementMeanAndSumSqDiffGradsState as PerElementMeanAndSumSqDiffGradsState
from gradtx.aggregating import PerElementMeanAndVarianceEMAState as PerElementMeanAndVarianceEMAState
from gradtx.aggregating import get_batch_size_from_per_elt_updates as get_batch_size_from_per_elt_updates
from gradtx.aggregating import get_unbiased_mean_and_variance_ema as get_unbiased_mean_and_variance_ema
from gradtx.compat.optax.base import GradientTransformation, GradientTransformationExtraArgs, Number, expose
from gradtx.compat.optax.remember import remembered
from gradtx.core.typing import TransformationLike

PerElementUpdates: TypeAlias = jax.typing.ArrayLike | Iterable["PerElementUpdates"] | Mapping[Any, "PerElementUpdates"]
AggregatedUpdates: TypeAlias = PerElementUpdates
MaybeAxis: TypeAlias = int | Sequence[int] | None


class Aggregator(GradientTransformationExtraArgs):
    """A pure pair whose `update` takes gradients of single examples and gives updates like the parameters."""

    optax_name = "Aggregator"


@remembered
def process(
    preprocessor: GradientTransformation, aggregator: GradientTransformation, postprocessor: GradientTransformation,
    aggregator_has_aux: bool = False,
) -> GradientTransformation:  # fmt: skip
    """Transform the gradients of single examples, make one update of them, transform that.

    Args:
        preprocessor: acts on updates with an axis of examples.
        aggregator: takes that axis away.
        postprocessor: acts on updates like the parameters: an optimizer.
        aggregator_has_aux: whether the aggregator gives a pair of updates and extra arguments for the postprocessor.

    State: a tuple of the three states.
    """
    pair = _checked(aggregating.process, preprocessor, aggregator, postprocessor, aggregator_has_aux)
    return Aggregator(*pair) if isinstance(aggregator, Aggregator) else pair


@remembered
def average_per_element_updates(per_elt_axis: int | Sequence[int] = 0) -> Aggregator:
    """The mean over examples.

    Args:
        per_elt_axis: the axis of examples, or several.

    State: `EmptyState()`.
    """
    return Aggregator(*_checked(aggregating.average_per_element_updates, per_elt_axis))


def accumulate_avg_updates(accumulation_steps: int) -> GradientTransformation:
    """The mean of several updates, after the last of them; zeros before.

    Args:
        accumulation_steps: how many, >= 1.

    State: `AccumulateAvgUpdatesState(micro_step, ready, avg_grad)`; with one step `EmptyState()`.
    """
    return _checked(aggregating.accumulate_avg_updates, accumulation_steps)


@remembered
def average_incrementally_updates(per_elt_axis: MaybeAxis, accumulation_steps: int) -> GradientTransformation:
    """The mean over the examples of several batches, after the last of them; zeros before.

    Args:
        per_elt_axis: the axis of examples, or several; None where the updates are means already.
        accumulation_steps: how many batches, >= 1.

    State: that of `accumulate_avg_updates`; with an axis, a tuple with it at the end.
    """
    pair = _checked(aggregating.average_incrementally_updates, per_elt_axis, accumulation_steps)
    return pair if per_elt_axis is None else Aggregator(*pair)


@remembered
def get_per_element_mean_and_sum_sq_diff_grads(
    per_elt_axis: int | Sequence[int] = 0, accumulation_steps: int = 1
) -> Aggregator:
    """The mean over examples, and beside it the sum of their squared distances from it and their number.

    Args:
        per_elt_axis: the axis of examples, or several.
        accumulation_steps: how many batches, >= 1.

    State: `PerElementMeanAndSumSqDiffGradsState(micro_step, ready, mean_grads, sum_sq_diff_grads)`; for one batch
        `EmptyState()`.
    """
    make = aggregating.get_per_element_mean_and_sum_sq_diff_grads
    return Aggregator(*_checked(make, per_elt_axis, accumulation_steps))


def track_per_element_mean_and_variance_with_ema(ema_decay: Number = 0.9) -> GradientTransformation:
    """Keep running averages of the mean and the variance over examples; updates pass through.

    Args:
        ema_decay: in [0, 1).

    State: `PerElementMeanAndVarianceEMAState(count, ema_decay, mean_grads_ema, variance_grads_ema)`.
    """
    return _checked(aggregating.track_per_element_mean_and_variance_with_ema, ema_decay)


@remembered
def add_mean_variance_to_opt(
    opt: GradientTransformation, ema_decay: Number = 0.9, per_elt_axis: int | list[int] = 0,
    accumulation_steps: int = 1,
) -> Aggregator:  # fmt: skip
    """An optimizer that takes the gradients of single examples, and tracks their mean and variance.

    Args:
        opt: the optimizer; it sees the mean.
        ema_decay: in [0, 1), of the running averages.
        per_elt_axis: the axis of examples, or several.
        accumulation_steps: how many batches make a step, >= 1.
    """
    make = aggregating.add_mean_variance_to_opt
    return Aggregator(*_checked(make, opt, ema_decay, per_elt_axis, accumulation_steps))


def _checked(make: Callable[..., TransformationLike], *args: Any) -> GradientTransformationExtraArgs:
    """As `expose`, but refusing what is out of range."""
    make(*args)
    return expose(make, *args)
