"""Eager calls: outside of any trace, what consists of gradtx's own code runs as one compiled call.

A value in which no function is a user's is a program for good: the key is the structure of its tree, as it is for
`jax.jit`, and its hyperparameters are operands. A function of a user's may look at numbers, or read what changes, and
runs as it stands, with what is gradtx's own around it still compiled. The call without a trace says what is right,
errors included.
"""

import enum
import functools
import inspect
import sys
import types
from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np
from jax.extend import core

from gradtx.core.frozen import fingerprint
from gradtx.core.one_pass import wanted
from gradtx.core.switch import Switch, settings
from gradtx.core.values import Value

P = ParamSpec("P")
R = TypeVar("R")

FAMILIES = 512  # kept at a time, by when they ran last
MEMBERS = 64  # of each
TRIED = 8  # of each that are compiled at their first call; what follows is compiled at its second
REFUSED = 64  # types of operands that a program remembers that it cannot be traced for

LIBRARIES = ("gradtx", "jax", "jaxlib", "numpy")
FIXED = (type(None), bool, int, float, complex, str, bytes, np.dtype, np.generic, enum.Enum)

KINDS: dict[str, Any] = {
    "array": jax.Array | np.ndarray,
    "float": float | np.inexact,
    "static": type(None) | bool | int | str | complex | np.generic,
}
"""What an argument is, by its type; all else may be a tree."""

CHANGING = Switch("CHANGING", __name__)
"""Where it is on, nothing is compiled: a number that is part of the program is likely another at each call."""

with jax.ensure_compile_time_eval():
    _OUTSIDE = core.get_opaque_trace_state(convention="gradtx")


def outside() -> bool:
    """Whether nothing is traced here and now, and what is compiled runs compiled."""
    config: Any = jax.config
    here = core.get_opaque_trace_state(convention="gradtx") == _OUTSIDE
    return here and not config.jax_disable_jit and CHANGING not in settings()


def is_fixed(x: Any) -> bool:
    """Whether what is static stays what it is and holds no array; of functions, those of a library alone."""
    if isinstance(x, FIXED):
        return True
    if isinstance(x, tuple | frozenset):
        return all(map(is_fixed, x))
    if isinstance(x, Value):
        return is_own(x)
    module = getattr(x, "__module__", None) or ""
    if module.split(".")[0] not in LIBRARIES or module.startswith("numpy.random"):  # which draws another at each call
        return False
    if isinstance(x, types.FunctionType):
        return all(is_fixed(cell.cell_contents) for cell in x.__closure__ or ())
    return getattr(sys.modules.get(module), getattr(x, "__name__", ""), None) is x  # compiled functions, classes


def is_own(value: Value) -> bool:
    """Whether no code in a value is a user's: of its maker, its static arguments, and the values in it."""
    maker = value.maker
    if maker.opaque or not is_fixed(maker.body):
        return False
    for name, argument in value.arguments.items():
        parts = [argument] if callable(argument) else jax.tree.leaves(argument, is_leaf=is_value)
        if not all(is_fixed(x) for x in parts if name not in value.dynamic or is_value(x)):
            return False
    return True


def is_value(x: Any) -> bool:
    """Whether `x` is a transformation, a schedule or another value."""
    return isinstance(x, Value)


