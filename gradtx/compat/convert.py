"""The state of an Optax optimizer, as the state of a gradtx optimizer that goes on from there."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Never, cast

import jax
import jax.numpy as jnp

from gradtx.combine.partition import PartitionState
from gradtx.core import precision
from gradtx.core.codecs.coded import any_coded, opened
from gradtx.core.errors import describe
from gradtx.core.fields import inner_fields
from gradtx.core.repack import repacked, unpacked
from gradtx.core.typing import Array, PyTree, TransformationLike
from gradtx.state.checkpoint import restore
from gradtx.state.names import link_name, named_leaves


class Adapted(NamedTuple):
    """How Optax's state of a transformation differs from the gradtx one of the same name."""

    fields: tuple[str, ...]  # Optax's, in order
    more: Callable[[dict[str, Any]], dict[str, Any]] = lambda given: {}  # ours that Optax has not, from those it has


ADAPTED = {
    "HutchinsonState": Adapted(("key",), lambda s: {"rng_key": s["key"]}),
    "InjectHyperparamsState": Adapted(("count", "hyperparams", "hyperparams_states", "inner_state")),
    "MultiStepsState": Adapted(
        ("mini_step", "gradient_step", "inner_opt_state", "acc_grads", "skip_state"),
        lambda s: {
            "acc_weight": jnp.asarray(s["mini_step"], float),
            "updated": (jnp.asarray(s["mini_step"]) == 0) & (jnp.asarray(s["gradient_step"]) > 0),
        },
    ),
    "MuonState": Adapted(("count", "mu", "ns_coeffs")),
    "ScaleByAdanState": Adapted(("m", "v", "n", "g", "t"), lambda s: {"count": s["t"]}),
    "ScaleByAdemamixState": Adapted(("count", "count_m2", "m1", "m2", "nu")),
    "ScaleBySimplifiedAdEMAMixState": Adapted(("t", "m", "n"), lambda s: {"count": s["t"]}),
}
"""The states whose fields differ, by the name of their type; all others have Optax's fields."""


MISSING: Any = object()
"""Stands for an array that Optax's state has not."""

INNER = ("inner_state", "inner_opt_state", "fast_state", "base_optimizer_state", "opt_state")
"""The fields in which Optax's wrappers keep the states of what is in them."""


def convert_state(
    tx: TransformationLike, params: PyTree, optax_state: PyTree, *, allow_missing: str | Sequence[str] = ()
) -> PyTree:
    """Carry a run that Optax began over to gradtx.

        state = convert_state(tx, params, pickle.load(file))

    `tx` is the optimizer to go on with: one of gradtx's own that computes what Optax's did, or one of
    `gradtx.compat.optax`. The states of the links of a chain are matched in their order, whatever chains stand in
    chains; links that keep nothing do not count. Where both compute the same, the run goes on as if it had not moved.
    A wrapper may come or go, and where Optax's states have their types a link may be added: a schedule in the place of
    a number then begins at the run's count. See `gradtx.restore`.

    Args:
        tx: the optimizer, whose `init` says what is wanted.
        params: the parameters, or `jax.ShapeDtypeStruct`s of them.
        optax_state: the state as Optax made it, or as a checkpoint gave it back: lists for tuples, dictionaries by
            field name or lists by position for named tuples, None or nothing for what is empty, NumPy arrays.
        allow_missing: as in `gradtx.restore`, patterns on the names that `gradtx.state_dict` gives, of arrays that
            Optax's state need not have and that start anew: `"monitor/**"`.

    Returns:
        A state of `tx` with copies of the arrays, in the dtypes or codes that `tx` keeps them in: 16-bit ones are
        widened, and what `stored` keeps in codes is encoded.

    Raises:
        ValueError: something in either state has no counterpart in the other, with its path, what was wanted and
            what was found; an array is missing that no pattern allows, with its name.
    """
    wanted = jax.eval_shape(tx.init, params)
    # Codes are filled by the numbers that they stand for, whatever the other state keeps these in.
    filled = _filled(opened(unpacked(wanted)), opened(optax_state), "")
    lacks = any(x is MISSING for x in jax.tree.leaves(filled))
    if not lacks and not any_coded(wanted):
        return repacked(filled, wanted)
    start = tx.init(params) if lacks else wanted
    saved = {
        e.name: x
        for e, x in zip(named_leaves(unpacked(start)), jax.tree.leaves(filled), strict=True)
        if x is not MISSING
    }
    try:
        return restore(start, saved, allow_missing=allow_missing)[0]
    except ValueError as error:
        raise ValueError(str(error).replace("restore:", "convert_state:", 1)) from None


