"""What a maker's arguments may be: hyperparameters with their ranges, inner transformations, keys, static choices."""

import inspect
import math
import typing
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from gradtx.core.switch import Switch

UNCHECKED = Switch("UNCHECKED", __name__)
"""Where it is on, makers take numbers of any range, for callers that promise to refuse none."""


class Accept:
    """Says what an argument may be; attached to a type by `typing.Annotated`.

    `dynamic` arguments become leaves of the value, the others are static.
    """

    dynamic: bool = True
    wanted: str = "anything"

    def __call__(self, where: str, name: str, x: Any) -> Any:
        """Check and, where needed, convert one argument; raises with what, got and wanted."""
        return x


class Interval(Accept):
    """A real number, or array of them, in a range written as `[0, 1)`; tracers are taken on trust.

    Args:
        text: the range; `inf` may be an end.
        schedule: turns a callable of the step into a schedule, or None where schedules are not accepted.
        integer: whether only whole numbers are accepted.
        static: whether the number decides the program (a loop's length) and so is not a leaf.
    """

    def __init__(
        self,
        text: str,
        *,
        schedule: Callable[[Any], Any] | None = None,
        integer: bool = False,
        static: bool = False,
    ) -> None:
        low, high = text[1:-1].split(",")
        self.low, self.high, self.text = float(low), float(high), text
        self.low_open, self.high_open = text[0] == "(", text[-1] == ")"
        self.schedule, self.integer, self.dynamic = schedule, integer, not static
        whole = "a whole number" if integer else "a number"
        self.wanted = f"{whole} in {text}" + (" or a schedule" if schedule else "")

    def __call__(self, where: str, name: str, x: Any) -> Any:
        if isinstance(x, jax.core.Tracer):
            return x
        if callable(x) and self.schedule is not None:
            return self.schedule(x)
        number = isinstance(x, int | float | np.ndarray | np.generic | jax.Array) and not isinstance(x, bool)
        if not number or not _is_real(x) or (self.integer and not _is_whole(x)):
            raise TypeError(f"{where}: {name} must be {self.wanted}, got {x!r}")
        if not UNCHECKED and not self._contains(x):
            raise ValueError(f"{where}: {name} must be in {self.text}, got {x!r}")
        # A NumPy scalar becomes the Python number it equals, and so has the same repr and the same trace.
        return x.item() if isinstance(x, np.generic) else x

    def _contains(self, x: Any) -> bool:
        if isinstance(x, int | float):
            above = x > self.low if self.low_open else x >= self.low
            below = x < self.high if self.high_open else x <= self.high
            return above and below and not math.isnan(x)
        x = np.asarray(x)
        above = x > self.low if self.low_open else x >= self.low
        below = x < self.high if self.high_open else x <= self.high
        return bool(np.all(above & below))


class OneOf(Accept):
    """One of a few names."""

    dynamic = False

    def __init__(self, *choices: str) -> None:
        self.choices = choices
        self.wanted = "one of " + ", ".join(repr(c) for c in choices)

    def __call__(self, where: str, name: str, x: Any) -> Any:
        if x not in self.choices:
            raise ValueError(f"{where}: {name} must be {self.wanted}, got {x!r}")
        return x


class IsDType(Accept):
    """A floating-point or complex dtype, by any of its spellings; kept as a `numpy.dtype`."""

    dynamic = False
    wanted = "a floating-point dtype or None"

    def __call__(self, where: str, name: str, x: Any) -> Any:
        try:
            dtype = jnp.dtype(x)
        except TypeError:
            raise TypeError(f"{where}: {name} must be {self.wanted}, got {x!r}") from None
        if not jnp.issubdtype(dtype, jnp.inexact):
            raise TypeError(f"{where}: {name} must be {self.wanted}, got {x!r}")
        return dtype


class IsKey(Accept):
    """A seed, or a random key in either of JAX's forms."""

    wanted = "an integer seed or a key from jax.random"

    def __call__(self, where: str, name: str, x: Any) -> Any:
        if isinstance(x, int | np.integer) and not isinstance(x, bool):
            return int(x)
        if isinstance(x, jax.Array | np.ndarray) and _is_key(x.dtype):
            return x
        raise TypeError(f"{where}: {name} must be {self.wanted}, got {x!r}")


class Each(Accept):
    """Every element of a list, tuple or mapping is accepted by one `Accept`; a list becomes a tuple."""

    def __init__(self, element: Accept) -> None:
        self.element, self.dynamic = element, element.dynamic
        self.wanted = f"a sequence, each {element.wanted}"

    def __call__(self, where: str, name: str, x: Any) -> Any:
        if isinstance(x, dict):
            return {key: self.element(where, f"{name}[{key!r}]", y) for key, y in x.items()}
        if not isinstance(x, list | tuple):
            raise TypeError(f"{where}: {name} must be {self.wanted}, got {x!r}")
        return tuple(self.element(where, f"{name}[{i}]", y) for i, y in enumerate(x))


