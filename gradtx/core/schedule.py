"""Schedules: values that are called with the step and give a number."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Concatenate, ParamSpec, Protocol, cast, runtime_checkable

import jax
import jax.numpy as jnp

from gradtx.core import precision
from gradtx.core.arguments import Unfit, shown
from gradtx.core.at_once import at_once
from gradtx.core.functions import NEEDS_VALUE, IsFunction, try_on_step
from gradtx.core.typing import Array, ArrayLike, PyTree
from gradtx.core.values import Value, maker, split_arguments

P = ParamSpec("P")


class Schedule(Value):
    """A number that depends on the step, as a value: `schedule(step) -> number`, step = 0 at the first update.

    Built by a maker such as `cosine_decay_schedule`, or from a plain function of the step: `Schedule(fn)`. Wherever a
    hyperparameter is accepted, a schedule is too.

    A function is tried once where it is given: it must give one real number for one step. A function that asks for the
    step's value (`float(step)`, `if step < 10`, a look into a table) cannot be tried, and is taken as it is: it works
    where the step is known, and not under `jax.jit`.
    """

    serves_as_function = True

    def __new__(cls, fn: Callable[[Array], ArrayLike]) -> "Schedule":
        """Wrap a function of the (int32) step."""
        return _function(fn)

    def __call__(self, step: ArrayLike) -> Array:
        """The number at `step`.

        Args:
            step: number of steps taken before this one, an integer >= 0, or an array of them.

        Returns:
            A floating-point array of the shape of `step`.
        """
        if self._maker is not _function:
            return at_once(Schedule._number, self, step)
        if stateful_of(self) is not None:
            raise TypeError(
                "a stateful schedule has no number at a step: give the transformation that has it to "
                f"gradtx.inject_hyperparams, which keeps its state; got {self.arguments['fn']!r}"
            )
        return jnp.asarray(self.arguments["fn"](precision.cast(step, jnp.int32)), jnp.result_type(float))

    def _number(self, step: ArrayLike) -> Array:
        """The number at `step`, by the maker's formula."""
        dtype = jnp.result_type(float)
        # The formula runs in JAX's default float, whatever dtype the caller's numbers have.
        cast_numbers = lambda tree: jax.tree.map(lambda x: precision.number_in(x, dtype), tree, is_leaf=is_schedule)
        # One by one: `jax.tree.map` over the dictionary would sort the arguments by name.
        arguments = {name: cast_numbers(argument) for name, argument in self.arguments.items()}
        args, kwargs = split_arguments(self._maker, arguments)
        return jnp.asarray(self._maker.body(precision.cast(step, dtype), *args, **kwargs), dtype)

    def _build(self) -> None:
        """Try it once, so that arguments that do not fit, or not together, are refused where they are given."""
        if self._maker is not _function:
            self._try_formula()
        elif stateful_of(self) is None:
            fn = self.arguments["fn"]
            try:
                try_on_step(fn)
            except Unfit as error:
                raise _STEP_FUNCTION.refusal("Schedule", "fn", fn, str(error)) from error.__cause__

    def _try_formula(self) -> None:
        def formula(step: Array) -> Array:  # a value itself would be hashed, and its numbers read
            return self(step)

        try:
            jax.eval_shape(formula, jax.ShapeDtypeStruct((), jnp.int32))
        except NEEDS_VALUE:  # of a function inside, or in the formula: taken as it is
            return
        except Exception as error:
            if str(error).startswith(f"{self.name}: "):
                raise
            given = ", ".join(f"{name}={shown(argument)}" for name, argument in self.arguments.items())
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{self.name}: the arguments must fit together, got {given}: {error}") from error


def schedule(formula: Callable[Concatenate[Array, P], ArrayLike]) -> Callable[P, Schedule]:
    """Turn a formula `f(step, ...)` into a maker of schedules.

    The maker takes the arguments after `step`; those that are numbers become leaves. The formula is called with
    `step` in JAX's default float dtype and must work for any shape of it.

        @gradtx.schedule
        def inverse_sqrt(step, peak_value: gradtx.Number, warmup_steps: gradtx.Number):
            return peak_value * jnp.minimum(step / warmup_steps, jnp.sqrt(warmup_steps / jnp.maximum(step, 1)))
    """
    return cast("Callable[P, Schedule]", maker(Schedule, formula, called_with=1))


@runtime_checkable
class StatefulSchedule(Protocol):
    """A number that depends on what was seen at the steps before: on the loss, not only on the step.

    Any object with these three methods is one; it need not inherit. `gradtx.inject_hyperparams` accepts it wherever a
    transformation accepts a schedule, and keeps its state. At each update it is called with the state, then updated:
    so a step's number comes from the steps before and from this step's extra arguments. All else in it is static.

        class FollowLoss:
            def init(self):
                return jnp.ones(())

            def update(self, state, *, value, **extra):
                return 0.9 * state + 0.1 * value

            def __call__(self, state, **extra):
                return 0.01 * jnp.minimum(state, 1)
    """

    def init(self) -> PyTree:
        """Make the first state: any tree of arrays and numbers."""
        ...

    def update(self, state: PyTree, **extra: Any) -> PyTree:
        """Turn the state into the next one, of the same structure, shapes and dtypes.

        Args:
            state: the state that the number of this step was made from.
            **extra: the extra arguments of the transformation's update (`value=loss`), all of them.
        """
        ...

    def __call__(self, state: PyTree, **extra: Any) -> ArrayLike:
        """Return the number for a state; called without extra arguments where the transformation's state is made."""
        ...


def stateful_of(fn: Schedule) -> StatefulSchedule | None:
    """The stateful schedule that a maker of transformations was given, or None."""
    given = fn.arguments.get("fn") if fn.maker is _function else None
    return given if isinstance(given, StatefulSchedule) else None


def as_schedule(fn: Any) -> Schedule:
    """A schedule from a schedule or from a plain function of the step, for an `Accept`.

    Raises:
        Unfit: the function gives no number; it says why.
        TypeError: it is no function.
    """
    if isinstance(fn, Schedule):
        return fn
    value = Schedule.make(_function, {"fn": _STEP_FUNCTION.convert("Schedule", "fn", fn)})
    if stateful_of(value) is None:
        try_on_step(fn)
    return value


def at_step(h: Any, step: ArrayLike) -> Any:
    """A hyperparameter at a step: what a schedule gives there, else the number that it is."""
    return h(step) if isinstance(h, Schedule) else h


def is_schedule(x: Any) -> bool:
    """Whether `x` is a schedule."""
    return isinstance(x, Schedule)


_STEP_FUNCTION = IsFunction("of the step", least=1)


@partial(maker, Schedule, name="Schedule")
def _function(fn: Annotated[Callable[[Array], ArrayLike], _STEP_FUNCTION]) -> None:
    """A schedule from a plain function of the step."""


_FUNCTION = _function  # its name in pickles of the first release