class Program:
    """A function as one compiled call, for any types of its operands."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.compiled = jax.jit(function)
        self.refused: set[Any] = set()

    def run(self, plain: Callable[[], Any], operands: tuple[Any, ...]) -> Any:
        """The result for these operands; of `plain`, which computes the same, where they cannot be traced."""
        if not self.refuses(operands):
            with self.tried(operands):
                return self.compiled(*operands)
        return plain()

    @contextmanager
    def tried(self, operands: tuple[Any, ...]) -> Generator[None]:
        """A block that ends quietly where operands of these types cannot be traced."""
        try:
            yield
        except FloatingPointError:  # what `jax.debug_nans` looks for was found
            raise
        except Exception:  # whatever it is, the call without a trace says what is right
            if len(self.refused) >= REFUSED:
                self.refused.clear()
            self.refused.add(_types_of(operands))

    def refuses(self, operands: tuple[Any, ...]) -> bool:
        """Whether operands of these types could not be traced."""
        return bool(self.refused) and _types_of(operands) in self.refused


def _types_of(operands: tuple[Any, ...]) -> Hashable:
    leaves, structure = jax.tree.flatten(operands)
    return structure, *((np.shape(x), getattr(x, "dtype", type(x))) for x in leaves)


@functools.lru_cache(maxsize=FAMILIES)
def _family(*key: Hashable) -> dict[Hashable, Program | None]:
    """Programs that differ in static numbers alone, by these; None for one that is not worth compiling yet."""
    del key
    return {}


def program(family: tuple[Hashable, ...], member: Hashable, make: Callable[[], Callable[..., Any]]) -> Program | None:
    """A program of a family, made by `make` where there is none."""
    programs = _family(*family)
    found = programs.get(member)
    if found is None:
        found = Program(make()) if member in programs or len(programs) < TRIED else None
        if len(programs) >= MEMBERS:
            programs.clear()
        programs[member] = found
    return found


def _run(found: Program | None, plain: Callable[[], Any], operands: tuple[Any, ...]) -> Any:
    if found is not None:
        return found.run(plain, operands)
    with CHANGING.turned():
        return plain()


def compiled(function: Callable[P, R], *, static: tuple[str, ...] = ()) -> Callable[P, R]:
    """Decorate a function of arrays: outside of any trace its call is one compiled call.

    What `is_operand` says is an operand, but for the arguments named as static. All others are static, too, and one
    that is a user's function, or may change, has the call run as it stands.
    """
    places = frozenset(i for i, name in enumerate(inspect.signature(function).parameters) if name in static)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if not outside():
            return function(*args, **kwargs)
        operands: list[Any] = []
        member: list[_Static | None] = []
        for name, x in (*enumerate(args), *kwargs.items()):
            if is_operand(x) and not (static and isinstance(x, float) and (name in places or name in static)):
                operands.append(x)
                member.append(None)
            elif is_fixed(x):
                member.append(_Static(x))
            else:
                return function(*args, **kwargs)
        names, key = tuple(kwargs), tuple(member)
        found = program((function, names, settings(), wanted()), key, lambda: _given(function, key, names))
        return _run(found, lambda: function(*args, **kwargs), tuple(operands))

    return call


class _Static:
    """A static argument, equal to another of its type and bits."""

    __slots__ = ("key", "value")

    def __init__(self, value: Any) -> None:
        self.value, self.key = value, _exact(value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Static) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def _exact(x: Any) -> Hashable:
    return type(x), tuple(map(_exact, x)) if isinstance(x, tuple) else fingerprint(x)


def _given(function: Callable[..., Any], static: tuple[_Static | None, ...], names: tuple[str, ...]) -> Any:
    def traced(*operands: Any) -> Any:
        left = iter(operands)
        whole = [next(left) if x is None else x.value for x in static]
        start = len(whole) - len(names)
        return function(*whole[:start], **dict(zip(names, whole[start:], strict=True)))

    return traced


def is_operand(x: Any) -> bool:
    """Whether an argument is an array, a positive and finite number, or a tree of arrays and numbers.

    Functions check other numbers, or treat them as a case of its own: for these they are traced again.
    """
    kind = _kind(type(x))
    if kind == "array":
        return True
    if kind == "float":
        return bool(0 < x < np.inf)
    if kind == "static" or callable(x):
        return False
    leaves = jax.tree.leaves(x)
    return bool(leaves) and leaves[0] is not x and all(_kind(t) in ("array", "float") for t in set(map(type, leaves)))


@functools.lru_cache(maxsize=256)
def _kind(kind: type) -> str:
    for name, types_ in KINDS.items():
        if issubclass(kind, types_):
            return name
    return "tree"
