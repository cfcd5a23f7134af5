"""Hyperparameters in the state, for programs that read and assign them there."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial, wraps
from typing import Annotated, Any, NamedTuple, TypeAlias, cast, overload

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.core.arguments import Anything, Guess, IsKey
from gradtx.core.degree import of
from gradtx.core.fields import InnerState, RunCount
from gradtx.core.hyperparameters import OptionalDType
from gradtx.core.rules import increment
from gradtx.core.schedule import Schedule, as_schedule, is_schedule, stateful_of
from gradtx.core.transformation import GradientTransformation, Inner, Pair, as_transformation, ours, transformation
from gradtx.core.typing import Array, DType, Extra, PyTree, TransformationLike
from gradtx.core.values import Maker, Value, maker


class InjectHyperparamsState(NamedTuple):
    """State of `inject_hyperparams`."""

    count: RunCount  # updates so far, int32
    hyperparams: dict[str, Array]  # by name: those of the last update, or assigned since
    inner_state: InnerState


class InjectStatefulHyperparamsState(NamedTuple):
    """State of `inject_hyperparams` where a hyperparameter is a stateful schedule."""

    count: RunCount  # updates so far, int32
    hyperparams: dict[str, Array]  # by name: those of the last update, or assigned since
    hyperparams_states: dict[str, Any]  # by name: the states of the stateful schedules
    inner_state: InnerState


InjectState: TypeAlias = InjectHyperparamsState | InjectStatefulHyperparamsState


@partial(maker, GradientTransformation, name="inject_hyperparams")
def injected(inner: Inner, *, static_args: tuple[str, ...] = (), hyperparam_dtype: OptionalDType = None) -> Pair:
    """The transformation `inner` with its numbers taken from the state."""
    value = ours(inner)
    leaves, treedef = jax.tree_util.tree_flatten_with_path(value, is_leaf=is_schedule)
    named = {jax.tree_util.keystr(path).lstrip("."): h for path, h in leaves}
    moving = {name: h for (path, _), (name, h) in zip(leaves, named.items(), strict=True) if not _is_seed(value, path)}
    for name in static_args:
        moving.pop(name, None)

    schedules = {name: h for name, h in moving.items() if isinstance(h, Schedule)}
    stateful = {name: found for name, h in schedules.items() if (found := stateful_of(h)) is not None}

    def numbers(count: Array, current: dict[str, Any], states: dict[str, Any], extra: Extra) -> dict[str, Array]:
        dtype = hyperparam_dtype or jnp.result_type(float)

        def number(name: str) -> Any:
            if name in stateful:
                return _real(name, stateful[name](states[name], **extra))
            return schedules[name](count) if name in schedules else current[name]

        return {name: jnp.array(number(name), dtype, copy=True) for name in moving}

    def using(hyperparams: dict[str, Array]) -> GradientTransformation:
        return treedef.unflatten([hyperparams.get(name, h) for name, h in named.items()])

    def pack(count: Array, hyperparams: dict[str, Array], states: dict[str, Any], inner_state: Any) -> InjectState:
        if not stateful:
            return InjectHyperparamsState(count, hyperparams, inner_state)
        return InjectStatefulHyperparamsState(count, hyperparams, states, inner_state)

    def init(params: PyTree) -> InjectState:
        count = jnp.zeros((), jnp.int32)
        states = {name: jax.tree.map(_own, h.init()) for name, h in stateful.items()}
        inner_state = using(numbers(count, moving, states, {})).init(params)
        return pack(count, numbers(count, moving, states, {}), states, inner_state)

    def update(updates: PyTree, state: InjectState, params: PyTree = None, **extra: Any) -> tuple[PyTree, InjectState]:
        _check_numbers(state.hyperparams, moving)
        states = state.hyperparams_states if isinstance(state, InjectStatefulHyperparamsState) else {}
        if set(states) != set(stateful):
            raise ValueError(
                f"inject_hyperparams: hyperparams_states must have {sorted(stateful)}, got {sorted(states)}"
            )
        hyperparams = numbers(state.count, state.hyperparams, states, extra)
        states = {name: _like(name, h.update(states[name], **extra), states[name]) for name, h in stateful.items()}
        updates, inner_state = using(hyperparams).within(updates, state.inner_state, params, **extra)
        return updates, pack(increment(state.count), hyperparams, states, inner_state)

    return Pair(init, update, "anything", InjectStatefulHyperparamsState if stateful else InjectHyperparamsState)


injected.degree = of("inner")
_INJECTED = injected  # its name in pickles of the first release


@overload
def inject_hyperparams(
    inner: TransformationLike, static_args: str | Sequence[str] = (), hyperparam_dtype: DType | None = None
) -> GradientTransformation: ...


@overload
def inject_hyperparams(
    inner: Callable[..., Any], static_args: str | Sequence[str] = (), hyperparam_dtype: DType | None = None
) -> Callable[..., GradientTransformation]: ...


def inject_hyperparams(inner: Any, static_args: str | Sequence[str] = (), hyperparam_dtype: DType | None = None) -> Any:
    """Keep the hyperparameters of a transformation in its state, where a program can assign them between steps.

        tx = gradtx.inject_hyperparams(gradtx.adam)(learning_rate=1e-3)
        state = tx.init(params)
        state.hyperparams["learning_rate"] = 1e-4

    A gradtx transformation needs this only for programs that expect it: it is a value, which `gradtx.replace` changes
    and `jax.jit` takes as an argument.

    Args:
        inner: a function that makes transformations, ours or any other (its arguments that are numbers, scalar
            arrays, functions of the step or stateful schedules become hyperparameters, its other arguments stay), or
            a transformation (its hyperparameters are named by path, as `gradtx.hyperparameters` names them).
        static_args: the name or names of arguments that stay out of the state.
        hyperparam_dtype: the dtype they are kept in, whatever was given or assigned; by default JAX's default float,
            also for 16-bit parameters: 0.999 is 1 in bfloat16.

    Returns:
        A function of the same arguments that makes the transformation; or, for a transformation, a transformation.

    State: `InjectHyperparamsState(count, hyperparams, inner_state)`. A schedule is evaluated at `count`, 0 at the
        first update; what is assigned in its place is lost. With a `gradtx.StatefulSchedule` among the hyperparameters:
        `InjectStatefulHyperparamsState(count, hyperparams, hyperparams_states, inner_state)`.

    Raises:
        ValueError: a name in `static_args` that `inner` does not have.
        TypeError: from `init` and `update`, a stateful schedule that returns no number; from `update`, one that
            changes the structure, the shapes or the dtypes of its state.
    """
    static = (static_args,) if isinstance(static_args, str) else tuple(static_args)
    options: dict[str, Any] = dict(static_args=static, hyperparam_dtype=hyperparam_dtype)
    if isinstance(inner, TransformationLike):
        return injected(inner, **options)
    if not callable(inner):
        raise TypeError(
            f"inject_hyperparams: inner must be a transformation or a function that makes one, got {inner!r}"
        )
    make = inner if isinstance(inner, Maker) else _maker_of(inner, static)
    for name in static:
        if name not in make.parameters:
            raise ValueError(f"inject_hyperparams: {make.__name__} has no argument {name!r} to be static")

    def factory(*args: Any, **kwargs: Any) -> GradientTransformation:
        return injected(make(*args, **kwargs), **options)

    return wraps(inner)(factory) if hasattr(inner, "__name__") else factory


class Argument(Guess):
    """An argument of somebody's function: numbers and functions of the step are hyperparameters."""

    wanted = "a number, a function of the step or, named in static_args, anything"

    def convert(self, where: str, name: str, x: Any) -> Any:
        is_function = callable(x) and not isinstance(x, type | Value) and not hasattr(x, "dtype")
        return as_schedule(x) if is_function else x


