"""Counts of single leaves: those of parameters that started anew in the middle of a run."""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple, TypeGuard

import jax
import jax.core
import jax.numpy as jnp

from gradtx.core.fields import CountMark, Mark, NumberMark, field_of, marks
from gradtx.core.rules import increment, keep_type
from gradtx.core.selection import path_parts
from gradtx.core.typing import Array, Numbers


class PerLeaf(NamedTuple):
    """What stands in a state for a number gathered over the steps, such as `count`, once some leaves started anew."""

    run: Array  # the run's, which schedules, reductions and all other leaves see
    leaf: dict[str, Array]  # by path, of the leaves that have their own


def is_per_leaf(x: Any) -> TypeGuard[PerLeaf]:
    """Whether `x` is such a number."""
    return isinstance(x, PerLeaf)


def of_run(x: Any) -> Any:
    """The run's number."""
    return x.run if is_per_leaf(x) else x


def steps_of(state: Any) -> Array | None:
    """The steps that a state counts, all of its counts together; None where it counts none."""
    counts = [of_run(getattr(state, name)) for name, mark in marks(type(state)).items() if isinstance(mark, CountMark)]
    return reduce(jnp.add, counts) if counts else None


def of_leaf(x: Any, path: tuple[Any, ...]) -> Any:
    """The number of the leaf at a path."""
    return named_for(x.leaf, leaf_name(path), x.run) if is_per_leaf(x) else x


def next_count(count: Any) -> Any:
    """The next step count, of the run and of every leaf that has its own."""
    return jax.tree.map(increment, count)


def named_for(numbers: Numbers, name: str, default: Any) -> Any:
    """What `numbers` has for the leaf of a name: under that, or under the longest that it begins with."""
    parts = name.split("/")
    for end in range(len(parts), -1, -1) if numbers else ():
        if (above := "/".join(parts[:end]) or "(root)") in numbers:
            return numbers[above]
    return default


def of_items(own: dict[str, Numbers], names: Sequence[tuple[str, int]], stacked: bool, others: Numbers) -> Numbers:
    """What the items of a batch have of their own, of what `own_numbers` gives.

    Args:
        own: that.
        names: of the leaves in the batch, each with the number of its items.
        stacked: whether there is an axis of items, and so of their numbers.
        others: what items have whose leaves have nothing of their own.
    """
    mine = [(named_for(own, name, {}), n) for name, n in names]
    if not stacked:
        return mine[0][0] if mine else {}
    fields = dict.fromkeys(field for numbers, _ in mine for field in numbers)
    column = lambda field: [jnp.broadcast_to(numbers.get(field, others[field]), (n,)) for numbers, n in mine]
    return {field: jnp.concatenate(column(field)) for field in fields}


def leaf_name(path: tuple[Any, ...]) -> str:
    """The key of a leaf in `PerLeaf.leaf`."""
    return path_parts(path) or "(root)"


def run_view(state: Any, names: tuple[str, ...]) -> tuple[Any, dict[str, PerLeaf]]:
    """The state with the run's numbers in these fields, and those of them that some leaves have for themselves."""
    found = {name: x for name in names if is_per_leaf(x := getattr(state, name))}
    return state._replace(**{name: x.run for name, x in found.items()}) if found else state, found


def own_numbers(state: type[Any], found: dict[str, PerLeaf], reduce: Callable[[Any], Numbers]) -> dict[str, Numbers]:
    """What each leaf that has numbers of its own gets for this step.

    Args:
        state: the type of the state.
        found: its fields that have such numbers, before the step.
        reduce: what the transformation makes of the fields with a leaf's numbers in them.

    Returns:
        By leaf and name, the fields after the step, and what the rule is given besides.
    """
    result: dict[str, Numbers] = {}
    # A reduction over the whole tree is the run's; one that gathers a number over the steps is the leaf's as well.
    count = field_of(state, CountMark)
    gathers = set(histories(state)) - {count}
    for leaf in sorted({leaf for x in found.values() for leaf in x.leaf}):
        old = {name: x.leaf.get(leaf, x.run) for name, x in found.items()}
        new = dict(reduce(old)) if gathers else {}
        if count in old:
            new[count] = increment(old[count])
        result[leaf] = new | {name: keep_type(new[name], x) for name, x in old.items()}
    return result


def both_views(state: Any, found: dict[str, PerLeaf], own: dict[str, Numbers]) -> Any:
    """The state with the run's numbers, after a step, joined by those of the leaves that have their own."""
    both = {name: PerLeaf(getattr(state, name), {leaf: own[leaf][name] for leaf in own}) for name in found}
    return state._replace(**both) if both else state


def histories(state: type[Any]) -> tuple[str, ...]:
    """The fields that a leaf can have for itself."""
    return _fields(state, lambda mark: isinstance(mark, CountMark) and mark.leaf) + _fields(
        state, lambda mark: isinstance(mark, NumberMark) and mark.gathered
    )


def joint(state: type[Any]) -> tuple[str, ...]:
    """The fields of a state type that start anew as soon as one leaf does."""
    return _fields(state, lambda mark: isinstance(mark, CountMark | NumberMark) and mark.joint)


def _fields(state: type[Any], chosen: Callable[[Mark], bool]) -> tuple[str, ...]:
    return tuple(name for name, mark in marks(state).items() if chosen(mark))


def started_anew(x: Any, first: Any, anew: set[str], gone: set[str]) -> Any:
    """A number that the leaves in `anew` have at its `first` value from now on, and those in `gone` no longer have."""
    if isinstance(x, jax.Array) and not isinstance(x, jax.core.Tracer) and bool(x == first):
        return x  # so has the run
    kept = {name: number for name, number in (x.leaf if is_per_leaf(x) else {}).items() if name not in gone}
    own = kept | {name: jnp.array(first, copy=True) for name in sorted(anew)}
    return PerLeaf(of_run(x), own) if own else of_run(x)


def counted_like(start: Any, state: Any) -> Any:
    """A state at its start, with numbers of single leaves wherever `state` has them."""
    places = dict(jax.tree_util.tree_leaves_with_path(state, is_leaf=is_per_leaf))

    def at(path: Any, x: Any) -> Any:
        own = places.get(path)
        return PerLeaf(x, {leaf: x for leaf in own.leaf}) if is_per_leaf(own) else x  # noqa: C420

    return jax.tree_util.tree_map_with_path(at, start)