class Flag(Accept):
    """True or False; static. What an argument annotated `bool` may be."""

    dynamic = False
    wanted = "True or False"

    def __call__(self, where: str, name: str, x: Any) -> Any:
        if not isinstance(x, bool | np.bool_):
            raise TypeError(f"{where}: {name} must be {self.wanted}, got {x!r}")
        return bool(x)


class Whole(Accept):
    """A whole number that decides the program; static. What an argument annotated `int` may be."""

    dynamic = False
    wanted = "a whole number"

    def __call__(self, where: str, name: str, x: Any) -> Any:
        if not isinstance(x, int | np.integer) or isinstance(x, bool):
            raise TypeError(f"{where}: {name} must be {self.wanted}, got {x!r}")
        return int(x)


class Anything(Accept):
    """A static argument: a function, a mask, a name."""

    dynamic = False


class Guess(Accept):
    """The rule for an argument without an annotation: numbers, arrays and values are leaves, the rest is static."""

    def __init__(self, default: Any) -> None:
        self.static_int = isinstance(default, int)

    def is_leaf(self, x: Any) -> bool:
        """Whether this argument is a hyperparameter."""
        if isinstance(x, bool) or (self.static_int and isinstance(x, int)):
            return False
        return all(isinstance(leaf, int | float | np.ndarray | np.generic | jax.Array) for leaf in jax.tree.leaves(x))


class Parameter:
    """One parameter of a maker: how it is passed, and what it may be."""

    def __init__(self, inspected: inspect.Parameter, annotation: Any) -> None:
        self.inspected = inspected
        self.variadic = inspected.kind is inspect.Parameter.VAR_POSITIONAL
        self.named_variadic = inspected.kind is inspect.Parameter.VAR_KEYWORD
        self.keyword_only = inspected.kind is inspect.Parameter.KEYWORD_ONLY
        self.optional = inspected.default is None or _allows_none(annotation)
        found = _find_accept(annotation)
        if found is None and annotation is inspect.Parameter.empty:
            found = Guess(inspected.default)
        if annotation in (bool, int):
            found = Flag() if annotation is bool else Whole()
        self._accept = found or Anything()

    @property
    def accepts(self) -> Accept:
        """What the argument may be."""
        return self._accept

    def accept(self, where: str, x: Any) -> Any:
        """Check and convert the argument given for this parameter."""
        name = self.inspected.name
        if self.variadic:
            return tuple(self._accept(where, f"{name}[{i}]", y) for i, y in enumerate(x))
        if self.named_variadic:  # an OrderedDict is a pytree that keeps its order
            return OrderedDict((key, self._accept(where, key, y)) for key, y in x.items())
        if x is None and self.optional:
            return None
        return self._accept(where, name, x)

    def is_dynamic(self, x: Any) -> bool:
        """Whether the argument is a leaf (or a tree of leaves) of the value."""
        return self._accept.is_leaf(x) if isinstance(self._accept, Guess) else self._accept.dynamic and x is not None

    def is_default(self, x: Any) -> bool:
        """Whether the argument is the parameter's default."""
        default = self.inspected.default
        return x is default or (type(x) is type(default) and not hasattr(x, "shape") and bool(x == default))


def parameters_of(body: Callable[..., Any], skip: int) -> dict[str, Parameter]:
    """The parameters of `body` after the first `skip`, by name."""
    try:
        hints = typing.get_type_hints(body, include_extras=True)
    except NameError:
        hints = {}
    inspected = list(inspect.signature(body).parameters.values())[skip:]
    return {p.name: Parameter(p, hints.get(p.name, p.annotation)) for p in inspected}


def _find_accept(annotation: Any) -> Accept | None:
    for extra in getattr(annotation, "__metadata__", ()):
        if isinstance(extra, Accept):
            return extra
    for part in typing.get_args(annotation):
        found = _find_accept(part)
        if found is not None:
            return found
    return None


def _allows_none(annotation: Any) -> bool:
    return type(None) in typing.get_args(annotation) or any(map(_allows_none, typing.get_args(annotation)))


def _is_real(x: Any) -> bool:
    dtype = x.dtype if hasattr(x, "dtype") else jnp.result_type(x)
    return jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)


def _is_whole(x: Any) -> bool:
    return bool(np.all(np.asarray(x) == np.floor(np.asarray(x))))


def _is_key(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, jax.dtypes.prng_key) or jnp.issubdtype(dtype, jnp.integer)
