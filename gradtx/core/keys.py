"""Keys of programs: equal for what computes the same, and none for what may hold arrays or change unseen."""

import builtins
import enum
import functools
import types
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import jax
import numpy as np

from gradtx.core.arguments import Accept
from gradtx.core.code import EFFECTS, effects_of, is_library, is_pure
from gradtx.core.frozen import fingerprint
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
NOTHING = object()


class Reads:
    """What was read for a key and may be bound anew: the key holds as long as they stand."""

    def __init__(self) -> None:
        self.made: list[tuple[Callable[[], Any], Any]] = []
        self.seen: dict[Hashable, int] = {}

    def stand(self) -> bool:
        """Whether all that was read is bound to the same objects."""
        return all(get() is x for get, x in self.made)

    def item(self, mapping: Any, name: str) -> Any:
        """What a module, class or function has under a name."""
        x = mapping.get(name, NOTHING)
        self.made.append((functools.partial(mapping.get, name, NOTHING), x))
        return x

    def cell(self, cell: types.CellType, *, fixed: bool) -> Any:
        """What a function closes over; `fixed` where that is not bound anew."""
        try:
            x = cell.cell_contents
        except ValueError:  # it is not filled yet
            raise Unkeyed(cell) from None
        if not fixed:
            self.made.append((functools.partial(getattr, cell, "cell_contents", NOTHING), x))
        return x

    def again(self, *what: Hashable) -> int | None:
        """The number of what was seen before; None at first."""
        return None if self.seen.setdefault(what, n := len(self.seen)) == n else self.seen[what]


def key_of(x: Any, reads: Reads | None = None, names: frozenset[str] = frozenset()) -> Hashable:
    """A key of something static.

    Functions that were made by the same piece of code from equal values have equal keys, so that a function made anew
    for each optimizer has one key; what they read from their module and from others counts. No key holds an array.

    Args:
        x: what is asked for.
        reads: takes what was read.
        names: attributes that are read of it where it is a module, a class or a function.

    Raises:
        Unkeyed: an array or a traced value is in it, a list, dictionary or other object that may change is read,
            a function does more than to return a result, or it is of a kind that is not known.
    """
    if isinstance(x, BY_VALUE):
        return type(x), fingerprint(x)  # 0.0 and -0.0 are two, a NaN equals itself
    reads = Reads() if reads is None else reads
    if isinstance(x, np.ufunc):
        return Same(x)
    if isinstance(x, Maker):
        return _maker(x, reads)
    if isinstance(x, types.FunctionType):
        return _function(x, reads), _attributes((vars(x),), names, reads)
    if isinstance(x, types.ModuleType):
        return _module(x, names, reads)
    if isinstance(x, type):
        if not is_pure(x.__module__):
            raise Unkeyed(x)
        own = [vars(base) for base in x.__mro__ if not is_library(base.__module__)]
        return Same(x), _attributes(own, names, reads)
    if isinstance(x, types.BuiltinFunctionType) and isinstance(x.__self__, types.ModuleType | type(None)):
        if not is_pure(x.__module__ or ""):
            raise Unkeyed(x)
        return Same(x)
    if isinstance(x, functools.partial):
        named = {name: reads.item(x.keywords, name) for name in x.keywords}
        return "partial", key_of(x.func, reads), tuple(key_of(y, reads) for y in x.args), _named(named, reads)
    if isinstance(x, tuple | frozenset):
        keys = [key_of(y, reads) for y in x]
        return type(x), tuple(keys) if isinstance(x, tuple) else frozenset(keys)
    if isinstance(x, Value):
        return key_of_value(x, lambda leaf, _: key_of(leaf), reads)
    inner = getattr(x, "__wrapped__", None)  # of `jax.jit`, `jax.custom_jvp` and their like
    if callable(x) and isinstance(inner, types.FunctionType) and type(x).__module__.split(".")[0] in TRANSFORMERS:
        return Same(x), _function(inner, reads)
    raise Unkeyed(type(x))


TRANSFORMERS = ("jax", "jaxlib", "functools")  # no object of a user's that wraps a function: it may have a state


