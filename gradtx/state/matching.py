"""Which of the saved arrays is which of a state's, where the chain and the wrappers around a link have changed."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax.tree_util import DictKey, GetAttrKey

from gradtx.core import restart
from gradtx.core.fields import CountMark, inner_fields, marks
from gradtx.core.restart import PerLeaf
from gradtx.core.selection import matches
from gradtx.core.slots import slots_of
from gradtx.core.typing import PyTree
from gradtx.state.names import Entry, entries

STEPS = ("count", "step_count", "gradient_step", "step")
"""Fields that count the steps of a run, as saved names and the states of other libraries have them."""


def expanded(state: PyTree, saved: Mapping[str, Any]) -> PyTree:
    """The state with counts of single leaves where the saved one has them."""
    found = entries(state)
    changes: dict[Any, Any] = {}
    for node in found:
        for field in () if node.is_leaf else restart.histories(type(node.value)):
            start = "/".join((*node.own, field, "leaf", ""))
            leaves = {name.split(start)[1] for name in saved if f"/{name}".rfind(f"/{start}") >= 0}
            below = [e.own[len(node.own) + 1 :] for e in found if e.is_leaf and e.state_path == node.path]
            here = {"/".join(own[:end]) for own in below for end in range(1, len(own) + 1)} | {"(root)"}
            number = getattr(node.value, field)
            if leaves & here and not restart.is_per_leaf(number):
                own: dict[str, Any] = dict.fromkeys(sorted(leaves & here), number)
                changes[(*node.path, GetAttrKey(field))] = PerLeaf(number, own)
    return jax.tree_util.tree_map_with_path(changes.get, state) if changes else state


def matched(found: list[Entry], saved: Mapping[str, Any]) -> dict[int, str]:
    """The saved name of each leaf, by its place: its own name, or one that ends as it does and is the only one.

    Version 0.1.0 wrote names with all the wrappers around a link; a dictionary is taken for the kind that fits better.
    """
    in_full = sum(e.in_full in saved for e in found) > sum(e.name in saved for e in found)
    sources = {i: name for i, e in enumerate(found) if (name := e.in_full if in_full else e.name) in saved}
    ends: dict[str, list[str]] = {}
    for name in saved:
        parts = name.split("/")
        for start in range(len(parts)):
            ends.setdefault("/".join(parts[start:]), []).append(name)
    for ending_of in (lambda e: e.name, lambda e: "/".join(e.own)):
        taken = set(sources.values())
        wanted: dict[str, list[int]] = {}
        for i, e in enumerate(found):
            if i not in sources and e.below is not None:
                wanted.setdefault(ending_of(e), []).append(i)
        for ending, places in wanted.items():
            free = [name for name in ends.get(ending, ()) if name not in taken]
            if len(places) == len(free) == 1:
                sources[places[0]] = free[0]
    for i, e in enumerate(found):
        same = ends.get("/".join(e.own), ()) if i not in sources and is_step_count(e) else ()
        if same and _agree([saved[name] for name in same]):
            sources[i] = same[0]
    return sources


def counted(found: list[Entry], sources: Mapping[int, str], saved: Mapping[str, Any]) -> dict[int, Any]:
    """Counts of steps that the saved state lacks, taken from others: by place, the number or an error's words.

    They are those of the same steps, where there are any (those inside an accumulation, or those outside), else all
    that were saved. A count by which a link debiases what it has not got is left at its start.
    """
    result: dict[int, Any] = {}
    known = {i: saved[name] for i, name in sources.items() if is_step_count(found[i])}
    everywhere = {name: saved[name] for name in saved if _names_a_count(name) and _is_whole(saved[name])}
    for i, e in enumerate(found):
        if i in sources or not is_step_count(e) or _is_new(i, found, sources):
            continue
        beside = {sources[j]: x for j, x in known.items() if _scope(found[j]) == _scope(e)}
        others = beside or everywhere
        if _agree(list(others.values())):
            result[i] = next(iter(others.values()))
        elif others:
            result[i] = "the counts of steps that were saved differ: " + ", ".join(
                f"{name} = {x}" for name, x in others.items()
            )
    return result


def young(found: list[Entry], missing: Iterable[int]) -> dict[tuple[Any, ...], tuple[Any, set[str]]]:
    """Leaves that have nothing of what their state keeps of them, beside others that do: they count their steps anew.

    By the path of a field with a count: its value in the state that is filled, and the names of the leaves.
    """
    lacking = set(missing)
    result: dict[tuple[Any, ...], tuple[Any, set[str]]] = {}
    for node in found:
        fields = restart.histories(node.owner or object)
        if not node.is_leaf or (node.field not in fields) or node.own[-1:] not in ((node.field,), ("run",)):
            continue
        slots = slots_of(node.owner or object)
        has: dict[str, bool] = {}
        for i, e in enumerate(found):
            if e.state_path == node.state_path and e.field in slots:
                leaf = "/".join(e.own[2:]) or "(root)"
                has[leaf] = has.get(leaf, False) or i not in lacking
        if any(has.values()) and not all(has.values()):
            path = (*node.state_path, GetAttrKey(node.field))
            result[path] = node.value, {leaf for leaf, known in has.items() if not known}
    return result


def is_step_count(e: Entry) -> bool:
    """Whether a leaf counts the steps of its run."""
    last = e.own[:-1] if e.own[-1:] == ("run",) else e.own
    declared = marks(e.owner or object)
    counts = isinstance(declared.get(e.field or ""), CountMark) if declared else e.field in STEPS
    return len(last) == 2 and last[1] == e.field and counts and _is_whole(e.value)


def allows(allow_missing: str | Iterable[str], e: Entry) -> bool:
    """Whether one of the patterns names a leaf."""
    patterns = (allow_missing,) if isinstance(allow_missing, str) else allow_missing
    spellings = [tuple(map(DictKey, name.split("/"))) for name in (e.name, "/".join(e.own), e.in_full)]
    return any(matches(pattern, name) for pattern in patterns for name in spellings)


def _names_a_count(name: str) -> bool:
    parts = name.removesuffix("/run").split("/")
    return parts[-1] in STEPS and parts[-2:-1] != ["reduce_lr_on_plateau"]


def _is_whole(x: Any) -> bool:
    """Whether it is one whole number; what is no array at all is not, and is refused by name where it is used."""
    try:
        return np.ndim(x) == 0 and jnp.issubdtype(
            x.dtype if isinstance(x, jax.Array) else np.asarray(x).dtype, jnp.integer
        )
    except Exception:
        return False


def _is_new(i: int, found: list[Entry], sources: Mapping[int, str]) -> bool:
    """Whether a count belongs to slots of which none was saved."""
    e, owner = found[i], found[i].owner or object
    declared = marks(owner)
    slots = slots_of(owner)
    if declared and e.field not in (*restart.histories(owner), *restart.joint(owner)):
        return False
    is_slot: Callable[[Entry], bool] = lambda x: x.field in slots if declared else jnp.ndim(x.value) > 0
    beside = [j for j, x in enumerate(found) if x.owner is owner and x.state_path == e.state_path and is_slot(x)]
    return bool(beside) and not any(j in sources for j in beside)


def _scope(e: Entry) -> tuple[Any, ...]:
    """What distinguishes counts that do not go on together: the innermost state around that skips steps."""
    gated = [name for name, mark in inner_fields(e.owner or object).items() if mark.gated]
    return (*e.state_path, GetAttrKey(gated[0])) if e.field == "gradient_step" and gated else e.gate


def _agree(numbers: list[Any]) -> bool:
    if any(isinstance(x, jax.core.Tracer) for x in numbers):
        return all(x is numbers[0] for x in numbers)
    return len({int(np.asarray(x)) for x in numbers}) == 1