@lru_cache(maxsize=256)
def _maker_of(factory: Callable[..., Any], static: tuple[str, ...]) -> Maker:
    """A maker of the transformations that a plain function makes."""

    def body(*args: Any, **kwargs: Any) -> GradientTransformation:
        return as_transformation(factory(*args, **kwargs))

    def accept(p: inspect.Parameter) -> inspect.Parameter:
        return p.replace(annotation=Annotated[Any, Anything() if p.name in static else Argument(p.default)])

    signature = inspect.signature(factory)
    body.__name__ = body.__qualname__ = getattr(factory, "__name__", "factory")
    body.__signature__ = signature.replace(parameters=[accept(p) for p in signature.parameters.values()])
    return cast(Maker, transformation(body))


def _check_numbers(hyperparams: Any, wanted: Iterable[str]) -> None:
    """Refuse a state without a number for each hyperparameter."""
    if not isinstance(hyperparams, dict) or set(cast("dict[str, Any]", hyperparams)) != set(wanted):
        given = sorted(hyperparams) if isinstance(hyperparams, dict) else type(hyperparams).__name__
        raise ValueError(f"inject_hyperparams: the state's hyperparams must have {sorted(wanted)}, got {given}")
    for name, x in cast("dict[str, Any]", hyperparams).items():
        if not isinstance(x, int | float | complex | jax.Array | np.ndarray | np.generic):
            raise TypeError(f"inject_hyperparams: the state's {name} must be a number, got {x!r}")


def _own(x: Any) -> Array:
    """A leaf of a stateful schedule's first state, strongly typed, in a buffer of its own."""
    return jnp.array(x, jnp.result_type(x), copy=True)


def _like(name: str, new: PyTree, old: PyTree) -> PyTree:
    """A stateful schedule's next state, in the types of the one before; floats may differ in width."""

    def fits(x: Any, y: Array) -> bool:
        same = jnp.result_type(x) == y.dtype
        floats = jnp.issubdtype(jnp.result_type(x), jnp.floating) and jnp.issubdtype(y.dtype, jnp.floating)
        return jnp.shape(x) == y.shape and (same or floats)

    if jax.tree.structure(new) != jax.tree.structure(old) or not all(jax.tree.leaves(jax.tree.map(fits, new, old))):
        types = lambda tree: jax.tree.map(lambda x: f"{jnp.result_type(x)}{list(jnp.shape(x))}", tree)
        raise TypeError(
            f"inject_hyperparams: the stateful schedule {name} must keep the structure, shapes and dtypes of its "
            f"state, got {types(new)} from update, wanted {types(old)}"
        )
    return jax.tree.map(lambda x, y: jnp.array(x, y.dtype, copy=True), new, old)


def _real(name: str, x: Any) -> Any:
    """What a stateful schedule returns, refused if it is no number."""
    kind = jnp.result_type(x) if isinstance(x, int | float | np.ndarray | np.generic | jax.Array) else None
    if kind is None or jnp.shape(x) or not (jnp.issubdtype(kind, jnp.floating) or jnp.issubdtype(kind, jnp.integer)):
        raise TypeError(f"inject_hyperparams: the stateful schedule {name} must return a number, got {x!r}")
    return x


def _is_seed(value: Any, path: tuple[Any, ...]) -> bool:
    """Whether the leaf at `path` of a transformation is a seed or a random key, and so no hyperparameter."""
    accept = None
    for key in path:
        if isinstance(value, Value):
            accept, value = value.maker.parameters[key.name].accepts, value.arguments[key.name]
        else:
            value = value[key.key if hasattr(key, "key") else key.idx]
    return isinstance(accept, IsKey) or jnp.issubdtype(getattr(value, "dtype", float), jax.dtypes.prng_key)
