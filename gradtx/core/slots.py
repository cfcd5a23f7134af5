"""Slots: what a state keeps for each parameter leaf, and how it starts."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Annotated, Any, TypeAlias

import jax
import jax.core
import jax.numpy as jnp

from gradtx.core import precision
from gradtx.core.eager import outside
from gradtx.core.fields import CountMark, Mark, marks
from gradtx.core.lying import zeros_of
from gradtx.core.operands import as_operand
from gradtx.core.stacks import Stack
from gradtx.core.typing import Array, DType, PyTree
from gradtx.core.varying import vary_as_all, vary_with


@dataclass(frozen=True)
class SlotMark(Mark):
    """Marks a field of a state type that has one value per parameter leaf, and says what that is.

    Args:
        start: how it starts where the maker of the transformation says nothing else; by default at zero.
        real: whether a complex parameter has a real slot.
        positive: whether it is never below 0, which a codec may use.
        matrices: whether only matrices have it, in a layout of matrices.
        memory: whether an axis of steps stands before the parameter's own; where these are packed, before the items'.
        exact: whether `stored` changes it by its name alone: it is a parameter, or its dtype is the user's choice.
        counted: whether the state counts its steps; that is seen from its other fields.
    """

    start: "Start | None" = None
    real: bool = False
    positive: bool = False
    matrices: bool = False
    memory: bool = False
    exact: bool = False
    counted: bool = False

    def beside(self, others: Collection[Mark]) -> "SlotMark":
        return replace(self, counted=any(isinstance(mark, CountMark) for mark in others))


@dataclass(frozen=True)
class SlotStart:
    """How a slot of a parameter's shape starts; called with the parameter, of which it reads only the type."""

    start: Callable[[Any, Any], Array]
    real: bool = False

    def __call__(self, p: Any) -> Array:
        return self.start(p, slot_dtype(p.dtype, self.real))


@dataclass(frozen=True)
class ShapedStart:
    """How a slot of another shape starts: at zeros of the shape and the sharding of `view(p)`."""

    view: Callable[[Array], Any]
    real: bool = False

    def __call__(self, p: Any) -> Any:
        kept = slot_dtype(p.dtype, self.real)
        on_one_device = lambda: isinstance(getattr(p, "sharding", None), jax.sharding.SingleDeviceSharding | None)
        if isinstance(p, jax.core.Tracer) or (isinstance(p, jax.Array) and not on_one_device()):
            return jax.jit(lambda p: jax.tree.map(lambda x: x.astype(kept), self.view(zeros_of(p))))(p)
        shapes = _shapes_of(self.view, p.shape, p.dtype)
        if on_one_device():
            # What is committed to no device stays so: else the second step would compile again.
            place = getattr(p, "sharding", None) if getattr(p, "committed", True) else None
            return jax.tree.map(lambda x: filled(x.shape, 0, kept, place), shapes)
        places = jax.jit(self.view).lower(p).compile().output_shardings
        return jax.tree.map(lambda x, place: jnp.zeros(x.shape, kept, device=place), shapes, places)


@dataclass(frozen=True, eq=False)
class ScalarStart:
    """How a real number starts, or an array of them of a shape that depends on no parameter."""

    value: Any
    shape: tuple[int, ...]

    def __call__(self, params: PyTree) -> Array:
        first = self.value(params) if callable(self.value) else self.value
        if self.shape == ():
            check_one_number(first)
        kept = precision.scalar_dtype(params)
        # A copy: the value may be the caller's own array, and the state may be donated.
        alike = isinstance(first, int | float)
        begin = filled(self.shape, first, kept) if alike else jnp.array(first, kept, copy=True)
        return vary_as_all(begin, params)


@dataclass(frozen=True)
class NarrowStart:
    """How a slot starts that only parameters narrower than maths on them have; it is () for the others."""

    start: Callable[[Any], Any]

    def __call__(self, p: Any) -> Any:
        return self.start(p) if precision.is_narrow(p.dtype) else ()


Start: TypeAlias = SlotStart | ShapedStart | ScalarStart | NarrowStart
"""How a slot starts, a function of the parameter."""


def slot_dtype(dtype: DType, real: bool = False) -> Any:
    """The dtype that a slot of a parameter of `dtype` starts in."""
    wide = precision.compute_dtype(dtype)
    return precision.real_dtype(wide) if real else wide


def full(value: Any) -> SlotStart:
    """A slot filled with a number, of the parameter's shape and sharding."""
    return SlotStart(partial(like, value=value))


def zeros() -> SlotStart:
    """A slot of zeros, of the parameter's shape and sharding."""
    return full(0)


