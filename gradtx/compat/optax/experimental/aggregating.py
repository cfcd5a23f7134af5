"""One update from the gradients of single examples: gradtx's aggregators as Optax's pairs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import jax

from gradtx import aggregating
from gradtx.compat.optax.base import GradientTransformation, GradientTransformationExtraArgs, Number, Pair, expose
from gradtx.compat.optax.names import documented, show
from gradtx.compat.optax.remember import remembered
from gradtx.core.typing import TransformationLike

__getattr__ = show(
    __name__,
    """
gradtx.aggregating: AccumulateAvgUpdatesState AggregatorUpdateFn PerElementMeanAndSumSqDiffGradsState
    PerElementMeanAndVarianceEMAState get_batch_size_from_per_elt_updates get_unbiased_mean_and_variance_ema
""",
)
PerElementUpdates: TypeAlias = jax.typing.ArrayLike | Iterable["PerElementUpdates"] | Mapping[Any, "PerElementUpdates"]
AggregatedUpdates: TypeAlias = PerElementUpdates
MaybeAxis: TypeAlias = int | Sequence[int] | None


class Aggregator(GradientTransformationExtraArgs):
    """A pure pair whose `update` takes gradients of single examples and gives updates like the parameters."""

    optax_name = "Aggregator"


@remembered
@documented(aggregating.process)
def process(
    preprocessor: GradientTransformation, aggregator: GradientTransformation, postprocessor: GradientTransformation,
    aggregator_has_aux: bool = False,
) -> GradientTransformation:  # fmt: skip
    """Transform the gradients of single examples, make one update of them, transform that."""
    pair = _checked(aggregating.process, preprocessor, aggregator, postprocessor, aggregator_has_aux)
    return Aggregator(*pair) if isinstance(aggregator, Aggregator) else pair


@remembered
@documented(aggregating.average_per_element_updates)
def average_per_element_updates(per_elt_axis: int | Sequence[int] = 0) -> Aggregator:
    """The mean over examples."""
    return Aggregator(*_checked(aggregating.average_per_element_updates, per_elt_axis))


@documented(aggregating.accumulate_avg_updates)
def accumulate_avg_updates(accumulation_steps: int) -> GradientTransformation:
    """The mean of several updates, after the last of them; zeros before."""
    return _checked(aggregating.accumulate_avg_updates, accumulation_steps)


@remembered
@documented(aggregating.average_incrementally_updates)
def average_incrementally_updates(per_elt_axis: MaybeAxis, accumulation_steps: int) -> GradientTransformation:
    """The mean over the examples of several batches, after the last of them; zeros before."""
    pair = _checked(aggregating.average_incrementally_updates, per_elt_axis, accumulation_steps)
    return pair if per_elt_axis is None else Aggregator(*pair)


@remembered
@documented(aggregating.get_per_element_mean_and_sum_sq_diff_grads)
def get_per_element_mean_and_sum_sq_diff_grads(
    per_elt_axis: int | Sequence[int] = 0, accumulation_steps: int = 1
) -> Aggregator:
    """The mean over examples, and beside it the sum of their squared distances from it and their number."""
    make = aggregating.get_per_element_mean_and_sum_sq_diff_grads
    return Aggregator(*_checked(make, per_elt_axis, accumulation_steps))


@documented(aggregating.track_per_element_mean_and_variance_with_ema)
def track_per_element_mean_and_variance_with_ema(ema_decay: Number = 0.9) -> GradientTransformation:
    """Keep running averages of the mean and the variance over examples; updates pass through."""
    return _checked(aggregating.track_per_element_mean_and_variance_with_ema, ema_decay)


@remembered
@documented(aggregating.add_mean_variance_to_opt)
def add_mean_variance_to_opt(
    opt: GradientTransformation, ema_decay: Number = 0.9, per_elt_axis: int | list[int] = 0,
    accumulation_steps: int = 1,
) -> Aggregator:  # fmt: skip
    """An optimizer that takes the gradients of single examples, and tracks their mean and variance."""
    make = aggregating.add_mean_variance_to_opt
    return Aggregator(*_checked(make, opt, ema_decay, per_elt_axis, accumulation_steps))


def _checked(make: Callable[..., TransformationLike], *args: Any) -> Pair:
    """As `expose`, but refusing what is out of range."""
    make(*args)
    return expose(make, *args)
