"""The dtypes in which Optax keeps states: the parameters' own, 16-bit ones too, or what its arguments ask for."""

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from gradtx.core import precision
from gradtx.core.errors import is_inexact, is_inexact_dtype, is_none
from gradtx.core.fields import NumberMark
from gradtx.core.repack import per_leaf
from gradtx.core.slots import SlotMark
from gradtx.core.transformation import GradientTransformation, is_foreign
from gradtx.core.walk import map_declared
from gradtx.search.line import is_search

Slots: TypeAlias = Mapping[str, Any] | None
"""The dtypes asked for, by the names of slots; None for one where none is."""

WHOLE = ("acc_grads",)
"""Slots that are complex for a complex parameter whatever is asked for, as copies of parameters are."""


def started(tx: Any, params: Any, asked: Slots) -> Any:
    """The first state, in the parameters' dtypes or those asked for; what another pair in it keeps is its affair."""
    first = per_leaf(tx.init(params), params)
    if not jax.tree.leaves(first):
        return first
    asked = {name: dtype for name, dtype in (asked or {}).items() if dtype is not None}
    types = [precision.dtype_of(p) for p in jax.tree.leaves(params)]
    if not asked and _are_alike(first, set(types)):
        return first
    widest = lambda: reduce(precision.promote, types) if types else jnp.dtype(jnp.float32)

    def slot(name: str, mark: SlotMark, tree: Any) -> Any:
        whole = name in WHOLE or mark.start is not None

        def kept(x: Any, own: Any) -> Any:
            if not jnp.issubdtype(x.dtype, jnp.inexact):
                return x
            dtype = asked.get(name, own)
            if jnp.issubdtype(x.dtype, jnp.complexfloating) and (whole or name not in asked):
                dtype = precision.promote(dtype, jnp.complex64)
            dtype = precision.real_dtype(dtype) if mark.real else jnp.dtype(dtype)
            return x if x.dtype == dtype else precision.narrow(_as(x, dtype), dtype)

        own = lambda p: widest() if p is None else precision.dtype_of(p)
        return _by_leaf(lambda p, part: jax.tree.map(lambda x: kept(x, own(p)), part), params, tree)

    def in_whole(x: Any) -> Any:
        return precision.narrow(x, precision.scalar_dtype(params, jnp.dtype)) if is_inexact(x) else x

    def number(name: str, mark: NumberMark, x: Any) -> Any:
        return x if mark.joint else in_whole(x)

    def search(x: Any) -> Any:
        return x._replace(info=jax.tree.map(in_whole, x.info)) if is_search(x) else x

    inner = not any(map(is_foreign, _transformations_in(tx)))
    state = map_declared(slot, first, inner=inner)
    state = map_declared(number, state, kind=NumberMark, inner=inner)
    return jax.tree.map(search, state, is_leaf=is_search) if inner else state


def _are_alike(state: Any, types: set[Any]) -> bool:
    """Whether all numbers of a state are in the parameters' one dtype, real and wide enough to compute in."""
    if len(types) != 1 or any(jnp.issubdtype(t, jnp.complexfloating) or precision.compute_dtype(t) != t for t in types):
        return False
    kinds = {getattr(x, "dtype", None) for x in jax.tree.leaves(state)} - types
    return not any(kind is None or is_inexact_dtype(kind) for kind in kinds)


def _transformations_in(tx: Any) -> list[GradientTransformation]:
    is_one = lambda x: isinstance(x, GradientTransformation)
    return list(filter(is_one, jax.tree.leaves(tx.arguments, is_leaf=is_one) if is_one(tx) else []))


def as_complex(state: Any, updates: Any) -> Any:
    """The state with real slots of complex updates as complex numbers, as rules want them."""
    if not any(map(jnp.iscomplexobj, jax.tree.leaves(updates))):
        return state

    def slot(name: str, mark: SlotMark, tree: Any) -> Any:
        wanted = lambda g, x: jnp.iscomplexobj(g) and not mark.real and is_inexact(x)
        each = lambda g, x: x.astype(precision.promote(x.dtype, jnp.complex64)) if wanted(g, x) else x
        return _by_leaf(each, updates, tree)

    return map_declared(slot, state)


def _by_leaf(f: Callable[[Any, Any], Any], like: Any, slot: Any) -> Any:
    """`f(leaf, part)` of what a slot has for each leaf; of one of something else, such as a vector, `f(None, slot)`."""
    leaves, treedef = jax.tree.flatten(like, is_leaf=is_none)
    if isinstance(slot, jax.Array) and treedef.num_nodes > 1:  # the error below would print all its numbers
        return f(None, slot)
    try:
        parts = treedef.flatten_up_to(slot)
    except ValueError:
        return f(None, slot)
    return treedef.unflatten(list(map(f, leaves, parts)))


def as_before(new: Any, old: Any) -> Any:
    """A state in the kinds of numbers of the one before: of complex ones the real part where they were real."""
    return jax.tree.map(lambda x, y: _as(x, y.dtype) if hasattr(y, "dtype") else x, new, old)


def _as(x: Any, dtype: Any) -> Any:
    """The real part of complex numbers, for a real dtype."""
    to_real = jnp.iscomplexobj(x) and not jnp.issubdtype(dtype, jnp.complexfloating)
    return precision.cast(x.real, dtype) if to_real else x
