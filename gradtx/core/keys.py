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


def key_of(x: Any) -> Hashable:
    """A key of something static.

    Functions that were made by the same piece of code from equal values have equal keys, so that a function made anew
    for each optimizer has one key. No key holds an array.

    Raises:
        Unkeyed: an array or a traced value is in it, a list, dictionary or other object that may change is closed
            over, or it is of a kind that is not known.
    """
    if isinstance(x, BY_VALUE):
        return type(x), repr(x) if isinstance(x, float) else x  # 0.0 and -0.0 are two, NaN is one
    if isinstance(x, BY_IDENTITY):
        return Same(x)
    if isinstance(x, types.FunctionType):
        return _function(x)
    if isinstance(x, types.BuiltinFunctionType) and isinstance(x.__self__, types.ModuleType | type(None)):
        return Same(x)
    if isinstance(x, functools.partial):
        return "partial", key_of(x.func), tuple(map(key_of, x.args)), _named(x.keywords)
    if isinstance(x, tuple | frozenset):
        return type(x), tuple(map(key_of, x)) if isinstance(x, tuple) else frozenset(map(key_of, x))
    if isinstance(x, Value):
        return key_of_value(x, lambda leaf, _: key_of(leaf))
    inner = getattr(x, "__wrapped__", None)  # of `jax.jit`, `jax.custom_jvp` and their like
    if callable(x) and isinstance(inner, types.FunctionType):
        key_of(inner)  # refuses what it closes over
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


def _function(f: types.FunctionType) -> Hashable:
    cells = f.__closure__ or ()
    try:
        closed_over = tuple(key_of(cell.cell_contents) for cell in cells if cell.cell_contents is not f)
    except ValueError:  # a cell that is not filled yet
        raise Unkeyed(f) from None
    return (
        Same(f.__code__),
        Same(f.__globals__),
        closed_over,
        tuple(map(key_of, f.__defaults__ or ())),
        _named(f.__kwdefaults__ or {}),
    )


def _named(arguments: dict[str, Any]) -> Hashable:
    return tuple((name, key_of(x)) for name, x in sorted(arguments.items()))
