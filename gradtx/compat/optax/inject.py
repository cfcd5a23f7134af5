"""Hyperparameters in the state, as Optax keeps them: a dictionary that programs read and assign into."""

import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.compat.optax import base, config
from gradtx.compat.optax.base import OptState, Pair, Params, Updated, Updates
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.states import WrappedScheduleState
from gradtx.compat.optax.tree_utils import tree_dtype, weakly_typed
from gradtx.core import precision
from gradtx.core.peers import Related
from gradtx.core.rules import increment
from gradtx.core.schedule import StatefulSchedule as StatefulSchedule
from gradtx.core.typing import Array
from gradtx.wrappers.inject import InjectStatefulHyperparamsState

Factory = Callable[..., base.GradientTransformation]


class WrappedSchedule(Related):
    """A function of the step as a stateful schedule, which begins at step 0."""

    def __init__(self, schedule_fn: base.Schedule) -> None:
        self.schedule_fn = schedule_fn

    def init(self) -> WrappedScheduleState:
        return WrappedScheduleState(jnp.zeros((), jnp.int32))

    def update(self, state: WrappedScheduleState, **extra_args: Any) -> WrappedScheduleState:
        return WrappedScheduleState(increment(state.count))

    def __call__(self, state: WrappedScheduleState, **extra_args: Any) -> Any:
        return self.schedule_fn(state.count)


def inject_hyperparams(
    inner_factory: Factory, static_args: str | Iterable[str] = (), hyperparam_dtype: Any | None = None
) -> Callable[..., Pair]:
    """Keep the hyperparameters of a transformation in its state.

        tx = optax.inject_hyperparams(optax.adam)(learning_rate=1e-3)
        state = tx.init(params)
        state.hyperparams["learning_rate"] = 1e-4

    The result is a function of the same arguments. Those that are numbers, arrays, functions of the step or stateful
    schedules become hyperparameters; flags, None, texts, types, containers and `static_args` do not. Python's and
    NumPy's numbers are kept in `hyperparam_dtype`, by default that of the parameters, the widest where they differ.
    Where it is of 16 bits, the number as it was given is computed with, until another is assigned.

    State: `InjectStatefulHyperparamsState(count, hyperparams, hyperparams_states, inner_state)`. A schedule is
        evaluated at the step, 0 at the first update, before it is updated.

    Raises:
        ValueError: a name in `static_args` that `inner_factory` does not have.
    """
    static = frozenset([static_args] if isinstance(static_args, str) else static_args)
    signature = inspect.signature(inner_factory)
    unknown = static - set(signature.parameters)
    if unknown:
        raise ValueError(f"inject_hyperparams: inner_factory has no argument {', '.join(sorted(unknown))} to be static")

    def factory(*args: Any, **kwargs: Any) -> Pair:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        kinds = tuple((name, parameter.kind) for name, parameter in signature.parameters.items())
        return _injected(inner_factory, kinds, dict(bound.arguments), static, hyperparam_dtype)

    return wraps(inner_factory)(factory) if hasattr(inner_factory, "__name__") else factory


@remembered
def _injected(
    inner_factory: Factory, kinds: tuple[tuple[str, Any], ...], arguments: dict[str, Any], static: frozenset[str],
    hyperparam_dtype: Any | None,
) -> Pair:  # fmt: skip
    """The transformation for the factory's arguments by name, in the order and of the kinds of its signature."""
    with_deviations = config.reproduces_optax()

    def schedules() -> dict[str, StatefulSchedule]:
        moving = {name: arguments[name] for name, _ in kinds if name not in static}
        return {name: as_stateful(x) for name, x in moving.items() if callable(x) and not isinstance(x, type)}

    def numbers() -> dict[str, Any]:
        return {name: arguments[name] for name, _ in kinds if name not in static and _is_number(arguments[name])}

    def made(values: dict[str, Any]) -> Pair:
        bound = _by_kind(kinds, arguments | values)
        with config.reproducing_optax(with_deviations):
            return base.with_extra_args_support(inner_factory(*bound.args, **bound.kwargs))

    def init(params: Params) -> OptState:
        dtype = _dtype_for(params, hyperparam_dtype)
        states = {name: schedule.init() for name, schedule in schedules().items()}
        given = numbers() | {name: schedule(states[name]) for name, schedule in schedules().items()}
        hyperparams = {name: _kept(given[name], dtype) for name, _ in kinds if name in given}
        return InjectStatefulHyperparamsState(
            jnp.zeros((), jnp.int32), hyperparams, states, made(_used(given, hyperparams)).init(params)
        )

    def update(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> Updated:
        dtype = _dtype_for(updates if params is None else params, hyperparam_dtype)
        states = state.hyperparams_states
        now = {name: schedule(states[name], **extra_args) for name, schedule in schedules().items()}
        kept = {name: _kept(x, dtype) for name, x in state.hyperparams.items()}
        kept |= {name: _kept(x, dtype, like=kept[name]) for name, x in now.items()}
        tx = made(_used(numbers() | now, kept))
        updates, inner_state = tx.update(updates, state.inner_state, params, **extra_args)
        states = {name: schedule.update(states[name], **extra_args) for name, schedule in schedules().items()}
        return updates, InjectStatefulHyperparamsState(increment(state.count), kept, states, inner_state)

    return Pair(init, update)


inject_stateful_hyperparams = inject_hyperparams


def as_stateful(schedule: Any) -> StatefulSchedule:
    """A stateful schedule from one, or from a function of the step."""
    return schedule if isinstance(schedule, StatefulSchedule) else WrappedSchedule(schedule)


def _by_kind(kinds: Iterable[tuple[str, Any]], arguments: dict[str, Any]) -> inspect.BoundArguments:
    """Arguments by name as positional and keyword arguments."""
    parameters = [inspect.Parameter(name, kind) for name, kind in kinds]
    return inspect.BoundArguments(inspect.Signature(parameters), OrderedDict(arguments))


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float | np.ndarray | np.generic | jax.Array) and not isinstance(x, bool | np.bool_)


def _dtype_for(tree: Any, asked: Any | None) -> Any:
    """The dtype of hyperparameters for parameters: real, and floating-point also where they are whole numbers."""
    dtype = precision.real_dtype(asked or tree_dtype(tree, "promote"))
    return dtype if jnp.issubdtype(dtype, jnp.floating) else jnp.result_type(float)


def _kept(x: Any, dtype: Any, like: Array | None = None) -> Array:
    """A hyperparameter for the state, a float without a dtype of its own in `dtype`, a new one in that of the old."""
    array = jnp.asarray(x)
    if like is not None and jnp.issubdtype(like.dtype, jnp.floating):
        return precision.cast(array, like.dtype)
    if isinstance(x, jax.Array) and not getattr(x, "weak_type", False):
        return jnp.copy(array)
    return precision.cast(array, dtype if jnp.issubdtype(array.dtype, jnp.floating) else array.dtype)


def _used(given: dict[str, Any], kept: dict[str, Array]) -> dict[str, Any]:
    """What to compute with: the state's numbers, and those of 16 bits as they were given unless assigned since."""

    def use(name: str, x: Array) -> Any:
        if not jnp.issubdtype(x.dtype, jnp.floating) or (wide := precision.compute_dtype(x.dtype)) == x.dtype:
            return x
        exact = precision.cast(given[name], wide)
        value = jnp.where(precision.cast(exact, x.dtype) == x, exact, precision.cast(x, wide))
        return weakly_typed(value)

    return {name: use(name, x) for name, x in kept.items()}
