"""What stands for a step's arrays while they are not computed: uniform, lazy, or alike in many leaves."""

from dataclasses import dataclass
from typing import Any, NamedTuple

WIDTH = {"float16": 0, "bfloat16": 0, "float32": 1, "float64": 2}
"""The types that arrays in memory have, and how much they hold."""


class Uniform(NamedTuple):
    """An array whose elements are all the same number."""

    scalar: Any
    shape: tuple[int, ...]
    dtype: Any


@dataclass(eq=False)
class Lazy:
    """An array that is not computed yet: an elementwise equation on others of its shape."""

    equation: Any
    operands: tuple[Any, ...]
    shape: tuple[int, ...]
    dtype: Any
    symbolic: bool  # whether it stands for one array of each of many leaves
    part: int = 0  # which of the equation's results it is: coding gives codes, and scales of another shape
    computed: Any = None


@dataclass(eq=False, frozen=True)
class Symbol:
    """What stands for one array of each of many leaves of one type, so that what is done to all is evaluated once."""

    arrays: tuple[Any, ...]
    shape: tuple[int, ...]
    dtype: Any


@dataclass(eq=False, frozen=True)
class Member:
    """The value of one of these leaves, by its number."""

    value: Lazy
    index: int
    count: int

    @property
    def shape(self) -> tuple[int, ...]:
        """That of all of them."""
        return self.value.shape

    @property
    def dtype(self) -> Any:
        """That of all of them."""
        return self.value.dtype


class Reduced(NamedTuple):
    """The sum over the elements of a symbolic value: one number for each leaf."""

    value: Any
    dtype: Any
    shape: tuple[int, ...] = ()


@dataclass(eq=False)
class Sum:
    """A number that is not computed yet: the sum over the elements of symbolic values and over their leaves."""

    terms: tuple[Any, ...]
    dtype: Any
    shape: tuple[int, ...] = ()
    computed: Any = None


def is_symbolic(value: Any) -> bool:
    """Whether a value stands for one of each of many leaves."""
    return isinstance(value, Symbol) or (isinstance(value, Lazy) and value.symbolic)


def is_scalar(value: Any) -> bool:
    """Whether a value is one number: of no axes, or the same for all elements."""
    return isinstance(value, Uniform) or not getattr(value, "shape", ())


def scalar_of(value: Any) -> Any:
    """The number of such a value."""
    return value.scalar if isinstance(value, Uniform) else value


def sources(value: Any) -> list[Any]:
    """The arrays and symbols that a value is computed from, in the order of its formula."""
    found: list[Any] = []
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        x = waiting.pop()
        if id(x) in seen or isinstance(x, Uniform) or not getattr(x, "shape", ()):
            continue
        seen.add(id(x))
        if isinstance(x, Lazy):
            waiting.extend(reversed(x.operands))
        else:
            found.append(x)
    return found


def at(source: Any, index: int) -> Any:
    """The array of one leaf; what is no symbol is the same in all."""
    return source.arrays[index] if isinstance(source, Symbol) else source
