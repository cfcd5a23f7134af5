"""Slots that are kept in codes: the node that stands for an array in a state, and the codecs that make it."""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from math import prod
from typing import Any, Literal, NamedTuple, ParamSpec, cast
from zlib import crc32

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.core import precision
from gradtx.core.codecs import equations
from gradtx.core.codecs.grid import noise
from gradtx.core.stacks import Stack, is_stack
from gradtx.core.typing import Array, PyTree
from gradtx.core.values import Value, maker

P = ParamSpec("P")
Arrays = Mapping[str, Array]
Rounding = Literal["nearest", "stochastic"]


class Coding(NamedTuple):
    """What a codec does with real numbers, float32: the two functions, and which arrays it is for.

    `encode(x, positive, noise)` gives arrays by name, with one code for each number or for several; of a slot
    that is never negative it is told so, and `noise`, if any, is uniform in [0, 1). `decode(arrays, positive, last)`
    undoes it; `last` is the length of the last axis, None of a single number. Within a step a codec may encode by what
    it knew before: `late(x, positive, noise, before, peaks)` is told its arrays so far and, for the next time, the
    rows' largest magnitudes.
    """

    encode: Callable[[Array, bool, Array | None], dict[str, Array]]
    decode: Callable[[Arrays, bool, int | None], Array]
    rounding: Rounding
    smallest: int  # how many numbers an array has at least that is kept so
    form: equations.Form | None = None  # what the two functions do, where a backend may know that
    late: Callable[[Array, bool, Array | None, Arrays, Array], dict[str, Array]] | None = None


class Codec(Value):
    """How the numbers of a slot are kept: made by `int8` and its like."""

    __slots__ = ()

    def takes(self, x: Any) -> bool:
        """Whether it is for an array of this size."""
        return x.size >= cast(Coding, self.build()).smallest


def codec(body: Callable[P, Coding]) -> Callable[P, Codec]:
    """Turn a function that says how numbers are kept into a maker of `Codec` values."""
    return cast(Any, maker(Codec, body))


class Kind:
    """What of a coded array is no array. There mostly is one of each, so that states are soon compared."""

    __slots__ = ("codec", "coding", "dtype", "key", "last", "positive")

    def __init__(self, codec: Codec, positive: bool, dtype: Any, last: int | None) -> None:
        self.codec, self.positive, self.dtype, self.last = codec, positive, dtype, last
        self.coding: Coding = codec.build()
        self.key = hash((codec, positive, dtype, last))

    def __reduce__(self) -> tuple[Any, ...]:
        return kind, (self.codec, self.positive, self.dtype, self.last)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Kind) and self.__reduce__() == other.__reduce__())

    def __hash__(self) -> int:
        return self.key

    def __repr__(self) -> str:
        return f"{self.codec!r}, {self.dtype}"


@lru_cache(maxsize=4096)
def kind(codec: Codec, positive: bool, dtype: Any, last: int | None) -> Kind:
    """The kind of an array: its codec, whether it is never negative, its dtype, and the length of its last axis."""
    return Kind(codec, positive, dtype, last)