def copy() -> SlotStart:
    """A slot that starts as a copy of the parameter, in a buffer of its own."""
    return SlotStart(copied)


def zeros_shaped(view: Callable[[Array], Any]) -> ShapedStart:
    """A slot of zeros with the shape and the sharding of `view(p)`: of a sum over an axis, or of a tuple of such sums.

    Args:
        view: a linear function of the parameter, to an array or a tree of them; without leaves nothing is kept.
    """
    return ShapedStart(view)


def scalar(value: Any = 0, shape: tuple[int, ...] | None = None) -> ScalarStart:
    """A real number: in a slot one for each parameter, such as a running norm; in another field one for the tree.

    It is kept in float32, or wider where a parameter is.

    Args:
        value: a number, an array of them, or a function of the parameter (or the tree) that gives it.
        shape: of an array that a function gives; by default that of a single number.
    """
    return ScalarStart(value, shape or (() if callable(value) else jnp.shape(value)))


@lru_cache(maxsize=1024)
def slots_of(state: type[Any]) -> dict[str, SlotMark]:
    """The fields of a state type that have one value per parameter, with what they declare."""
    return {name: mark for name, mark in marks(state).items() if isinstance(mark, SlotMark)}


def start_of(state: type[Any], field: str, given: Any = None) -> Callable[[Any], Any]:
    """How a slot of a state type starts: as `given`, a number or a function of the parameter, else as the type says."""
    mark = slots_of(state)[field]
    start = mark.start or zeros() if given is None else given
    if not callable(start):
        start = full(start)
    return replace(start, real=mark.real) if isinstance(start, SlotStart | ShapedStart) else start


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


def is_whole(start: Any) -> bool:
    """Whether a slot is of its item's shape."""
    return isinstance(start, SlotStart)


def reads_values(start: Any) -> bool:
    """Whether how a slot starts depends on more of the parameter than its type."""
    if isinstance(start, SlotStart):
        return getattr(start.start, "func", None) is not like
    return not isinstance(start, ShapedStart) and (not isinstance(start, ScalarStart) or callable(start.value))


def check_one_number(value: Any) -> None:
    """Refuse a start of more than one number.

    Raises:
        ValueError: says what a stacked transformation needs.
    """
    if not isinstance(value, int | float) and jnp.ndim(value):
        raise ValueError(
            f"a state starts at one number, got shape {jnp.shape(value)}; "
            "a stacked transformation runs under jax.vmap over it and its state"
        )


def like(p: Any, dtype: DType, *, value: Any) -> Array:
    """An array of `value` with the shape and the sharding of `p`, in `dtype`.

    Under `jit` nothing but data ties an output to the sharding of an input.
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
    return full + zeros_of(p).astype(full.dtype)


def filled(shape: tuple[int, ...], value: Any, dtype: DType, place: Any = None) -> Array:
    """An array of `value` on one device, in a buffer of its own; made by one compiled call for each type."""
    if not outside():
        return jnp.full(shape, value, dtype, device=place)
    return _filler(shape, jnp.dtype(dtype), place)(as_operand(value))


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


@lru_cache(maxsize=1024)
def _shapes_of(view: Callable[[Array], Any], shape: tuple[int, ...], dtype: DType) -> Any:
    return jax.eval_shape(view, jax.ShapeDtypeStruct(shape, dtype))


Slot: TypeAlias = Annotated[Array, SlotMark()]
"""The type of a state field with one value per parameter: a tree in the state, an array inside a rule."""

RealSlot: TypeAlias = Annotated[Array, SlotMark(real=True)]
"""The type of a slot that is real also for a complex parameter."""

PositiveSlot: TypeAlias = Annotated[Array, SlotMark(real=True, positive=True)]
"""The type of a real slot that is never below 0, such as an average of |g|^2."""

CopySlot: TypeAlias = Annotated[Array, SlotMark(copy(), exact=True)]
"""The type of a slot that starts as a copy of the parameter; `stored` changes it by its name alone."""

ExactSlot: TypeAlias = Annotated[Array, SlotMark(exact=True)]
"""The type of a slot whose dtype is chosen where it is made, and that `stored` changes by its name alone."""

MemorySlot: TypeAlias = Annotated[Array, SlotMark(memory=True)]
"""The type of a slot with an axis of steps before the parameter's own."""

NumberSlot: TypeAlias = Annotated[Array, SlotMark(scalar(), real=True)]
"""The type of a slot of one real number for each parameter, such as a running norm."""

MatrixSlot: TypeAlias = Annotated[Array, SlotMark(matrices=True)]
"""The type of a slot that each matrix has, and no other leaf, in a layout of matrices."""
