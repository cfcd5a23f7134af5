"""What a maker's arguments may be: hyperparameters with their ranges, inner transformations, keys, static choices."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from gradtx.core.switch import Switch

AS_GIVEN = Switch("AS_GIVEN", __name__)
"""Where it is on, makers take numbers of any range, and functions untried. Calls are checked; what is built again from
the leaves that a value has, such as those of a gradient or of `jax.tree.map`, is not, nor is `Maker.as_given`."""

LARGEST = 2**31 - 1
"""The largest whole number: JAX's default integers have 32 bits."""

LONGEST = 300
"""How much of an argument errors show."""


class Unfit(Exception):
    """What is wrong with an argument, where the argument itself does not show it; `Accept` makes the error of it."""


def shown(x: Any) -> str:
    """An argument as errors show it: its `repr`, cut where it is long, or its type where it has none."""
    try:
        text = repr(x)
    except Exception:  # a number of more digits than Python prints, a deleted array
        text = f"<{type(x).__name__}>"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


class Accept:
    """Says what an argument may be; attached to a type by `typing.Annotated`.

    `dynamic` arguments become leaves of the value, the others are static.
    """

    dynamic: bool = True
    wanted: str = "anything"

    def __call__(self, where: str, name: str, x: Any) -> Any:
        """Check and, where needed, convert one argument; raises with what, got and wanted, whatever the check met."""
        try:
            return self.convert(where, name, x)
        except Unfit as reason:
            raise self.refusal(where, name, x, str(reason)) from reason.__cause__
        except Exception as error:
            if isinstance(error, TypeError | ValueError) and str(error).startswith(f"{where}: "):
                raise
            raise self.refusal(where, name, x) from error

    def convert(self, where: str, name: str, x: Any) -> Any:
        """The argument as the body gets it; any exception refuses it, and `__call__` finds the words."""
        return x

    def refusal(self, where: str, name: str, x: Any, reason: str = "") -> TypeError:
        """The error that says what was wanted and what was given."""
        return TypeError(f"{where}: {name} must be {self.wanted}, got {shown(x)}{reason and ': '}{reason}")


class Interval(Accept):
    """A real number, or array of them, in a range written as `[0, 1)`.

    JAX's arrays, traced ones and those on devices, are taken on trust: to read one would wait for its device. Only one
    that decides the program is read.

    A Python integer that JAX's default integers cannot hold becomes the float it is; as a whole number it is refused.

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

    @property
    def words(self) -> str:
        """The range as a docstring says it: `at least 0`, `in [0, 1)`; empty where it is all numbers."""
        if self.high < math.inf:
            return f"in {self.text}"
        if self.low == -math.inf:
            return ""
        infinity = "" if self.high_open else ", infinity included"
        return f"{'above' if self.low_open else 'at least'} {self.low:g}{infinity}"

    def convert(self, where: str, name: str, x: Any) -> Any:
        if callable(x) and self.schedule is not None:
            return self.schedule(x)
        if not _is_number(x) or not (AS_GIVEN or _is_there(x)):
            raise self.refusal(where, name, x)
        if isinstance(x, jax.Array) and (self.dynamic or (AS_GIVEN and isinstance(x, jax.core.Tracer))):
            return x
        x = _plain(x, static=not self.dynamic)
        if (self.integer and not _is_whole(x)) or not (self.dynamic or isinstance(x, int | float)):
            raise self.refusal(where, name, x)
        if not AS_GIVEN:
            self._check_range(where, name, x)
        if isinstance(x, int):
            return float(x) if abs(x) > LARGEST else x
        return int(x) if not self.dynamic and self.integer else x

    def _contains(self, x: Any) -> bool:
        known = _as_float(x) if isinstance(x, int | float) else np.asarray(x)
        above = known > self.low if self.low_open else known >= self.low
        below = known < self.high if self.high_open else known <= self.high
        return bool(np.all(above & below))

    def _check_range(self, where: str, name: str, x: Any) -> None:
        if not self._contains(x):
            raise ValueError(f"{where}: {name} must be in {self.text}, got {shown(x)}")
        if self.integer and np.any(np.asarray(x) > LARGEST):
            raise ValueError(f"{where}: {name} must be in {self.text[0]}{self.low:g}, {LARGEST}], got {shown(x)}")


class OneOf(Accept):
    """One of a few names."""

    dynamic = False

    def __init__(self, *choices: str) -> None:
        self.choices = choices
        self.wanted = "one of " + ", ".join(repr(c) for c in choices)

    def convert(self, where: str, name: str, x: Any) -> Any:
        if not isinstance(x, str) or x not in self.choices:
            raise ValueError(f"{where}: {name} must be {self.wanted}, got {shown(x)}")
        return str(x)


class IsDType(Accept):
    """A floating-point or complex dtype, by any of its spellings; kept as a `numpy.dtype`."""

    dynamic = False
    wanted = "a floating-point dtype or None"

    def convert(self, where: str, name: str, x: Any) -> Any:
        if not isinstance(x, str | type | np.dtype):  # whatever else has a dtype, such as an array, is none
            raise self.refusal(where, name, x)
        dtype = jnp.dtype(x)
        size = dtype.itemsize // (2 if jnp.issubdtype(dtype, jnp.complexfloating) else 1)
        if not jnp.issubdtype(dtype, jnp.inexact) or size > 8 or not dtype.isnative:
            raise self.refusal(where, name, x)
        return dtype


class IsKey(Accept):
    """A seed, or a random key in either of JAX's forms."""

    wanted = "an integer seed or a key from jax.random"

    def convert(self, where: str, name: str, x: Any) -> Any:
        if isinstance(x, int | np.integer) and not isinstance(x, bool) and -(2**63) <= x < 2**63:
            return int(x)
        if not isinstance(x, jax.Array | np.ndarray) or not _is_key(x):
            raise self.refusal(where, name, x)
        return x


