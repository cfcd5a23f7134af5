"""Slots: what a state keeps for each parameter leaf, and how it starts."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, TypeAlias

import jax
import jax.core
import jax.numpy as jnp

from gradtx.core import precision
from gradtx.core.eager import outside
from gradtx.core.stacks import Stack
from gradtx.core.switch import Switch
from gradtx.core.typing import Array, DType, PyTree
from gradtx.core.varying import vary_as_all, vary_with


class SlotMark:
    """Marks the fields of a state type that have one value per parameter leaf."""


Slot: TypeAlias = Annotated[Array, SlotMark()]
"""The type of a state field with one value per parameter: a tree in the state, an array inside a rule."""


OWN_DTYPE = Switch("OWN_DTYPE", __name__)
"""Where it is on, slots for which no dtype is asked start in the parameter's, 16-bit ones too, and a real dtype that is
asked for is kept for a complex parameter, too; rules stay wide."""


def slot_dtype(dtype: DType) -> Any:
    """The dtype that a slot of a parameter of `dtype` is kept in where none is asked for."""
    return jnp.dtype(dtype) if OWN_DTYPE else precision.compute_dtype(dtype)


@dataclass(frozen=True)
class SlotStart:
    """How a slot of a parameter's shape starts; called with the parameter, of which it reads only the type."""

    start: Callable[[Any, Any], Array]
    dtype: DType | None = None
    real: bool = False
    whole: bool = False

    @property
    def may_be_real(self) -> bool:
        """Whether a complex parameter's slot may be real: it is meant to be, or a real dtype was asked for."""
        asked_real = self.dtype is not None and not jnp.issubdtype(self.dtype, jnp.complexfloating)
        return self.real or (asked_real and not self.whole)

    def __call__(self, p: Any) -> Array:
        dtype = jnp.dtype(self.dtype or slot_dtype(p.dtype))
        as_asked = bool(OWN_DTYPE) and not self.whole and self.dtype is not None
        if jnp.issubdtype(p.dtype, jnp.complexfloating) and not self.real and not as_asked:
            dtype = precision.promote(dtype, jnp.complex64)
        return self.start(p, precision.real_dtype(dtype) if self.real else dtype)


def full(value: Any, dtype: DType | None = None, *, real: bool = False, whole: bool = False) -> SlotStart:
    """A slot filled with `value`.

    Args:
        value: a number.
        dtype: the dtype it is kept in; by default the parameter's, float32 where that is narrower. Of a real one, a
            complex parameter takes the complex dtype of that precision.
        real: whether a complex parameter has a real slot.
        whole: whether a complex parameter's is complex also where `OWN_DTYPE` takes a dtype as it is asked for.
    """
    return SlotStart(lambda p, dtype: like(p, value, dtype), dtype, real, whole)


def zeros(dtype: DType | None = None, *, real: bool = False, whole: bool = False) -> SlotStart:
    """A slot of zeros; arguments as in `full`."""
    return full(0, dtype, real=real, whole=whole)


@dataclass(frozen=True, eq=False)
class ScalarStart:
    """How a real number starts, or an array of them of a shape that depends on no parameter."""

    value: Any
    dtype: DType | None
    shape: tuple[int, ...]

    def __call__(self, params: PyTree) -> Array:
        first = self.value(params) if callable(self.value) else self.value
        kept = precision.real_dtype(self.dtype or precision.scalar_dtype(params, slot_dtype))
        # A copy: the value may be the caller's own array, and the state may be donated.
        begin = filled((), first, kept) if isinstance(first, int | float) else jnp.array(first, kept, copy=True)
        return vary_as_all(begin, params)


@dataclass(frozen=True)
class OptionalStart:
    """How a slot starts that a state may do without; it is () there."""

    start: Callable[[Any], Any]

    def __call__(self, p: Any) -> Any:
        return self.start(p)


def scalar(value: Any = 0, dtype: DType | None = None, shape: tuple[int, ...] | None = None) -> ScalarStart:
    """A real number: in a slot one for each parameter, such as a running norm; in another field one for the tree.

    Args:
        value: a number, an array of them, or a function of the parameter (or the tree) that gives it.
        dtype: the dtype it is kept in; by default that of the widest parameter, float32 where that is narrower.
        shape: of an array that a function gives; by default that of a single number.
    """
    return ScalarStart(value, dtype, shape or (() if callable(value) else jnp.shape(value)))


def copy(dtype: DType | None = None) -> SlotStart:
    """A slot that starts as a copy of the parameter, in a buffer of its own."""
    return SlotStart(copied, dtype, whole=True)


