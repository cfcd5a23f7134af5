"""The state of an Optax optimizer, as the state of a gradtx optimizer that goes on from there."""

from collections.abc import Callable
from typing import Any, NamedTuple, Never, cast

import jax
import jax.numpy as jnp

from gradtx.core import precision
from gradtx.core.errors import describe
from gradtx.core.typing import Array, PyTree, TransformationLike
from gradtx.state.names import state_name


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


def convert_state(tx: TransformationLike, params: PyTree, optax_state: PyTree) -> PyTree:
    """Carry a run that Optax began over to gradtx.

        state = convert_state(tx, params, pickle.load(file))

    `tx` is the optimizer to go on with: one of gradtx's own that computes what Optax's did, or one of
    `gradtx.compat.optax`. The states of the links of a chain are matched in their order, whatever chains stand in
    chains; links that keep nothing do not count. Where both compute the same, the run goes on as if it had not moved.

    Args:
        tx: the optimizer, whose `init` says what is wanted.
        params: the parameters, or `jax.ShapeDtypeStruct`s of them.
        optax_state: the state as Optax made it, or as a checkpoint gave it back: lists for tuples, dictionaries by
            field name or lists by position for named tuples, None or nothing for what is empty, NumPy arrays.

    Returns:
        A state of `tx` with copies of the arrays, in the dtypes that `tx` keeps them in: 16-bit ones are widened.

    Raises:
        ValueError: something in either state has no counterpart in the other, with its path, what was wanted and
            what was found.
    """
    return _filled(jax.eval_shape(tx.init, params), optax_state, "")


def _filled(wanted: Any, found: Any, at: str) -> Any:
    """`wanted`, a tree of `jax.ShapeDtypeStruct`s, with the arrays of `found`."""
    if isinstance(wanted, jax.ShapeDtypeStruct):
        return _array(wanted, found, at)
    if not jax.tree.leaves(wanted):
        return _nothing(wanted, found, at)
    links = _links(wanted)
    if _is_sequence(wanted) and any(map(state_name, links)):
        return _chain(wanted, links, found, at)
    if state_name(wanted):
        inside = _links(found)
        return _node(wanted, inside[0] if len(inside) == 1 else found, at)
    return _node(wanted, found, at)


def _chain(wanted: tuple[Any, ...], links: list[Any], found: Any, at: str) -> tuple[Any, ...]:
    given = _links(found)
    if len(given) != len(links):
        _refuse(at, wanted, found)
    filled = iter([_filled(w, f, f"{at}[{i}]") for i, (w, f) in enumerate(zip(links, given, strict=True))])

    def put(x: Any) -> Any:
        if not jax.tree.leaves(x):
            return x
        return tuple(map(put, x)) if _is_sequence(x) else next(filled)

    return put(wanted)


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
    if state_name(wanted) and len(needed) == 1 and not set(given) & set(adapted.fields):
        given = {needed[0]: found}  # a state of one field, without the field
    if any(name not in adapted.fields and jax.tree.leaves(part) for name, part in given.items()):
        _refuse(at, wanted, found)
    if state_name(wanted) and set(adapted.fields) <= set(given):
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
