"""Reduce on plateau: smaller updates once a value has stopped falling."""

from typing import Annotated, Any, NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np

from gradtx.core import precision
from gradtx.core.arguments import Interval
from gradtx.core.extras import given, one_number
from gradtx.core.fields import Scalar
from gradtx.core.hyperparameters import FractionNumber, NonNegativeNumber, PositiveTimes
from gradtx.core.leafwise import leafwise
from gradtx.core.slots import scalar
from gradtx.core.states import EmptyState
from gradtx.core.transformation import Pair, transformation
from gradtx.core.typing import Array, ArrayLike, Numbers, PyTree
from gradtx.core.varying import vary_as_all
from gradtx.transforms.scale import scale_rule

Times: TypeAlias = Annotated[ArrayLike | np.ndarray, Interval("[0, inf)", integer=True)]
"""A whole number >= 0."""


class ReduceLROnPlateauState(NamedTuple):
    scale: Scalar  # what updates are multiplied by
    best_value: Scalar  # the smallest mean so far, infinite at first
    plateau_count: Array  # int32, means since then
    cooldown_count: Array  # int32, means until counting begins again
    count: Array  # int32, values in the mean being taken
    avg_value: Scalar  # that mean


def observed(
    state: ReduceLROnPlateauState, value: Any, factor: Array, patience: Array, rtol: Array, atol: Array,
    cooldown: Array, accumulation_size: Array, min_scale: Array,
) -> ReduceLROnPlateauState:  # fmt: skip
    """The state once one more value is known."""
    taken = state.count + 1
    mean = state.avg_value + (value - state.avg_value) / precision.cast(taken, state.scale.dtype)
    complete = taken >= accumulation_size

    known = jnp.isfinite(state.best_value)
    margin = jnp.where(known, rtol * jnp.abs(jnp.where(known, state.best_value, 0)) + atol, 0)
    better = mean < state.best_value - margin
    cooling = state.cooldown_count > 0
    waited = jnp.where(better | cooling, 0, state.plateau_count + 1)
    reduce = ~better & ~cooling & (waited >= patience)
    reduced = ReduceLROnPlateauState(
        scale=jnp.where(reduce, jnp.maximum(factor * state.scale, min_scale), state.scale),
        best_value=jnp.where(better, mean, state.best_value),
        plateau_count=jnp.where(reduce, 0, waited),
        cooldown_count=jnp.where(cooling, state.cooldown_count - 1, jnp.where(reduce, cooldown, 0)),
        count=jnp.zeros_like(state.count),
        avg_value=jnp.zeros_like(mean),
    )
    waiting = state._replace(count=taken, avg_value=mean)
    return ReduceLROnPlateauState(*(jnp.where(complete, a, b) for a, b in zip(reduced, waiting, strict=True)))


@transformation(degree=1)
def reduce_on_plateau(
    factor: FractionNumber = 0.1, patience: Times = 10, rtol: NonNegativeNumber = 1e-4, atol: NonNegativeNumber = 0.0,
    cooldown: Times = 0, accumulation_size: PositiveTimes = 1, min_scale: NonNegativeNumber = 0.0,
) -> Pair:  # fmt: skip
    """Multiply updates by a scale that falls when a value has stopped falling; it stands last in a chain.

    (Before a direction that cancels scale, such as Adam's, it has no effect.)

        update(grads, state, params, value=loss)

    Of each accumulation_size values the mean is taken. It is better if it is < best - (rtol |best| + atol), below 0 as
    above; then it is the new best. After `patience` means in a row that are not better:

        scale <- max(factor scale, min_scale)

    and the next `cooldown` means do not count as waiting. A NaN is not better.

    Args:
        patience: a whole number >= 0; 0 and 1 reduce at once.
        rtol: at least 0, how much better is better, relative to the best.
        atol: at least 0, the same absolutely.
        cooldown: a whole number >= 0.
        accumulation_size: a whole number >= 1; 1 for validation losses, more for those of minibatches.
        min_scale: at least 0, where the scale stops.

    State: `ReduceLROnPlateauState(scale, best_value, plateau_count, cooldown_count, count, avg_value)`, 24 bytes.

    Raises: TypeError from `update` without `value`.

    Source: PyTorch's `ReduceLROnPlateau`, by its idea. Differs: there, and in Optax, better is < (1 - rtol) best, which
        a negative value meets without falling.
    """
    numbers: Numbers = dict(factor=factor, rtol=rtol, atol=atol, min_scale=min_scale)
    times: Numbers = dict(patience=patience, cooldown=cooldown, accumulation_size=accumulation_size)

    def init(params: PyTree) -> ReduceLROnPlateauState:
        number = lambda x: scalar(x)(params)
        none = lambda: vary_as_all(jnp.zeros((), jnp.int32), params)
        return ReduceLROnPlateauState(number(1.0), number(jnp.inf), none(), none(), none(), number(0.0))

    def update(
        updates: PyTree, state: ReduceLROnPlateauState, params: PyTree = None, **extra: Any
    ) -> tuple[PyTree, ReduceLROnPlateauState]:
        value = one_number("reduce_on_plateau", "value", given("reduce_on_plateau", "value", extra))
        in_float = {name: precision.cast(x, state.scale.dtype) for name, x in numbers.items()}
        in_whole = {name: precision.cast(x, state.count.dtype) for name, x in times.items()}
        new = observed(state, precision.cast(value, state.scale.dtype), **in_float, **in_whole)
        scaling = leafwise(scale_rule, step_size=new.scale).named("reduce_on_plateau")
        return scaling.update(updates, EmptyState())[0], new

    return Pair(
        init, update, "numbers", ReduceLROnPlateauState, dict.fromkeys(("plateau_count", "cooldown_count", "count"), 0)
    )