def zeros_shaped(
    view: Callable[[Array], Any], dtype: DType | None = None, *, real: bool = False
) -> Callable[[Any], Any]:
    """A slot of zeros with the shape and the sharding of `view(p)`: of a sum over an axis, or of a tuple of such sums.

    Args:
        view: a linear function of the parameter, to an array or a tree of them; without leaves nothing is kept.
        dtype: the dtype it is kept in; by default the parameter's, float32 where that is narrower.
        real: whether a complex parameter has a real slot.
    """

    def start(p: Any) -> Any:
        kept = dtype or slot_dtype(p.dtype)
        kept = precision.real_dtype(kept) if real else jnp.dtype(kept)
        on_one_device = lambda: isinstance(getattr(p, "sharding", None), jax.sharding.SingleDeviceSharding | None)
        if isinstance(p, jax.core.Tracer) or (isinstance(p, jax.Array) and not on_one_device()):
            return jax.jit(lambda p: jax.tree.map(lambda x: x.astype(kept), view(_zeros_of(p))))(p)
        shapes = shapes_of(p.shape, p.dtype)
        if on_one_device():
            # What is committed to no device stays so: else the second step would compile again.
            place = getattr(p, "sharding", None) if getattr(p, "committed", True) else None
            return jax.tree.map(lambda x: filled(x.shape, 0, kept, place), shapes)
        places = jax.jit(view).lower(p).compile().output_shardings
        return jax.tree.map(lambda x, place: jnp.zeros(x.shape, kept, device=place), shapes, places)

    @lru_cache(maxsize=256)
    def shapes_of(shape: tuple[int, ...], dtype: DType) -> Any:
        return jax.eval_shape(view, jax.ShapeDtypeStruct(shape, dtype))

    return start


def start_leaf(start: Callable[[Any], Any], p: Any) -> Any:
    """How a slot of a leaf starts; where leaves are packed, of each leaf of their stack."""
    if not isinstance(p, Stack):
        return start(p) if isinstance(start, SlotStart) else vary_with(start(p), p)
    if isinstance(start, SlotStart):
        return Stack(start(p.value))
    if not isinstance(p.value, jax.ShapeDtypeStruct):
        return Stack(jax.vmap(start)(p.value))
    n, *shape = p.value.shape
    one = start(jax.ShapeDtypeStruct(tuple(shape), p.value.dtype))
    return Stack(jax.tree.map(lambda x: jnp.stack([x] * n), one))


def check_one_number(value: Any) -> None:
    """Refuse a start of more than one number.

    Raises:
        ValueError: says what a stacked transformation needs.
    """
    if jnp.ndim(value):
        raise ValueError(
            f"a slot starts at one number, got shape {jnp.shape(value)}; "
            "a stacked transformation runs under jax.vmap over it and its state"
        )


def like(p: Any, value: Any, dtype: DType) -> Array:
    """An array of `value` with the shape and the sharding of `p`, in `dtype`.

    Under `jit` nothing but data ties an output to the sharding of an input, and XLA removes a tie that it can see
    through. It cannot see through p - p, which is not zero where p is not finite; so that is the tie.
    """
    check_one_number(value)
    if not isinstance(p, jax.Array):
        return jnp.full(p.shape, value, dtype, device=getattr(p, "sharding", None))
    if not isinstance(p, jax.core.Tracer):
        if isinstance(p.sharding, jax.sharding.SingleDeviceSharding):
            return filled(p.shape, value, dtype, p.sharding if p.committed else None)
        like = jnp.full_like(p, value, dtype=dtype)
        return jnp.array(like, copy=True) if p.shape == () else like  # not the array that `value` may be
    full = jnp.full_like(p, value, dtype=dtype)
    return full + _zeros_of(p).astype(full.dtype)


def filled(shape: tuple[int, ...], value: Any, dtype: DType, place: Any = None) -> Array:
    """An array of `value` on one device, in a buffer of its own; made by one compiled call for each type."""
    if not outside():
        return jnp.full(shape, value, dtype, device=place)
    return _filler(shape, jnp.dtype(dtype), place)(value)


def copied(p: Any, dtype: DType) -> Array:
    """A copy of an array, in a buffer of its own, made by one compiled call for each type."""
    alone = isinstance(p, jax.Array) and outside() and isinstance(p.sharding, jax.sharding.SingleDeviceSharding)
    return _copier(jnp.dtype(dtype))(p) if alone else jnp.array(p, dtype, copy=True)


@lru_cache(maxsize=64)
def _copier(dtype: Any) -> Callable[[Any], Array]:
    return jax.jit(lambda p: jnp.array(p, dtype, copy=True))


@lru_cache(maxsize=1024)
def _filler(shape: tuple[int, ...], dtype: Any, place: Any) -> Callable[[Any], Array]:
    return jax.jit(lambda value: jnp.full(shape, value, dtype), out_shardings=place)


def _zeros_of(p: Array) -> Array:
    """Real zeros that XLA takes to depend on `p`."""
    return jnp.where(jnp.isfinite(p), p - p, 0).real
