"""What of the arguments of an eager call is an operand of its program, and in which form."""

import functools
import math
from typing import Any

import jax
import numpy as np

KINDS: dict[str, Any] = {
    "array": jax.Array | np.ndarray,
    "float": float | np.inexact,
    "static": type(None) | bool | int | str | complex | np.generic,
}
"""What an argument is, by its type; all else may be a tree."""

_CONFIG: Any = jax.config


def as_operand(x: Any) -> Any:
    """A Python number as the array that JAX would make of it at each call, slowly; anything else as it is."""
    if type(x) is float:
        known = x == x
    else:
        known = type(x) is int and abs(x) < 2**31
    if not known:
        return x
    array = _number(x, math.copysign(1.0, x), _CONFIG.jax_enable_x64)
    return x if array.is_deleted() else array  # who was given it back by a program may have donated it


@functools.lru_cache(maxsize=1024, typed=True)
def _number(x: float, sign: float, x64: bool) -> jax.Array:
    del sign, x64
    return jax.device_put(x)


def is_operand(x: Any) -> bool:
    """Whether an argument is an array, a positive and finite number, or a tree of arrays and numbers.

    Functions check other numbers, or treat them as a case of its own: for these they are traced again.
    """
    kind = kind_of(type(x))
    if kind == "array":
        return True
    if kind == "float":
        return bool(0 < x < np.inf)
    if kind == "static":
        return False
    leaves = jax.tree.leaves(x)
    return bool(leaves) and leaves[0] is not x and _are_numbers(frozenset(map(type, leaves)))


@functools.lru_cache(maxsize=256)
def kind_of(kind: type) -> str:
    """What a value of a type is: an array, a float, static, or a tree."""
    named = (name for name, types_ in KINDS.items() if issubclass(kind, types_))
    return next(named, "static" if any("__call__" in base.__dict__ for base in kind.__mro__) else "tree")


@functools.lru_cache(maxsize=256)
def _are_numbers(kinds: frozenset[type]) -> bool:
    return {*map(kind_of, kinds)} <= {"array", "float"}
