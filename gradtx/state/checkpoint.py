"""States as flat dictionaries of named arrays, and back into the state of a changed chain."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from gradtx.core import precision, restart
from gradtx.core.codecs.coded import Coded, is_coded, opened
from gradtx.core.codecs.saved import as_entries, from_entries
from gradtx.core.errors import describe
from gradtx.core.repack import repacked, unpacked
from gradtx.core.typing import Array, PyTree
from gradtx.state.matching import allows, counted, expanded, is_step_count, matched, young
from gradtx.state.names import Entry, named_leaves


class Restored(NamedTuple):
    """What `restore` did, by name."""

    restored: tuple[str, ...]  # in both: taken from the saved state
    missing: tuple[str, ...]  # only in the state: left as they were
    unused: tuple[str, ...]  # only in the saved state
    counted: tuple[str, ...] = ()  # counts of steps that were not saved: taken from those that were
    recoded: tuple[str, ...] = ()  # of those restored: kept in other codes than they were saved in, or in none

    def __str__(self) -> str:
        shown = {what: names for what, names in self._asdict().items() if names or what not in ("counted", "recoded")}
        return "\n".join(f"{what}: {', '.join(names) or '(none)'}" for what, names in shown.items())


PARTS = {jnp.dtype("int8"), jnp.dtype("int16")}  # residuals: one number means another part of a spacing in each


def state_dict(state: PyTree) -> dict[str, Array]:
    """The arrays of a state under names that depend neither on where in a chain a link stands nor on what is around it.

        {"scale_by_adam/count": ..., "scale_by_adam/mu/layer1/w": ..., "scale_by_adam/nu/layer1/w": ...}
        {"scale_by_adam/mu/w/codes": ..., "scale_by_adam/mu/w/scales": ..., "scale_by_adam/mu/w/codec": ...}  # in codes

    A link's state gives the name of its type in snake case, without `State`; fields, keys and positions within
    parameters give their own. A wrapper's own arrays are named after it (`monitor/count`), those of the optimizer in it
    as without it. Where two links have arrays of one name, the keys that tell them apart stand before it
    (`a/scale_by_adam/count` in a `partition`), else `0/` and `1/`.

    Args:
        state: an optimizer's state, or any tree.

    Returns:
        A dictionary of the arrays themselves, not of copies.

    Raises:
        ValueError: two arrays would have one name, as with the keys `"a/b"` and `"a"` over `"b"` in one tree.
    """
    named = {entry.name: entry.value for entry in _named(unpacked(state))}
    if not any(map(is_coded, named.values())):
        return named
    parts = [as_entries(name, x) if is_coded(x) else {name: x} for name, x in named.items()]
    return {name: x for found in parts for name, x in found.items()}


def restore(
    state: PyTree, saved: Mapping[str, Any], *, allow_missing: str | Sequence[str] = ()
) -> tuple[PyTree, Restored]:
    """Put saved arrays into the state of an optimizer that need not be the one they come from.

        state, report = gradtx.restore(tx.init(params), saved)  # AdamW for Adam, clipping added, another order
        state, report = gradtx.restore(gradtx.monitor(tx).init(params), saved, allow_missing="monitor/**")

    A count of steps that was not saved, such as that of a schedule that stands where a number stood, is taken from the
    other counts.

    Args:
        state: the state to fill, such as `tx.init(params)`; arrays, or `jax.ShapeDtypeStruct`s of them.
        saved: arrays by name, as `state_dict` gives them, also as version 0.1.0 did. Anything that NumPy makes an array
            of counts as one, bfloat16 as `np.savez` keeps it too; uint32 data of random keys count as keys.
        allow_missing: a pattern on names, or several, of arrays that the saved state need not have and that then stay
            as they are: `*` is any one part of a name, `**` any number of them.

    Returns:
        The state, with a copy of every saved array that it has a place for, in its own dtypes or codes and on its own
        shardings; and a report of the names that were restored, missing, unused, and recoded: those that were saved in
        other codes, or in none. It has counts of single leaves where the saved
        one has, after `reset`, and for parameters of which nothing was saved, as after `extend`.

    Raises:
        ValueError: an array of the state was not saved, and no pattern allows it; counts that ought to be one differ;
            a saved array of another shape or kind than the state's. Each is named.
        TypeError: something that is no array, with its name; `saved` or `allow_missing` of another kind.
    """
    patterns: Any = (allow_missing,) if isinstance(allow_missing, str) else allow_missing
    if not isinstance(patterns, Collection) or not all(isinstance(pattern, str) for pattern in patterns):
        raise TypeError(f"restore: allow_missing must be a pattern on names, or several, got {allow_missing!r}")
    if not isinstance(cast(Any, saved), Mapping):
        raise TypeError(f"restore: saved must be arrays by name, as from state_dict, got {type(saved).__name__}")
    saved = from_entries(saved)
    given, state = state, expanded(unpacked(state), saved)
    found = _named(state)
    sources = matched(found, saved)
    counts = counted(found, sources, saved)
    refused = {i: x for i, x in counts.items() if isinstance(x, str)}
    filled = {i: x for i, x in counts.items() if i not in refused}
    new = filled | {i: saved[name] for i, name in sources.items()}
    leaves = [_put(e.name, e.value, new[i]) if i in new else e.value for i, e in enumerate(found)]
    missing = [i for i in range(len(found)) if i not in new]
    lacking = [i for i in missing if not allows(allow_missing, found[i])]
    if lacking:
        raise ValueError(_lacks([found[i] for i in lacking], [refused[i] for i in lacking if i in refused], saved))
    used = set(sources.values())
    report = Restored(
        tuple(found[i].name for i in sorted(sources)),
        tuple(found[i].name for i in missing),
        tuple(name for name in saved if name not in used),
        tuple(found[i].name for i in filled),
        tuple(found[i].name for i, name in sorted(sources.items()) if _is_recoded(found[i].value, saved[name])),
    )
    filled_state = jax.tree.unflatten(jax.tree.structure(state, is_leaf=is_coded), leaves)
    anew = young(found, missing) if missing else {}

    def at(path: Any, x: Any) -> Any:
        if path not in anew:
            return x
        first, names = anew[path]
        first = jnp.zeros(first.shape, first.dtype) if isinstance(first, jax.ShapeDtypeStruct) else first
        return restart.started_anew(x, first, names, set())

    started = jax.tree_util.tree_map_with_path(at, filled_state, is_leaf=restart.is_per_leaf)
    return repacked(started, given), report


def _named(state: PyTree) -> list[Entry]:
    found = named_leaves(state)
    twice = [name for name, times in Counter(e.name for e in found).items() if times > 1]
    if twice:
        raise ValueError(f"state_dict: two arrays have the name {twice[0]}; rename a key")
    return found


def _lacks(lacking: list[Entry], why: list[str], saved: Mapping[str, Any]) -> str:
    """The error of a state that was not saved in full, with its cure."""
    names = [e.name for e in lacking]
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    shown += " was not saved" if len(names) == 1 else " were not saved"
    of_counts = [e for e in lacking if is_step_count(e)]
    if of_counts and len(of_counts) == len(lacking):
        reason = why[0] if why else "no other count of steps was, to take it from"
        return f"restore: {shown}, and {reason}; add it: saved | {{{names[0]!r}: steps}}"
    alike = [name for name in saved if f"/{name}".endswith(f"/{'/'.join(lacking[0].own)}")]
    either = f"; {', '.join(alike[:4])} might be meant: rename what is saved" if alike else ""
    patterns = list(dict.fromkeys(f"{'/'.join(e.own[:1])}/**" for e in lacking))
    told = repr(patterns[0]) if len(patterns) == 1 else repr(patterns)
    return f"restore: {shown}; let it start anew with allow_missing={told}{either}"


def _is_recoded(old: Any, new: Any) -> bool:
    return (old.kind if is_coded(old) else None) != (new.kind if is_coded(new) else None)


def _put(name: str, old: Any, new: Any) -> Any:
    if is_coded(old) and not _is_recoded(old, new) and old.arrays.keys() == new.arrays.keys():
        return Coded({part: _put(f"{name}/{part}", x, new.arrays[part]) for part, x in old.arrays.items()}, old.kind)
    if is_coded(old):
        start = Coded({n: jnp.zeros(x.shape, x.dtype) for n, x in old.arrays.items()}, old.kind)
        coded = start.again(_put(name, old.type, new))
        return Coded({n: _put(f"{name}/{n}", x, coded.arrays[n]) for n, x in old.arrays.items()}, old.kind)
    new = _array(name, old, opened(new))
    if jnp.shape(new) != jnp.shape(old):
        raise ValueError(f"restore: {name} has shape {jnp.shape(old)}, the saved one {jnp.shape(new)}")
    wanted, got = jax.dtypes.result_type(old), jax.dtypes.result_type(new)
    if _kind(wanted) != _kind(got) or (wanted != got and {wanted, got} <= PARTS):
        raise ValueError(f"restore: {name} is {wanted}, the saved one {got}")
    if not jnp.issubdtype(got, jax.dtypes.prng_key):
        new = precision.narrow(new, wanted)
    copied = jnp.array(new, copy=True)
    placed = getattr(old, "sharding", None) is not None and not isinstance(old, jax.core.Tracer)
    # An array that is on no device in particular stays so, or it could not meet arrays on a mesh.
    return jax.device_put(copied, old.sharding) if placed and getattr(old, "committed", True) else copied


def _array(name: str, old: Any, new: Any) -> Any:
    """What was saved as an array: dtypes that NumPy's files do not know come back as bytes, random keys as numbers."""
    wanted = jax.dtypes.result_type(old)
    if not isinstance(new, jax.Array):
        try:
            new = np.asarray(new)
        except Exception as error:
            raise TypeError(f"restore: {name} must be an array, got {type(new).__name__}: {error}") from None
        if new.dtype.kind == "V" and new.dtype.names is None and new.dtype.itemsize in (1, 2):
            # Two bytes are bfloat16; one byte has many meanings, of which the state's own is taken.
            new = new.view(jnp.bfloat16 if new.dtype.itemsize == 2 else wanted) if _fits(new, wanted) else new
        if not jnp.issubdtype(new.dtype, jnp.number) and new.dtype != np.bool_:
            raise TypeError(f"restore: {name} must be an array of numbers, got {describe(new)}")
    if jnp.issubdtype(wanted, jax.dtypes.prng_key) and new.dtype == jnp.uint32:
        return jax.random.wrap_key_data(
            jnp.asarray(new), impl=jax.random.key_impl(old) if isinstance(old, jax.Array) else None
        )
    return new


def _fits(new: np.ndarray, wanted: Any) -> bool:
    return new.dtype.itemsize == 2 or wanted.itemsize == 1


def _kind(dtype: Any) -> str:
    kinds = {"key": jax.dtypes.prng_key, "complex": jnp.complexfloating, "float": jnp.floating, "whole": jnp.integer}
    return next((name for name, kind in kinds.items() if jnp.issubdtype(dtype, kind)), "bool")
