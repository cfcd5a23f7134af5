"""One update from the gradients of single examples: gradtx's aggregators as Optax's pairs."""

# Written by `python -m tests.compat.stubs`.

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from gradtx.aggregating.average import AccumulateAvgUpdatesState as AccumulateAvgUpdatesState
from gradtx.aggregating.average import get_batch_size_from_per_elt_updates as get_batch_size_from_per_elt_updates
from gradtx.aggregating.protocol import AggregatorUpdateFn as AggregatorUpdateFn
from gradtx.aggregating.variance import PerElementMeanAndSumSqDiffGradsState as PerElementMeanAndSumSqDiffGradsState
from gradtx.aggregating.variance import PerElementMeanAndVarianceEMAState as PerElementMeanAndVarianceEMAState
from gradtx.aggregating.variance import get_unbiased_mean_and_variance_ema as get_unbiased_mean_and_variance_ema
from gradtx.compat.optax.base import GradientTransformation
from gradtx.compat.optax.base import GradientTransformationExtraArgs
from gradtx.compat.optax.base import Number
from typing import Any
from typing import TypeAlias
import jax

AggregatedUpdates: TypeAlias = PerElementUpdates
class Aggregator(GradientTransformationExtraArgs):
    """A pure pair whose `update` takes gradients of single examples and gives updates like the parameters."""

    optax_name = "Aggregator"
MaybeAxis: TypeAlias = int | Sequence[int] | None
PerElementUpdates: TypeAlias = jax.typing.ArrayLike | Iterable["PerElementUpdates"] | Mapping[Any, "PerElementUpdates"]

def accumulate_avg_updates(accumulation_steps: int) -> GradientTransformationExtraArgs:
    """The mean of several updates, after the last of them; zeros before."""
def add_mean_variance_to_opt(
    opt: GradientTransformation, ema_decay: Number = 0.9, per_elt_axis: int | Sequence[int] = 0,
    accumulation_steps: int = 1
) -> GradientTransformationExtraArgs:
    """An optimizer that takes the gradients of single examples, and tracks their mean and variance."""
def average_incrementally_updates(
    per_elt_axis: int | Sequence[int] | None, accumulation_steps: int
) -> GradientTransformationExtraArgs:
    """The mean over the examples of several batches, after the last of them; zeros before."""
def average_per_element_updates(per_elt_axis: int | Sequence[int] = 0) -> GradientTransformationExtraArgs:
    """The mean over examples."""
def get_per_element_mean_and_sum_sq_diff_grads(
    per_elt_axis: int | Sequence[int] = 0, accumulation_steps: int = 1
) -> GradientTransformationExtraArgs:
    """The mean over examples, and beside it the sum of their squared distances from it and their number."""
def process(
    preprocessor: GradientTransformation, aggregator: GradientTransformation, postprocessor: GradientTransformation,
    aggregator_has_aux: bool = False
) -> GradientTransformationExtraArgs:
    """Transform the gradients of single examples, make one update of them, transform that."""
def track_per_element_mean_and_variance_with_ema(ema_decay: Number = 0.9) -> GradientTransformationExtraArgs:
    """Keep running averages of the mean and the variance over examples; updates pass through."""
