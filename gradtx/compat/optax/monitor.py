"""Numbers about the updates in the state, found there by `tree.get(state, name)`."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from gradtx.compat.optax import base
from gradtx.compat.optax.base import OptState, Pair, Params, PyTree, Updated, Updates
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.states import MonitorState, SnapshotState
from gradtx.compat.optax.transforms.spelled import made

Measure: TypeAlias = Callable[[Updates], PyTree]


@remembered
def snapshot(measure_name: str, measure: Measure) -> Pair:
    """Keep what a function says of the updates, which pass through.

    Args:
        measure_name: the name it is kept under.
        measure: a function of the updates; `init` calls it with the parameters.

    State: `SnapshotState(measurement)`, a dictionary of one entry.
    """

    def init(params: Params) -> OptState:
        return SnapshotState({measure_name: measure(params)})

    def update(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> Updated:
        return updates, SnapshotState({measure_name: measure(updates)})

    return Pair(init, update)


@remembered
def monitor(measures: Mapping[str, base.GradientTransformation | Measure]) -> Pair:
    """Keep what several functions, or transformations with a state of their own, say of the updates.

    Args:
        measures: by name, functions of the updates, or transformations such as `measure_with_ema` makes.

    State: `MonitorState(measurements, measure_states)`; there are no measurements before the first update.
    """

    def as_transformation(measure: Any) -> Pair:
        if isinstance(measure, base.GradientTransformation):
            return base.with_extra_args_support(measure)
        return base.stateless(lambda updates, params: measure(updates))

    transforms = {name: as_transformation(measure) for name, measure in measures.items()}

    def init(params: Params) -> OptState:
        measure_states: Any = tuple(tx.init(params) for tx in transforms.values())
        return MonitorState({}, measure_states)

    def update(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> Updated:
        found = [
            tx.update(updates, measure_state, params, **extra_args)
            for tx, measure_state in zip(transforms.values(), state.measure_states, strict=True)
        ]
        measurements = dict(zip(transforms, (value for value, _ in found), strict=True))
        measure_states: Any = tuple(measure_state for _, measure_state in found)
        return updates, MonitorState(measurements, measure_states)

    return Pair(init, update)


@remembered
def measure_with_ema(measure: Measure, decay: float, debias: bool = True, accumulator_dtype: Any | None = None) -> Pair:
    """A moving average of what a function says of the updates, for `monitor`.

    Args:
        measure: a function of the updates.
        decay: the average's.
        debias: whether it is divided by the weight it has gathered.
        accumulator_dtype: the dtype the average is kept in.

    State: that of `stateless` and of `ema`.
    """
    average = made.ema(decay, debias, accumulator_dtype)

    def init(params: Params) -> OptState:
        return base.EmptyState(), average.init(measure(params))

    def update(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> Updated:
        value, average_state = average.update(measure(updates), state[1])
        return value, (state[0], average_state)

    return Pair(init, update)
