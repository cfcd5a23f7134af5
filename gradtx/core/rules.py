"""Running a rule on items: dtypes, and one trace for all items of one type."""

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache, partial
from typing import Any
from weakref import WeakKeyDictionary, ref

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.core import precision
from gradtx.core.codecs.coded import Coded, is_coded, seed_of
from gradtx.core.codecs.peaks import Peaked, with_peaks
from gradtx.core.eager import TRIED, is_fixed, outside
from gradtx.core.explicit import automatically, sharding_of
from gradtx.core.fields import CountMark, field_of, inner_fields
from gradtx.core.frozen import Frozen
from gradtx.core.slots import slots_of
from gradtx.core.typing import Array

MOST_TRACED = 1024  # with other static arguments, of one rule
NO_MORE = nullcontext()
_known: WeakKeyDictionary[Callable[..., Any], dict[str, dict[Any, Any]]] = WeakKeyDictionary()


def on_item(
    rule: Callable[..., Any], state: type[Any], static: dict[str, Any], *, stacked: bool = False, viewed: bool = False,
    traced: bool = False,
) -> Callable[..., Any]:  # fmt: skip
    """A rule as a function `((g, slots, beside, key, own), shared, numbers) -> (u, slots)`, in its compute dtypes.

    The rest of the state and the numbers are the same for all items, but for those that one has of its `own`. What is
    `beside` an item, its parameter `p` above all, is cast as it is; a rule that asks for `dtypes` is told what it was.

    Args:
        rule: the rule.
        state: the type of its state.
        static: those of its numbers that are no arrays.
        stacked: whether it runs on each of a stack of items.
        viewed: whether items are views of leaves, which may be cut over devices in any way.
        traced: whether what runs it is traced, or compiled: then it is traced once for each type of item.
    """
    if not traced:
        return _lifted(lambda: rule, state, static, stacked, viewed)
    known = _of(rule, "traced") if is_fixed(rule) else {}  # for good, unless what it reads may change
    key = (state, stacked, viewed, tuple((name, type(x), Frozen(x)) for name, x in static.items()))
    if key not in known:
        if len(known) >= MOST_TRACED:
            known.clear()
        call = _lifted(ref(rule), state, static, stacked, viewed)
        call.__name__ = call.__qualname__ = getattr(rule, "__name__", "rule")
        known[key] = jax.jit(call)
    return known[key]


def is_compiled(rule: Callable[..., Any]) -> bool:
    """Whether a call of a rule outside of any trace is one compiled call: of gradtx's own, that are not made anew."""
    lasting = "<locals>" not in getattr(rule, "__qualname__", "<locals>") and is_fixed(rule)
    return lasting and outside() and len(_of(rule, "traced")) < TRIED


def on_batches(
    rule: Callable[..., Any], state: type[Any], batches: Any, masks: tuple[str, ...], numbers: dict[str, Any], *,
    traced: bool,
) -> tuple[list[Callable[..., Any]], dict[str, Any]]:  # fmt: skip
    """The rule for each batch of a tree, see `on_item`, and those of its numbers that are arrays.

    It sees 0 for a hyperparameter whose mask leaves the batch out, and is told of items what it asks for.
    """
    static = {name: x for name, x in numbers.items() if not _has_arrays(x)}
    asked = {"is_matrix": batches.matrices, "shape": batches.shapes}
    asked = {name: column for name, column in asked.items() if wants(rule, name)}
    make = lambda stacked, *told: on_item(
        rule, state, static | dict(told), stacked=stacked, viewed=batches.in_views, traced=traced
    )
    kinds: list[Any] = []
    for k, (stacked, inside) in enumerate(zip(batches.stacked, batches.first(batches.labels), strict=True)):
        outside = [(name, 0.0) for name, keep in zip(masks, inside, strict=True) if not keep]
        kinds.append((stacked, *outside, *((name, column[k]) for name, column in asked.items())))
    made = {kind: make(*kind) for kind in set(kinds)}
    return [made[kind] for kind in kinds], {name: x for name, x in numbers.items() if name not in static}


def _of(function: Callable[..., Any], what: str) -> dict[Any, Any]:
    """A dictionary about a function, which goes when the function goes: with what it closes over."""
    try:
        return _known.setdefault(function, {}).setdefault(what, {})
    except TypeError:  # it takes no weak references
        return {}


def _has_arrays(number: Any) -> bool:
    return any(isinstance(x, jax.Array | np.ndarray) for x in jax.tree.leaves(number))