class Flag(Accept):
    """True or False; static. What an argument annotated `bool` may be."""

    dynamic = False
    wanted = "True or False"

    def convert(self, where: str, name: str, x: Any) -> Any:
        if not isinstance(x, bool | np.bool_):
            raise self.refusal(where, name, x)
        return bool(x)


class Whole(Accept):
    """A whole number that decides the program; static. What an argument annotated `int` may be."""

    dynamic = False
    wanted = "a whole number"

    def convert(self, where: str, name: str, x: Any) -> Any:
        if not is_whole_number(x):
            raise self.refusal(where, name, x)
        return int(x)


class Text(Accept):
    """A string; static. What an argument annotated `str` may be."""

    dynamic = False
    wanted = "a string"

    def convert(self, where: str, name: str, x: Any) -> Any:
        if not isinstance(x, str):
            raise self.refusal(where, name, x)
        return str(x)


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


def is_whole_number(x: Any) -> bool:
    """Whether `x` is a whole number that is no array, of a size that JAX can hold; True and False are none."""
    return isinstance(x, int | np.integer) and not isinstance(x, bool) and abs(int(x)) <= LARGEST


def _is_number(x: Any) -> bool:
    """Whether `x` is a real number, or an array of them that JAX can hold; True and False are none."""
    if isinstance(x, int | float) and not isinstance(x, bool | np.generic):
        return True
    if not isinstance(x, np.ndarray | np.generic | jax.Array):
        return False
    real = jnp.issubdtype(x.dtype, jnp.floating) or jnp.issubdtype(x.dtype, jnp.integer)
    return real and (x.dtype.itemsize <= 8 or isinstance(x, np.generic))


def _is_there(x: Any) -> bool:
    """Whether a number is not in an array that was deleted, as donation does."""
    return not isinstance(x, jax.Array) or isinstance(x, jax.core.Tracer) or not x.is_deleted()


def _plain(x: Any, *, static: bool) -> Any:
    """The Python number that a NumPy scalar equals, so that it has the same repr and the same trace.

    Where it is static, the number in an array without axes as well; other arrays stay.
    """
    if static and not isinstance(x, int | float) and not x.ndim:
        x = np.asarray(x)[()]
    if isinstance(x, int | np.integer):
        return int(x)
    return float(x) if isinstance(x, float | np.generic) else x


def _is_whole(x: Any) -> bool:
    return isinstance(x, int) or bool(np.all(np.asarray(x) == np.floor(np.asarray(x))))


def _as_float(x: float) -> float:
    """A number to compare: one that no float can hold is infinite."""
    try:
        return float(x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


def _is_key(x: Any) -> bool:
    """Whether an array holds keys, of the new type or as the integers of which they are made, or seeds."""
    return jnp.issubdtype(x.dtype, jax.dtypes.prng_key) or jnp.issubdtype(x.dtype, jnp.integer)
