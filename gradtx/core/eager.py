"""Eager calls: outside of any trace, what JAX can trace runs as one compiled call, made once for all numbers.

The call without a trace says what is right, errors included. A compiled one takes its place where it can be made, and
where it is known that it does the same at the next call.
"""

import contextvars
import functools
from collections.abc import Callable, Hashable
from typing import Any, ParamSpec, TypeVar, cast

import jax
import numpy as np
from jax.extend import core

from gradtx.core.arguments import Accept, Interval
from gradtx.core.keys import Keyed, Reads, Unkeyed, key_of, key_of_value, without_numbers
from gradtx.core.one_pass import wanted
from gradtx.core.switch import settings
from gradtx.core.values import Value

P = ParamSpec("P")
R = TypeVar("R")

PROGRAMS = 512  # kept at a time, by when they ran last
TRIED = 8  # that ran once only, of those that differ in numbers alone; what follows is compiled at its second call
REFUSED = 64  # trees of operands that a program remembers that it cannot be traced for

with jax.ensure_compile_time_eval():
    _OUTSIDE = core.get_opaque_trace_state(convention="gradtx")


def outside() -> bool:
    """Whether nothing is traced here and now, and what is compiled runs compiled."""
    config: Any = jax.config
    return core.get_opaque_trace_state(convention="gradtx") == _OUTSIDE and not config.jax_disable_jit


class Program:
    """A function as one compiled call, for any types of its operands."""

    def __init__(self, function: Callable[..., Any], family: "Family") -> None:
        self.compiled = jax.jit(function)
        self.refused: set[Any] = set()
        self.family, self.calls = family, 0

    def run(self, plain: Callable[[], Any], operands: tuple[Any, ...]) -> Any:
        """The result for these operands; of `plain`, which computes the same, where they cannot be traced."""
        if self.calls < 2:
            self.calls += 1
            if self.calls == 1 and (_changing.get() or self.family.once >= TRIED):
                return contextvars.copy_context().run(_changes, plain)
            self.family.once += 1 if self.calls == 1 else -1
        if not self.refused or jax.tree.structure(operands) not in self.refused:
            try:
                return self.compiled(*operands)
            except FloatingPointError:  # what `jax.debug_nans` looks for was found
                raise
            except Exception:  # whatever it is, the call without a trace says what is right
                pass
        result = plain()
        if len(self.refused) >= REFUSED:
            self.refused.clear()
        self.refused.add(jax.tree.structure(operands))
        return result


class Family:
    """Programs that differ in numbers alone: how many of them ran only once."""

    def __init__(self) -> None:
        self.once = 0


_changing: contextvars.ContextVar[bool] = contextvars.ContextVar("changing", default=False)
"""Whether this is within a call of which a number is likely another at each call."""


def _changes(plain: Callable[[], Any]) -> Any:
    _changing.set(True)
    return plain()


_family = functools.lru_cache(maxsize=PROGRAMS)(lambda key: Family())


def program(key: Hashable, make: Callable[[], Callable[..., Any]]) -> Program:
    """The program of this key, under the present settings; made by `make` where there is none."""
    return _program(Keyed((key, settings(), wanted()), make))


@functools.lru_cache(maxsize=PROGRAMS)
def _program(keyed: Keyed) -> Program:
    return Program(keyed.of(), _family(without_numbers(keyed.key)))


def at_once(call: Callable[..., R], value: Value, *operands: Any, compiled: Callable[..., R] | None = None) -> R:
    """`call(value, *operands)`; outside of any trace, and unless the value is opaque, as one compiled call.

    Values that differ only in their hyperparameters share a program, in which these are operands; but see
    `_taken_apart` for decays.

    Args:
        call: a function of the module, which is part of the key.
        value: what it is about.
        *operands: trees of arrays and numbers.
        compiled: the same function as it is to be compiled, where that is another.
    """
    if not outside():
        return call(value, *operands)
    key, numbers, kept, structure, reads = value.remember(_taken_apart)
    if not reads.stand():
        key, numbers, kept, structure, reads = value.remember(_taken_apart, anew=True)
    if key is None:
        return call(value, *operands)

    def make() -> Callable[..., R]:
        def traced(numbers: list[Any], *operands: Any) -> R:
            left = iter(numbers)
            leaves = [next(left) if x is None else x for x in kept]
            return (compiled or call)(structure.unflatten(leaves), *operands)

        return traced

    return program((call, key), make).run(lambda: call(value, *operands), (numbers, *operands))


def _taken_apart(value: Value) -> tuple[Hashable, list[Any], list[float | None], Any, Reads]:
    """The key of a value's program, None where there is none, and what is known of its leaves.

    That is its operands, its leaves with None for these, its structure, and what the key was read from.

    A Python number between 0 and 1 by its range, such as a decay, is no operand: 1 - 0.999 is 0.001 as long as it is
    Python's, and off by 1.3e-5 of it in float32.
    """
    leaves, structure = jax.tree.flatten(value)
    kept: list[float | None] = []

    def leaf(x: Any, accepts: Accept) -> Hashable:
        share = isinstance(accepts, Interval) and accepts.high == 1 and isinstance(x, int | float)
        kept.append(x if share else None)
        return key_of(x) if share else None

    try:
        key = key_of_value(value, leaf, reads := Reads())
    except (Unkeyed, RecursionError):
        return None, [], [], structure, Reads()
    return key, [x for x, known in zip(leaves, kept, strict=True) if known is None], kept, structure, reads


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function of arrays: outside of any trace its call is one compiled call.

    What `is_operand` says is an operand, all other arguments are static.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if not outside():
            return function(*args, **kwargs)
        given = [*args, *kwargs.values()]
        operands = [x for x in given if is_operand(x)]
        try:
            static = tuple(None if is_operand(x) else (key_of(x),) for x in given)
        except (Unkeyed, RecursionError):
            return function(*args, **kwargs)
        names, values = tuple(kwargs), [None if is_operand(x) else x for x in given]

        def make() -> Callable[..., Any]:
            def traced(*operands: Any) -> Any:
                left = iter(operands)
                whole = [x if key else next(left) for x, key in zip(values, static, strict=True)]
                start = len(whole) - len(names)
                return cast(Any, function)(*whole[:start], **dict(zip(names, whole[start:], strict=True)))

            return traced

        run = program((function, names, static), make).run
        return run(lambda: function(*args, **kwargs), tuple(operands))

    return call


def is_operand(x: Any) -> bool:
    """Whether an argument is an array, a positive and finite number, or a tree of arrays and numbers.

    Functions check other numbers, or treat them as a case of its own: for these they are traced again.
    """
    if isinstance(x, jax.Array | np.ndarray):
        return True
    if isinstance(x, float | np.inexact):
        return bool(0 < x < np.inf)
    if x is None or isinstance(x, bool | int | str | complex | np.generic) or callable(x):
        return False
    leaves = jax.tree.leaves(x)
    number = float | np.ndarray | np.inexact | jax.Array
    return bool(leaves) and leaves[0] is not x and all(isinstance(leaf, number) for leaf in leaves)