@jax.tree_util.register_pytree_with_keys_class
class Coded:
    """A slot's array, kept in the arrays that a codec makes of it; a complex one in those of its two parts.

    Args:
        arrays: by name. `count`, where there is one, is the number of times that it was rounded at random.
        kind: its codec and type.
    """

    __slots__ = ("arrays", "kind")

    def __init__(self, arrays: Arrays, kind: Kind) -> None:
        self.arrays, self.kind = arrays, kind

    @property
    def codec(self) -> Codec:
        """What keeps it."""
        return self.kind.codec

    @property
    def dtype(self) -> Any:
        """The dtype of the array that it stands for."""
        return self.kind.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array that it stands for."""
        codes = self.arrays["codes"].shape
        return codes if self.kind.last is None else (*codes[:-1], self.kind.last)

    @property
    def ndim(self) -> int:
        """The number of its axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many numbers it stands for."""
        return prod(self.shape)

    @property
    def type(self) -> jax.ShapeDtypeStruct:
        """The type of the array that it stands for."""
        return jax.ShapeDtypeStruct(self.shape, self.dtype)

    def decoded(self) -> Array:
        """The array that it stands for."""
        real = self._part("")
        return jax.lax.complex(real, self._part(IMAGINARY)) if f"{IMAGINARY}codes" in self.arrays else real

    def _part(self, mark: str) -> Array:
        """The numbers in the arrays whose names begin so."""
        arrays = {name.removeprefix(mark): x for name, x in self.arrays.items() if name.startswith(mark)}
        found = equations.decoded(self.kind, arrays)
        return precision.cast(found, precision.real_dtype(self.dtype))

    def again(self, x: Array, seed: Array | None = None, peaks: Array | None = None) -> "Coded":
        """Another array, kept as this one is; what is rounded at random is so by a `seed`, or by its own count.

        With the `peaks` of its rows, it takes this one's place in a step, and may be encoded by what was known before.
        """
        return _encoded(x, self.kind, seed, self.arrays, peaks)

    def tree_flatten_with_keys(self) -> tuple[list[tuple[Any, Any]], Any]:
        """The arrays by name."""
        return [(jax.tree_util.DictKey(n), x) for n, x in self.arrays.items()], (tuple(self.arrays), self.kind)

    @classmethod
    def tree_unflatten(cls, aux: Any, arrays: Iterable[Any]) -> "Coded":
        """The node of these arrays."""
        names, kind = aux
        return cls(dict(zip(names, arrays, strict=True)), kind)

    def __repr__(self) -> str:
        return f"Coded({', '.join(f'{n}={x!r}' for n, x in self.arrays.items())}, {self.kind!r})"


IMAGINARY = "imaginary_"
"""What the names of the arrays of imaginary parts begin with."""


def encoded(x: Array, codec: Codec, *, positive: bool = False, counts: bool = True) -> Array | Coded:
    """An array as a codec keeps it; one that is too small for it as it is.

    Args:
        x: the array, real or complex.
        codec: the codec.
        positive: whether it is never negative.
        counts: whether what is rounded at random counts how often it was, since nothing else does.
    """
    if not codec.takes(x):
        return x
    known = kind(codec, positive, jnp.dtype(x.dtype), x.shape[-1] if x.ndim else None)
    counted = counts and known.coding.rounding == "stochastic"
    return _encoded(x, known, None, {"count": jnp.zeros((), jnp.int32)} if counted else {})


def _encoded(x: Array, kind: Kind, seed: Array | None, before: Arrays, peaks: Array | None = None) -> Coded:
    """The node of an array that takes the place of another, whose codes salt the noise and whose count goes on."""
    count = before.get("count")
    if count is not None:
        seed = count.astype(jnp.uint32) + (jnp.uint32(0) if seed is None else seed)
    if kind.coding.rounding == "nearest":
        seed = None
    parts = {"": x} if not jnp.iscomplexobj(x) else {"": x.real, IMAGINARY: x.imag}
    arrays: dict[str, Array] = {}
    for k, (mark, part) in enumerate(parts.items()):
        salt = before.get(f"{mark}codes")
        salt = None if salt is None or salt.shape != x.shape else salt
        part, late = precision.narrow(part, jnp.float32), kind.coding.late
        own = None if seed is None else seed + jnp.uint32(k << 16)
        if late is None or peaks is None:
            found = equations.encoded(kind, part, own, None if own is None else salt)
        else:
            found = late(part, kind.positive, None if own is None else noise(x.shape, own, salt), before, peaks)
        arrays |= {f"{mark}{name}": y for name, y in found.items()}
    return Coded(arrays if count is None else arrays | {"count": count + 1}, kind)


def is_coded(x: Any) -> bool:
    """Whether it is a coded array."""
    return isinstance(x, Coded)


def any_coded(tree: PyTree) -> bool:
    """Whether an array of a tree is coded."""
    return any(map(is_coded, jax.tree.leaves(tree, is_leaf=is_coded)))


def opened(tree: PyTree) -> PyTree:
    """A tree with the arrays that coded ones stand for, or the types of these; of a stack, item by item."""
    if not any_coded(tree):
        return tree
    return jax.tree.map(lambda x: _opened(x) if _is_node(x) else x, tree, is_leaf=_is_node)


def _is_node(x: Any) -> bool:
    return is_coded(x) or is_stack(x)


def _opened(x: Any) -> Any:
    if is_stack(x):
        items = lambda y: jax.vmap(Coded.decoded)(y) if isinstance(y.arrays["codes"], jax.Array) else y.type
        return Stack(jax.tree.map(lambda y: items(y) if is_coded(y) else y, x.value, is_leaf=is_coded))
    return x.decoded() if isinstance(x.arrays["codes"], jax.Array) else x.type


def recoded(tree: PyTree, like: PyTree, seed: Array | None = None) -> PyTree:
    """A tree with its arrays in codes where those of another, of the same structure when opened, are; see `again`."""
    if not any_coded(like):
        return tree

    def one(x: Any, y: Any) -> Any:
        if is_stack(y):
            items = lambda a, b: jax.vmap(lambda a, b: b.again(a, seed))(a, b) if is_coded(b) and not is_coded(a) else a
            return Stack(jax.tree.map(items, x.value, y.value, is_leaf=is_coded))
        return y.again(x, seed) if is_coded(y) and not is_coded(x) else x

    return jax.tree.map(one, tree, like, is_leaf=_is_node)


def typed(x: Any) -> Any:
    """The type of the array that a coded one stands for; anything else as it is."""
    return x.type if is_coded(x) else x


def seed_of(count: Any, name: str) -> Array | None:
    """What rounds a slot at random: the step that is taken, and the slot's name; None where steps are not counted."""
    if count is None:
        return None
    return jnp.asarray(count).astype(jnp.uint32) + jnp.uint32(crc32(name.encode()) & np.uint32(0xFFFF0000))
