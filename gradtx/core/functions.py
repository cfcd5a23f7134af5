"""What an argument that is a function may be, and how a function of the step is tried before it is used."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.core.arguments import AS_GIVEN, Accept, Unfit, shown

NEEDS_VALUE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)
"""What tracing raises where a function asks for a value: `float(step)`, `if step < 10`, a look into a table."""


class Takes(NamedTuple):
    """What a function takes."""

    positional: list[inspect.Parameter]  # what may be given by position
    required: int  # how many of them must be given
    more: bool  # whether there may be more
    named: bool  # whether something must be given by name
    extra: bool  # whether anything may be given by name


def taken_by(x: Any) -> Takes | None:
    """What a function takes, or None where it does not tell, as some of other languages."""
    try:
        parameters = list(inspect.signature(x).parameters.values())
    except (TypeError, ValueError):
        return None
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return Takes(
        positional,
        sum(p.default is p.empty for p in positional),
        any(p.kind is p.VAR_POSITIONAL for p in parameters),
        any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters),
        any(p.kind is p.VAR_KEYWORD for p in parameters),
    )


class IsFunction(Accept):
    """A function; static. A class or a maker of values is none, nor is one that cannot take the arguments it is given.

    Args:
        form: how it is called and what it gives, for errors: `"(updates, params) -> updates"`.
        least: how many arguments it is given by position at least.
        most: how many at most, or None where there may be more, by name.
        by_name: whether all its arguments are given by name.
    """

    dynamic = False

    def __init__(self, form: str = "", *, least: int = 0, most: int | None = None, by_name: bool = False) -> None:
        self.wanted = f"a function {form}".strip()
        self.least, self.most, self.by_name = least, most, by_name

    def convert(self, where: str, name: str, x: Any) -> Any:
        if not is_function(x):
            raise Unfit
        takes = taken_by(x)
        if takes is None and self.by_name:
            raise Unfit("it does not tell its arguments")
        if takes is not None and not self._fits(takes):
            raise Unfit(f"it takes {inspect.signature(x)}")
        return x

    def _fits(self, takes: Takes) -> bool:
        if self.by_name:
            return not takes.more and not takes.extra and all(p.kind is not p.POSITIONAL_ONLY for p in takes.positional)
        enough = takes.more or len(takes.positional) >= self.least
        return enough and (self.most is None or (takes.required <= self.most and not takes.named))


def is_function(x: Any) -> bool:
    """Whether `x` is a function to call: no class, no maker, and of values only a schedule."""
    return callable(x) and not isinstance(x, type) and getattr(type(x), "serves_as_function", True)


def try_on_step(fn: Callable[[Any], Any], dtype: Any = jnp.int32, *, gives_bool: bool = False) -> None:
    """Trace a function of the step once, on an unknown step, and see that it gives one real number, or one bool.

    As a number, a bool is 0 or 1.

    One that asks for the step's value cannot be traced. It is taken on trust: it works where the step is known,
    outside `jax.jit`.

    Raises:
        Unfit: with what it does instead.
    """
    if AS_GIVEN:
        return

    kinds = (jnp.bool_,) if gives_bool else (jnp.floating, jnp.integer, jnp.bool_)

    def traced(step: Any) -> None:
        found = fn(step)
        if not isinstance(found, int | float | np.ndarray | np.generic | jax.Array):
            raise Unfit(f"it gives {shown(found)}")
        kind = jnp.result_type(found)
        if jnp.shape(found) or not any(jnp.issubdtype(kind, wanted) for wanted in kinds):
            raise Unfit(f"it gives {kind}{jnp.shape(found) or ''}")
        jnp.asarray(found, kind if gives_bool else jnp.result_type(float))

    try:
        with jax.numpy_dtype_promotion("standard"):  # how strictly it promotes is seen where it is called
            jax.eval_shape(traced, jax.ShapeDtypeStruct((), dtype))
    except Unfit:
        raise
    except NEEDS_VALUE:
        return
    except Exception as error:
        raise Unfit(f"it raises {type(error).__name__}: {error}") from error


class IsFunctionOfStep(IsFunction):
    """A static function of a number, tried on one of the dtype."""

    def __init__(self, dtype: Any = jnp.int32) -> None:
        super().__init__("of the step", least=1, most=1)
        self.dtype = dtype

    def convert(self, where: str, name: str, x: Any) -> Any:
        x = super().convert(where, name, x)
        try_on_step(x, self.dtype)
        return x
