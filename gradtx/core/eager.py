"""Eager calls: outside of any trace, what JAX can trace runs as one compiled call, made once for all numbers.

The call without a trace says what is right, errors included. A compiled one takes its place where it can be made, and
where it is known that it does the same at the next call.
"""

import functools
from collections.abc import Callable, Hashable
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np
from jax.extend import core

from gradtx.core.keys import Keyed, Unkeyed, key_of, key_of_value
from gradtx.core.switch import settings
from gradtx.core.values import Value
from gradtx.native import load

P = ParamSpec("P")
R = TypeVar("R")

PROGRAMS = 512  # kept at a time, by when they ran last
REFUSED = 64  # trees of operands that a program remembers that it cannot be traced for

with jax.ensure_compile_time_eval():
    _OUTSIDE = core.get_opaque_trace_state(convention="gradtx")


def outside() -> bool:
    """Whether nothing is traced here and now, and what is compiled runs compiled."""
    config: Any = jax.config
    return core.get_opaque_trace_state(convention="gradtx") == _OUTSIDE and not config.jax_disable_jit


class Program:
    """A function as one compiled call, for any types of its operands."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.compiled = jax.jit(function)
        self.refused: set[Any] = set()

    def run(self, plain: Callable[[], Any], operands: tuple[Any, ...]) -> Any:
        """The result for these operands; of `plain`, which computes the same, where they cannot be traced."""
        if not self.refused or jax.tree.structure(operands) not in self.refused:
            try:
                return self.compiled(*operands)
            except (FloatingPointError, jax.errors.JaxRuntimeError):  # of the run, not of the trace
                raise
            except Exception:  # whatever it is, the call without a trace says what is right
                pass
        result = plain()
        if len(self.refused) >= REFUSED:
            self.refused.clear()
        self.refused.add(jax.tree.structure(operands))
        return result


def program(key: Hashable, make: Callable[[], Callable[..., Any]]) -> Program:
    """The program of this key, under the present settings; made by `make` where there is none."""
    return _program(Keyed((key, settings(), load.wanted()), make))


@functools.lru_cache(maxsize=PROGRAMS)
def _program(keyed: Keyed) -> Program:
    return Program(keyed.of())


def at_once(call: Callable[..., R], value: Value, *operands: Any, compiled: Callable[..., R] | None = None) -> R:
    """`call(value, *operands)`; outside of any trace, and unless the value is opaque, as one compiled call.

    Values that differ only in their hyperparameters share a program, in which these are operands.

    Args:
        call: a function of the module, which is part of the key.
        value: what it is about.
        *operands: trees of arrays and numbers.
        compiled: the same function as it is to be compiled, where that is another.
    """
    if not outside():
        return call(value, *operands)
    key, leaves, structure = value.remember(_taken_apart)
    if key is None:
        return call(value, *operands)

    def make() -> Callable[..., R]:
        return lambda leaves, *operands: (compiled or call)(structure.unflatten(leaves), *operands)

    return program((call, key), make).run(lambda: call(value, *operands), (leaves, *operands))


def _taken_apart(value: Value) -> tuple[Hashable, list[Any], Any]:
    """The key of a value's program, None where there is none, and the value as leaves and structure."""
    leaves, structure = jax.tree.flatten(value)
    try:
        return key_of_value(value, lambda _: None), leaves, structure
    except (Unkeyed, RecursionError):
        return None, leaves, structure


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
                return function(*whole[:start], **dict(zip(names, whole[start:], strict=True)))

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