def key_of_value(value: Value, leaf: Callable[[Any, Accept], Hashable], reads: Reads | None = None) -> Hashable:
    """A key of a value: of its maker, of its static arguments, and what `leaf` says of each hyperparameter.

    `leaf` is called with a hyperparameter and what its argument accepts, in the order of the value's leaves.

    Raises:
        Unkeyed: its maker is opaque, or a static argument has no key.
    """
    maker, reads = value.maker, Reads() if reads is None else reads
    if maker.opaque:
        raise Unkeyed(maker)
    is_value = lambda x: isinstance(x, Value)
    arguments: list[Hashable] = []
    for name, argument in value.arguments.items():
        if name in value.dynamic:
            leaves, treedef = jax.tree.flatten(argument, is_leaf=is_value)
            accepts = maker.parameters[name].accepts
            keys = tuple(key_of_value(x, leaf, reads) if is_value(x) else leaf(x, accepts) for x in leaves)
            arguments.append((name, treedef, keys))
        else:
            arguments.append((name, _of_static(argument, reads)))
    return _maker(maker, reads), tuple(arguments)


def _maker(x: Maker, reads: Reads) -> Hashable:
    return Same(x) if is_library(x.body.__module__) else (Same(x), key_of(x.body, reads))


def _of_static(x: Any, reads: Reads) -> Hashable:
    """A key of a static argument, which may be a tree: of labels, of booleans."""
    leaves, treedef = jax.tree.flatten(x)
    whole = len(leaves) == 1 and leaves[0] is x
    return key_of(x, reads) if whole else (treedef, tuple(key_of(leaf, reads) for leaf in leaves))


PARTS = ("__code__", "__defaults__", "__kwdefaults__")


def _function(f: types.FunctionType, reads: Reads) -> Hashable:
    """The code of a function, and all that it reads besides its arguments; of a library's, what it closes over."""
    if (number := reads.again(id(f))) is not None:
        return "again", number
    known = is_library(f.__globals__.get("__name__"))
    effects = EFFECTS if known else effects_of(f.__code__)
    if effects.outside:
        raise Unkeyed(f)
    if not known:
        reads.made += [(functools.partial(getattr, f, part), getattr(f, part)) for part in PARTS]
    closed_over = tuple(key_of(reads.cell(cell, fixed=known), reads, effects.names) for cell in f.__closure__ or ())
    read = []
    for name in effects.read:
        x = reads.item(f.__globals__, name)
        if x is not NOTHING:
            read.append((name, _global(x, effects.names, reads)))
        elif not hasattr(builtins, name):
            raise Unkeyed(f)  # there is no such name yet
    defaults = tuple(key_of(x, reads) for x in f.__defaults__ or ())
    return Same(f.__code__), Same(f.__globals__), closed_over, tuple(read), defaults, _named(f.__kwdefaults__, reads)


def _global(x: Any, names: frozenset[str], reads: Reads) -> Hashable:
    """A key of what a function reads from its module: what a library made, but for numbers and functions, by itself."""
    if isinstance(x, types.FunctionType) and is_library(x.__globals__.get("__name__")):
        return Same(x)
    try:
        return key_of(x, reads, names)
    except Unkeyed:
        if type(x).__module__.split(".")[0] in DECLARING and not hasattr(x, "dtype"):
            return Same(x)
        raise


DECLARING = ("gradtx", "jax", "jaxlib", "typing")  # whose objects other than arrays do not change


def _module(x: types.ModuleType, names: frozenset[str], reads: Reads) -> Hashable:
    if not is_pure(x.__name__) or (x is np and "random" in names):
        raise Unkeyed(x)
    return Same(x), () if is_library(x.__name__) else _attributes((vars(x),), names, reads)


def _attributes(spaces: Any, names: frozenset[str], reads: Reads) -> Hashable:
    """Keys of those attributes of a module, a class or a function that are named where it is read."""
    keys: list[Hashable] = []
    for space in spaces:
        if reads.again(id(space), names) is None:
            for name in sorted(names):
                x = reads.item(space, name)
                x = x.fget if isinstance(x, property) else getattr(x, "__func__", x)
                if x is not NOTHING:
                    descriptor = hasattr(x, "__get__") and not isinstance(x, types.FunctionType)
                    keys.append((name, Same(x) if descriptor else _global(x, names, reads)))
    return tuple(keys)


def _named(arguments: dict[str, Any] | None, reads: Reads) -> Hashable:
    return tuple((name, key_of(x, reads)) for name, x in sorted((arguments or {}).items()))


def without_numbers(key: Hashable) -> Hashable:
    """What keys that differ in numbers alone have in common."""
    if not isinstance(key, tuple):
        return key
    number = len(key) == 2 and isinstance(key[0], type) and issubclass(key[0], int | float | complex)
    return key[0] if number else tuple(map(without_numbers, key))
