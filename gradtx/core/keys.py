"""Keys of programs: equal for what computes the same, and none for what may hold arrays or change unseen."""

import enum
import functools
import types
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import jax
import numpy as np

from gradtx.core.arguments import Accept
from gradtx.core.values import Maker, Value


class Unkeyed(Exception):
    """What is asked for has no key."""


class Same:
    """An object as a key: equal to itself alone, whatever its own equality says."""

    __slots__ = ("it",)

    def __init__(self, it: Any) -> None:
        self.it = it

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.it is other.it

    def __hash__(self) -> int:
        return id(self.it)


class Keyed(NamedTuple):
    """A key with what it is the key of; equal where the keys are."""

    key: Hashable
    of: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Keyed) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


BY_VALUE = (type(None), bool, int, float, complex, str, bytes, np.dtype, enum.Enum)
BY_IDENTITY = (type, types.ModuleType, np.ufunc, Maker)


def key_of(x: Any, seen: frozenset[int] = frozenset()) -> Hashable:
    """A key of something static.

    Functions that were made by the same piece of code from equal values have equal keys, so that a function made anew
    for each optimizer has one key; what they read from their module counts. No key holds an array.

    Raises:
        Unkeyed: an array or a traced value is in it, a list, dictionary or other object that may change is closed
            over, or it is of a kind that is not known.
    """
    if isinstance(x, BY_VALUE):
        return type(x), repr(x) if isinstance(x, float) else x  # 0.0 and -0.0 are two, NaN is one
    if isinstance(x, BY_IDENTITY):
        return Same(x)
    if isinstance(x, types.FunctionType):
        return _function(x, seen)
    if isinstance(x, types.BuiltinFunctionType) and isinstance(x.__self__, types.ModuleType | type(None)):
        return Same(x)
    if isinstance(x, functools.partial):
        return "partial", key_of(x.func, seen), tuple(key_of(y, seen) for y in x.args), _named(x.keywords, seen)
    if isinstance(x, tuple | frozenset):
        keys = [key_of(y, seen) for y in x]
        return type(x), tuple(keys) if isinstance(x, tuple) else frozenset(keys)
    if isinstance(x, Value):
        return key_of_value(x, lambda leaf, _: key_of(leaf))
    inner = getattr(x, "__wrapped__", None)  # of `jax.jit`, `jax.custom_jvp` and their like
    if callable(x) and isinstance(inner, types.FunctionType):
        for cell in inner.__closure__ or ():
            key_of(cell.cell_contents, seen)  # refuses arrays
        return Same(x)
    raise Unkeyed(type(x))


def key_of_value(value: Value, leaf: Callable[[Any, Accept], Hashable]) -> Hashable:
    """A key of a value: of its maker, of its static arguments, and what `leaf` says of each hyperparameter.

    `leaf` is called with a hyperparameter and what its argument accepts, in the order of the value's leaves.

    Raises:
        Unkeyed: its maker is opaque, or a static argument has no key.
    """
    if value.maker.opaque:
        raise Unkeyed(value.maker)
    is_value = lambda x: isinstance(x, Value)
    arguments: list[Hashable] = []
    for name, argument in value.arguments.items():
        if name in value.dynamic:
            leaves, treedef = jax.tree.flatten(argument, is_leaf=is_value)
            accepts = value.maker.parameters[name].accepts
            keys = tuple(key_of_value(x, leaf) if is_value(x) else leaf(x, accepts) for x in leaves)
            arguments.append((name, treedef, keys))
        else:
            arguments.append((name, _of_static(argument)))
    return Same(value.maker), tuple(arguments)


def _of_static(x: Any) -> Hashable:
    """A key of a static argument, which may be a tree: of labels, of booleans."""
    leaves, treedef = jax.tree.flatten(x)
    return (treedef, tuple(map(key_of, leaves))) if len(leaves) != 1 or leaves[0] is not x else key_of(x)


def _function(f: types.FunctionType, seen: frozenset[int]) -> Hashable:
    """The code of a function, and all that it reads besides its arguments."""
    if id(f) in seen:
        return "itself"
    seen |= {id(f)}
    try:
        closed_over = tuple(key_of(cell.cell_contents, seen) for cell in f.__closure__ or ())
    except ValueError:  # a cell that is not filled yet
        raise Unkeyed(f) from None
    outer = f.__globals__
    read = tuple((name, _global(outer[name], f, seen)) for name in sorted(_names(f.__code__)) if name in outer)
    defaults = tuple(key_of(x, seen) for x in f.__defaults__ or ())
    return Same(f.__code__), Same(outer), closed_over, read, defaults, _named(f.__kwdefaults__ or {}, seen)


def _names(code: types.CodeType) -> set[str]:
    """The names of globals and attributes in a piece of code, and in the functions in it."""
    inner = [_names(x) for x in code.co_consts if isinstance(x, types.CodeType)]
    return set(code.co_names).union(*inner)


def _global(x: Any, reader: types.FunctionType, seen: frozenset[int]) -> Hashable:
    """A key of what a function reads from its module: a function there by what it reads, what is imported by itself."""
    if isinstance(x, types.FunctionType):
        return _function(x, seen) if x.__module__ == reader.__module__ else Same(x)
    if isinstance(x, list | dict | set | jax.Array | np.ndarray | np.generic):
        raise Unkeyed(type(x))
    return key_of(x, seen) if isinstance(x, (*BY_VALUE, tuple, Value)) else Same(x)


def _named(arguments: dict[str, Any], seen: frozenset[int]) -> Hashable:
    return tuple((name, key_of(x, seen)) for name, x in sorted(arguments.items()))