def _lifted(
    rule_of: Callable[[], Any], state: Any, static: dict[str, Any], stacked: bool, viewed: bool
) -> Callable[..., Any]:
    def call(leaf: Any, shared: Any, traced: Any) -> Any:
        g, slots, beside, key, own = leaf
        rule, wide = rule_of(), precision.compute_dtype(g.dtype)
        if own:
            shared = shared | {name: x for name, x in own.items() if name in shared}
            traced = traced | {name: x for name, x in own.items() if name not in shared}
        in_real = lambda x: precision.number_in(x, precision.real_dtype(wide))
        # What a batch is told comes last: 0 for a hyperparameter that is not meant for it.
        numbers = {name: jax.tree.map(in_real, x) for name, x in traced.items()} | static
        in_wide = lambda x: precision.cast(x, precision.promote(wide, precision.compute_dtype(jnp.result_type(x))))
        given = {name: in_wide(x) for name, x in beside.items()}
        if wants(rule, "s"):
            inner = dict.fromkeys(inner_fields(state), ())  # which is no rule's affair
            seen = {name: _mapped(_as_seen, x, wide) for name, x in slots.items()}
            given["s"] = state(**seen, **shared, **inner)
        if key is not None:
            given["key"] = key
        told = {"dtypes": {name: x.dtype for name, x in beside.items()}}
        given = {name: x for name, x in (given | told).items() if wants(rule, name)} | numbers
        # Complex times real is no accident inside a rule: |g|^2 is real.
        with jax.numpy_dtype_promotion("standard") if g.dtype.kind == "c" else NO_MORE:
            result = rule(precision.cast(g, wide), **given)
        u, s = result if wants(rule, "s") else (result, given.get("s"))
        if s is None:
            return precision.narrow(u, g.dtype), slots
        step = shared.get(field_of(state, CountMark))
        made = with_peaks({name: getattr(s, name) for name in slots}, slots)
        new = {
            name: _mapped(partial(keep_type, seed=partial(seed_of, step, name)), made[name], x)
            for name, x in slots.items()
        }
        return precision.narrow(u, g.dtype), new

    if not viewed and not stacked:
        return call

    def on_batch(leaf: Any, shared: Any, traced: Any) -> Any:
        run = jax.vmap(call, in_axes=(0, None, None)) if stacked else call
        return automatically(run, (leaf, shared, traced), jax.tree.map(sharding_of, leaf[:2]))

    return on_batch


def _mapped(function: Callable[[Any, Any], Any], slot: Any, other: Any) -> Any:
    """A function of a slot, which mostly is one array, and of a dtype or another slot."""
    if isinstance(slot, jax.Array):
        return function(slot, other)
    if isinstance(other, np.dtype):
        return jax.tree.map(lambda x: function(x, other), slot, is_leaf=is_coded)
    return jax.tree.map(function, slot, other)


def _as_seen(slot: Array, wide: Any) -> Array:
    """A slot as wide as the leaf at least, and for a real leaf real, whatever dtype it is kept in."""
    if isinstance(slot, Coded):
        slot = slot.decoded()
    if slot.dtype == wide:
        return precision.cast(slot, wide)
    if not jnp.issubdtype(slot.dtype, jnp.inexact):
        return slot
    x = slot.real if jnp.iscomplexobj(slot) and not jnp.issubdtype(wide, jnp.complexfloating) else slot
    return precision.cast(x, precision.promote(precision.compute_dtype(x.dtype), precision.real_dtype(wide)))


def increment(count: Array) -> Array:
    """The next step count, which stays at int32's largest value once there."""
    return jnp.where(count < jnp.iinfo(count.dtype).max, count + 1, count)


@lru_cache(maxsize=1024)
def state_fields(state: type[Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of a state type's slots, and of its own other fields: not of those that hold other states."""
    marked, inner = slots_of(state), inner_fields(state)
    fields = tuple(f for f in getattr(state, "_fields", ()) if f not in inner)
    return tuple(f for f in fields if f in marked), tuple(f for f in fields if f not in marked)


def wants(rule: Callable[..., Any], name: str, *, needed: bool = False) -> bool:
    """Whether a function has a parameter of this name (`needed`: one without a default)."""
    parameters = _of(rule, "parameters")
    if not parameters:
        given = inspect.signature(rule).parameters.values()
        parameters |= {p.name: p.default is inspect.Parameter.empty for p in given} | {"": False}
    return parameters.get(name, False) if needed else bool(name) and name in parameters


def keep_type(x: Any, like: Any, seed: Callable[[], Array | None] = lambda: None) -> Any:
    """`x` in the dtype of `like`, or in codes as that is, so that a state's types never change; keys stay as they are.

    Args:
        x: an array, or whatever else is in a state.
        like: what it takes the place of.
        seed: gives what codes that are rounded at random are rounded by; asked where there are codes alone.
    """
    if isinstance(like, Coded):
        return like.again(x.array, seed(), x.peaks) if isinstance(x, Peaked) else like.again(x, seed())
    if (
        isinstance(x, jax.Array)
        and isinstance(like, jax.Array)
        and x.dtype == like.dtype
        and not getattr(x, "weak_type", False)
    ):
        return x
    if not hasattr(like, "dtype") or jnp.issubdtype(like.dtype, jax.dtypes.prng_key):
        return x
    real = jnp.iscomplexobj(x) and not jnp.issubdtype(
        like.dtype, jnp.complexfloating
    )  # where a real slot was asked for
    return precision.narrow(jnp.real(x) if real else x, like.dtype)
