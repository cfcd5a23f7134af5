"""One update from the gradients of single examples: gradtx's aggregators as Optax's pairs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import jax

from gradtx import aggregating
from gradtx.compat.optax.base import GradientTransformationExtraArgs, Pair, expose
from gradtx.compat.optax.names import show
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.table import same
from gradtx.core.typing import TransformationLike

show(
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
def _made(make: Callable[..., TransformationLike], **kwargs: Any) -> Pair:
    """As `expose`, but refusing what is out of range, and an aggregator where it takes single examples."""
    own, pair = make(**kwargs), expose(make, **kwargs)
    of_means = kwargs.get("per_elt_axis", 0) is None
    of_none = "aggregator" in kwargs and not isinstance(kwargs["aggregator"], Aggregator)
    return Aggregator(*pair) if isinstance(own, aggregating.Aggregator) and not (of_means or of_none) else pair


globals().update(
    same(
        __name__,
        """
process | preprocessor:tx! aggregator:tx! postprocessor:tx! aggregator_has_aux | |
    Transform the gradients of single examples, make one update of them, transform that.
average_per_element_updates | per_elt_axis:axis | | The mean over examples.
accumulate_avg_updates | accumulation_steps:int! | | The mean of several updates, after the last of them; zeros before.
average_incrementally_updates | per_elt_axis:maybe! accumulation_steps:int! | |
    The mean over the examples of several batches, after the last of them; zeros before.
get_per_element_mean_and_sum_sq_diff_grads | per_elt_axis:axis accumulation_steps | |
    The mean over examples, and beside it the sum of their squared distances from it and their number.
track_per_element_mean_and_variance_with_ema | ema_decay | |
    Keep running averages of the mean and the variance over examples; updates pass through.
add_mean_variance_to_opt | opt:tx! ema_decay per_elt_axis:axis accumulation_steps | |
    An optimizer that takes the gradients of single examples, and tracks their mean and variance.
""",
        aggregating,
        _made,
        axis=int | Sequence[int],
        maybe=MaybeAxis,
    )
)
