"""Running a rule on leaves: dtypes, and one trace for all leaves of one type."""

import inspect
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import lru_cache, partial
from typing import Any
from weakref import WeakKeyDictionary, ref

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.core import precision
from gradtx.core.each import each, is_traced
from gradtx.core.eager import TRIED, is_fixed, outside
from gradtx.core.fields import inner_fields
from gradtx.core.frozen import fingerprint
from gradtx.core.slots import slots_of
from gradtx.core.typing import Array

MOST_TRACED = 1024  # with other static arguments, of one rule
NO_MORE = nullcontext()
_known: WeakKeyDictionary[Callable[..., Any], dict[str, dict[Any, Any]]] = WeakKeyDictionary()


def apply_rule(
    rule: Callable[..., Any],
    state: type[Any],
    leaves: Sequence[Any],
    shared: Any,
    numbers: Any,
    *,
    stacked: bool = False,
) -> list[tuple[Array, dict[str, Any]]]:
    """Run a rule on leaves, each `(g, slots, p, key, own)`, or on each of a stack of them: in their compute dtypes.

    The rest of the state and the numbers are the same for all, but for those that a leaf has of its own; the results
    are `(u, slots)`.
    """
    traced = {k: v for k, v in numbers.items() if isinstance(v, jax.Array | np.ndarray)}
    static = {k: v for k, v in numbers.items() if k not in traced}
    if stacked:
        leaves = [
            (g, slots, p, None if key is None else jax.random.split(key, len(g)), _repeated(own, len(g)))
            for g, slots, p, key, own in leaves
        ]
    run = partial(_run, rule, state, static, stacked)
    if is_traced((leaves, shared, traced)) or _is_compiled(rule):
        run = _traced_once(rule, state, tuple(static.items()), stacked)
    return each(run, leaves, shared, traced)


def _run(rule: Any, state: Any, static: Any, stacked: bool, leaf: Any, shared: Any, traced: Any) -> Any:
    on_leaf = partial(_on_leaf, rule, state, static)
    return (
        jax.vmap(on_leaf, in_axes=(0, None, None))(leaf, shared, traced) if stacked else on_leaf(leaf, shared, traced)
    )


def _is_compiled(rule: Callable[..., Any]) -> bool:
    """Whether a call of a rule outside of any trace is one compiled call: of gradtx's own, that are not made anew."""
    lasting = "<locals>" not in getattr(rule, "__qualname__", "<locals>") and is_fixed(rule)
    return lasting and outside() and len(_of(rule, "traced")) < TRIED


def _traced_once(rule: Callable[..., Any], state: type[Any], static: tuple[tuple[str, Any], ...], stacked: bool) -> Any:
    """The rule as a function that is traced once for each type of leaf: for good, unless what it reads may change."""
    traced = _of(rule, "traced") if is_fixed(rule) else {}
    key = (state, stacked, tuple((name, type(x), fingerprint(x)) for name, x in static))  # 0.0 and -0.0 are two
    if key not in traced:
        if len(traced) >= MOST_TRACED:
            traced.clear()
        traced[key] = _traceable(ref(rule), state, dict(static), stacked)
    return traced[key]


def _traceable(rule: Callable[[], Any], state: type[Any], static: dict[str, Any], stacked: bool) -> Callable[..., Any]:
    def call(*operands: Any) -> Any:
        return _run(rule(), state, static, stacked, *operands)

    call.__name__ = call.__qualname__ = getattr(rule(), "__name__", "rule")
    return jax.jit(call)


def _of(function: Callable[..., Any], what: str) -> dict[Any, Any]:
    """A dictionary about a function, which goes when the function goes: with what it closes over."""
    try:
        return _known.setdefault(function, {}).setdefault(what, {})
    except TypeError:  # it takes no weak references
        return {}


def _on_leaf(rule: Any, state: Any, static: Any, leaf: Any, shared: Any, traced: Any) -> Any:
    g, slots, p, key, own = leaf
    wide = precision.compute_dtype(g.dtype)
    if own:
        shared = shared | {name: x for name, x in own.items() if name in shared}
        traced = traced | {name: x for name, x in own.items() if name not in shared}
    numbers = static | {name: precision.number_in(x, precision.real_dtype(wide)) for name, x in traced.items()}
    given: dict[str, Any] = {}
    if wants(rule, "s"):
        inner = dict.fromkeys(inner_fields(state), ())  # which is no rule's affair
        seen = {name: _mapped(_as_seen, x, wide) for name, x in slots.items()}
        given["s"] = state(**seen, **shared, **inner)
    if p is not None:
        given["p"] = precision.cast(p, precision.promote(wide, precision.compute_dtype(jnp.result_type(p))))
    if key is not None:
        given["key"] = key
    given = {name: x for name, x in given.items() if wants(rule, name)} | numbers
    # Complex times real is no accident inside a rule: |g|^2 is real.
    with jax.numpy_dtype_promotion("standard") if g.dtype.kind == "c" else NO_MORE:
        result = rule(precision.cast(g, wide), **given)
    u, s = result if wants(rule, "s") else (result, given.get("s"))
    new = slots if s is None else {name: _mapped(keep_type, getattr(s, name), x) for name, x in slots.items()}
    return precision.narrow(u, g.dtype), new


def _repeated(own: dict[str, Any], n: int) -> dict[str, Any]:
    return {name: jnp.broadcast_to(x, (n, *jnp.shape(x))) for name, x in own.items()}


def _mapped(function: Callable[[Any, Any], Any], slot: Any, other: Any) -> Any:
    """A function of a slot, which mostly is one array, and of a dtype or another slot."""
    if isinstance(slot, jax.Array):
        return function(slot, other)
    if isinstance(other, np.dtype):
        return jax.tree.map(lambda x: function(x, other), slot)
    return jax.tree.map(function, slot, other)


def _as_seen(slot: Array, wide: Any) -> Array:
    """A slot as wide as the leaf at least, and for a real leaf real, whatever dtype it is kept in."""
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


def keep_type(x: Any, like: Any) -> Any:
    """`x` in the dtype of `like`, strongly typed, so that a state's types never change; keys stay as they are."""
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
