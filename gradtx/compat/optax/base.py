"""Optax's protocol, and the one bridge from gradtx to it.

A transformation here is Optax's NamedTuple of two functions. Everything that computes is a gradtx transformation,
turned into such a pair by `expose`:

    def scale_by_belief(b1=0.9, b2=0.999, eps=1e-16, eps_root=1e-16, *, nesterov=False):
        return expose(gradtx.scale_by_belief, b1, b2, eps, eps_root=eps_root, nesterov=nesterov)

which `table` writes from `"b1 b2 eps eps_root * nesterov"`.

`expose(make, *args, **kwargs)` calls the maker without range checks, as Optax has none. Its pair starts slots in the
parameters' dtype, 16-bit ones too (gradtx keeps them wider), or in the dtype that `stored` gives for a slot, takes
integers as floats, and ignores extra arguments that nobody takes. `built` and `kept.started` are the one place where
this is done. Where Optax's state has another name or other fields, `translated(pair, pack, unpack)` puts a function
from our state to Optax's, and one back, around a pair. Arguments that are transformations are given as they are: gradtx
takes any object with `init` and `update`. `config.reproduces_optax()` says whether Optax's deviations are wanted.
Annotations are objects, never strings, because programs read them.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

import gradtx
from gradtx.compat.optax.kept import Slots, as_before, as_complex, started
from gradtx.compat.optax.remember import RememberingPair, remembered
from gradtx.core.gate import are_arrays
from gradtx.core.states import EmptyState as EmptyState
from gradtx.core.transformation import keeps_nothing
from gradtx.core.typing import TransformationLike
from gradtx.core.values import Maker

ArrayTree: TypeAlias = jax.typing.ArrayLike | Iterable["ArrayTree"] | Mapping[Any, "ArrayTree"]
Params: TypeAlias = Any
Updates: TypeAlias = Any
OptState: TypeAlias = Any
PyTree: TypeAlias = Any
Updated: TypeAlias = tuple[Updates, OptState]
Schedule: TypeAlias = Callable[[Any], Any]
ScalarOrSchedule: TypeAlias = float | jax.Array | Schedule
Number: TypeAlias = jax.Array | float
DTypeOrNone: TypeAlias = jax.typing.DTypeLike | None
MaskOrFn: TypeAlias = Any | Callable[[Params], Any] | None


class TransformInitFn(Protocol):
    """`init(params) -> state`, the first state."""

    def __call__(self, params: Params) -> OptState: ...


class TransformUpdateFn(Protocol):
    """`update(updates, state, params=None) -> (updates, state)`, one step."""

    def __call__(self, updates: Updates, state: OptState, params: Params = None) -> Updated: ...


class TransformUpdateExtraArgsFn(Protocol):
    """`update(updates, state, params=None, **extra_args) -> (updates, state)`; extra arguments may be ignored."""

    def __call__(self, updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> Updated: ...


class _PairType(type):
    """The type of the pairs' classes, whose instances are also gradtx's transformations, and Optax's."""

    def __instancecheck__(cls, instance: Any) -> bool:
        if super().__instancecheck__(instance):
            return True
        theirs = getattr(sys.modules.get("optax"), cls.__name__, cls)
        others = (gradtx.GradientTransformation, *([] if theirs is cls else [theirs]))
        return cls.__module__ == __name__ and isinstance(instance, others)


class GradientTransformation(RememberingPair, metaclass=_PairType):
    """A pure pair of functions."""

    optax_name = "GradientTransformation"


class GradientTransformationExtraArgs(GradientTransformation):
    """A pure pair whose `update` takes extra keyword arguments."""

    optax_name = "GradientTransformationExtraArgs"


Pair: TypeAlias = GradientTransformationExtraArgs
"""What nearly all makers make."""


def built(make: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """What a maker of gradtx makes of Optax's arguments: no range is checked."""
    return make.as_given(*args, **kwargs) if isinstance(make, Maker) else make(*args, **kwargs)


class _Once:
    """What a maker of gradtx makes of some arguments: made beforehand for these, and anew for others.

    The functions of a pair hold the arguments, not what was made of them: Equinox's closure_to_pytree puts others in
    their place, such as tracers for arrays, and functions that compare by what they close over. To it, all of these
    are equal.
    """

    def __init__(self, *given: Any) -> None:
        self.given, self.made = given, built(*given)

    def __call__(self, *given: Any) -> TransformationLike:
        same = all(a is b for a, b in zip(self.given, given, strict=True))
        return self.made if same else built(*given)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Once)

    def __hash__(self) -> int:
        return hash(_Once)