def _filled(wanted: Any, found: Any, at: str) -> Any:
    """`wanted`, a tree of `jax.ShapeDtypeStruct`s, with the arrays of `found`."""
    if isinstance(wanted, jax.ShapeDtypeStruct):
        return _array(wanted, found, at)
    if not jax.tree.leaves(wanted):
        return _nothing(wanted, found, at)
    links = _links(wanted)
    if _is_sequence(wanted) and any(map(link_name, links)):
        return _chain(wanted, links, found, at)
    if not link_name(wanted):
        return _node(wanted, found, at)
    inside = _links(found)
    try:
        return _node(wanted, inside[0] if len(inside) == 1 else found, at)
    except ValueError:
        for changed in (_within(wanted, found, at), _without(wanted, inside, at)):
            if changed is not None:
                return changed
        raise


def _within(wanted: Any, found: Any, at: str) -> Any:
    """A wrapper around what was found, its own arrays missing; None where it is none, or holds something else."""
    fields = inner_fields(type(wanted))
    if len(fields) != 1 or isinstance(wanted, PartitionState):
        return None
    (field,) = fields
    try:
        inner = _filled(getattr(wanted, field), found, f"{at}.{field}")
    except ValueError:
        return None
    return _missing(wanted)._replace(**{field: inner})


def _without(wanted: Any, inside: list[Any], at: str) -> Any:
    """What is in the wrapper that was found; None where none was, or another is wanted."""
    parts = _parts(inside[0]) if len(inside) == 1 else {}
    field = next((name for name in INNER if name in parts and not hasattr(wanted, name)), None)
    try:
        return None if field is None else _filled(wanted, parts[field], f"{at}.{field}")
    except ValueError:
        return None


def _missing(wanted: Any) -> Any:
    return jax.tree.map(lambda x: MISSING, wanted)


def _chain(wanted: tuple[Any, ...], links: list[Any], found: Any, at: str) -> tuple[Any, ...]:
    given = _links(found)
    try:
        if len(given) != len(links):
            _refuse(at, wanted, found)
        parts = [_filled(w, f, f"{at}[{i}]") for i, (w, f) in enumerate(zip(links, given, strict=True))]
    except ValueError:
        without = _without(wanted, given, at)
        if without is not None:
            return without
        within = _within(links[0], found, f"{at}[0]") if len(links) == 1 else None
        parts = [within] if within is not None else _by_type(links, given, at)
        if parts is None:
            raise
    filled = iter(parts)

    def put(x: Any) -> Any:
        if not jax.tree.leaves(x):
            return x
        return tuple(map(put, x)) if _is_sequence(x) else next(filled)

    return put(wanted)


def _by_type(links: list[Any], given: list[Any], at: str) -> list[Any] | None:
    """Each link with what was found of its type, in their order, or missing; None where something is left over."""
    rest, parts = list(given), list[Any]()
    for i, wanted in enumerate(links):
        if rest and link_name(rest[0]) == link_name(wanted):
            parts.append(_filled(wanted, rest.pop(0), f"{at}[{i}]"))
        else:
            parts.append(_missing(wanted))
    return None if rest or not given else parts


def _links(x: Any) -> list[Any]:
    """The states in nested chains that keep something, in order."""
    if not jax.tree.leaves(x):
        return []
    parts = list(_parts(x).values())
    if not _is_sequence(x) or any(jax.tree_util.all_leaves([part]) for part in parts):
        return [x]
    return [link for part in parts for link in _links(part)]