@remembered
def expose(make: Callable[..., TransformationLike], /, *args: Any, stored: Slots = None, **kwargs: Any) -> Pair:
    """The pair of Optax's form for what a maker of gradtx makes of these arguments, with the dtypes of some slots."""
    made = _Once(make, args, kwargs)

    def init(params: Params) -> OptState:
        return started(made(make, args, kwargs), as_floats(params), stored)

    def update(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> Updated:
        tx, updates, params = made(make, args, kwargs), as_floats(updates), as_floats(params)
        if keeps_nothing(tx):  # then Optax gives back whatever state it is given, and of no updates none
            new = updates if updates is None else tx.update(updates, EmptyState(), params, **extra_args)[0]
            return new, state
        updates, new = tx.update(updates, as_complex(state, updates), params, **extra_args)
        return updates, as_before(new, state)

    return Pair(init, update)


@remembered
def translated(tx: TransformationLike, pack: Callable[[Any], Any], unpack: Callable[[Any], Any]) -> Pair:
    """A pair with another state: `pack` makes it of the pair's own, `unpack` is its inverse."""

    def init(params: Params) -> OptState:
        return pack(tx.init(params))

    def update(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> Updated:
        updates, own = tx.update(updates, unpack(state), params, **extra_args)
        return updates, pack(own)

    return Pair(init, update)


def as_floats(tree: PyTree) -> PyTree:
    """The tree with NumPy's arrays as JAX's, and whole numbers as floats of JAX's default dtype."""

    def as_float(x: Any) -> Any:
        if isinstance(x, np.ndarray | np.generic) and x.dtype != jax.dtypes.float0:
            x = jnp.asarray(x)
        dtype: Any = getattr(x, "dtype", jnp.int32 if isinstance(x, int) else None)
        if dtype is None or not (jnp.issubdtype(dtype, jnp.integer) or dtype == jnp.bool_):
            return x
        if isinstance(x, jax.ShapeDtypeStruct):
            return jax.ShapeDtypeStruct(x.shape, jnp.result_type(float), sharding=x.sharding)
        return jnp.asarray(x, jnp.result_type(float))

    return tree if are_arrays(tree) else jax.tree.map(as_float, tree)


def with_extra_args_support(tx: GradientTransformation) -> Pair:
    """The same transformation, made to ignore extra arguments if it does not take them."""
    return tx if isinstance(tx, GradientTransformationExtraArgs) else _ignoring_extra_args(tx)


@remembered
def _ignoring_extra_args(tx: GradientTransformation) -> Pair:
    return Pair(tx.init, lambda updates, state, params=None, **extra_args: tx.update(updates, state, params))


def init_empty_state(params: Params) -> EmptyState:
    """The state of a transformation that keeps nothing."""
    del params
    return EmptyState()


@remembered
def identity() -> Pair:
    """Leave the updates as they are."""
    return Pair(init_empty_state, lambda updates, state, params=None, **extra_args: (updates, state))


@remembered
def set_to_zero() -> Pair:
    """Replace the updates by zeros."""
    zeros: Any = lambda updates, state, params=None, **extra_args: (jax.tree.map(jnp.zeros_like, updates), state)
    return Pair(init_empty_state, zeros)


@remembered
def stateless(f: Callable[[Updates, Params | None], Updates]) -> Pair:
    """A transformation without state from a function `(updates, params) -> updates`; params may be None."""
    apply: Any = lambda updates, state, params=None, **extra_args: (f(updates, params), EmptyState())
    return Pair(init_empty_state, apply)


@remembered
def stateless_with_tree_map(f: Callable[[Any, Any], Any]) -> Pair:
    """A transformation without state from a function `(update, param) -> update` of one array; param may be None."""
    alone = lambda g: f(g, None)
    return stateless(lambda g, p: jax.tree.map(alone, g) if p is None else jax.tree.map(f, g, p))