def _is_sequence(x: Any) -> bool:
    """Whether `x` is a list, a plain tuple, or a dictionary by position."""
    if isinstance(x, dict):
        keys = cast("dict[Any, Any]", x)
        return bool(keys) and all(str(key).isdigit() for key in keys)
    return isinstance(x, list) or (isinstance(x, tuple) and not hasattr(x, "_fields"))


def _node(wanted: Any, found: Any, at: str) -> Any:
    """A state or any other container: its children by name, or by position where `found` has no names."""
    children = _parts(wanted)
    adapted = ADAPTED.get(type(wanted).__name__, Adapted(tuple(children)))
    given = _parts(found)
    if _is_sequence(found) and len(given) == len(adapted.fields):
        given = dict(zip(adapted.fields, given.values(), strict=True))
    needed = [name for name, child in children.items() if jax.tree.leaves(child)]
    if link_name(wanted) and len(needed) == 1 and not set(given) & set(adapted.fields):
        given = {needed[0]: found}  # a state of one field, without the field
    if any(name not in adapted.fields and jax.tree.leaves(part) for name, part in given.items()):
        _refuse(at, wanted, found)
    if link_name(wanted) and set(adapted.fields) <= set(given):
        given |= adapted.more(given)
    if any(name not in given for name in needed):
        _refuse(at, wanted, found)
    label = (lambda name: f".{name}") if hasattr(wanted, "_fields") else (lambda name: f"[{name}]")
    filled = [_filled(child, given.get(name), f"{at}{label(name)}") for name, child in children.items()]
    return jax.tree.unflatten(jax.tree.structure(wanted, is_leaf=lambda x: x is not wanted), filled)


def _parts(x: Any) -> dict[str, Any]:
    """What is directly in a container, by the names of its fields, its keys or its positions."""
    found = jax.tree_util.tree_flatten_with_path(x, is_leaf=lambda y: y is not x)[0]
    if isinstance(x, dict) and _is_sequence(x):
        found = sorted(found, key=lambda pair: int(pair[0][0].key))
    return {jax.tree_util.keystr(path, simple=True): part for path, part in found if path}


def _array(wanted: jax.ShapeDtypeStruct, found: Any, at: str) -> Array:
    """A copy of `found`, an array or a number, in the dtype wanted."""
    if not jax.tree_util.all_leaves([found]):
        _refuse(at, wanted, found)
    is_key = lambda dtype: jnp.issubdtype(dtype, jax.dtypes.prng_key)
    array = jnp.array(found, copy=True)
    if is_key(wanted.dtype) and array.dtype == jnp.uint32:
        array = jax.random.wrap_key_data(array)
    elif is_key(array.dtype) and wanted.dtype == jnp.uint32:
        array = jax.random.key_data(array)
    real_for_complex = jnp.iscomplexobj(array) and not jnp.issubdtype(wanted.dtype, jnp.complexfloating)
    kinds = (jnp.inexact, jnp.integer, jnp.bool_, jax.dtypes.prng_key)
    same = any(jnp.issubdtype(wanted.dtype, kind) and jnp.issubdtype(array.dtype, kind) for kind in kinds)
    if array.shape != wanted.shape or not same or real_for_complex:
        _refuse(at, wanted, found)
    return array if is_key(wanted.dtype) else precision.narrow(array, wanted.dtype)


def _nothing(wanted: Any, found: Any, at: str) -> Any:
    """`wanted`, which keeps nothing; Optax may have arrays of at most one element there."""
    if any(jnp.size(x) > 1 for x in jax.tree.leaves(found)):
        _refuse(at, wanted, found)
    return wanted


def _refuse(at: str, wanted: Any, found: Any) -> Never:
    raise ValueError(f"convert_state: at {at or '(root)'}: wanted {_outline(wanted)}, found {_outline(found)}")


def _outline(x: Any) -> str:
    """The states in a chain, the names in another container, dtype and shape of an array."""
    if jax.tree_util.all_leaves([x]):
        return describe(x)
    links = _links(x)
    if _is_sequence(x) and not any(link is x for link in links):
        return f"a chain of {', '.join(map(_outline, links))}" if links else "a chain that keeps nothing"
    named = type(x).__name__ if hasattr(x, "_fields") else type(x).__name__ + " of "
    return f"{named}({', '.join(_parts(x))})"
