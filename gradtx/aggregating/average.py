"""Averages: over the examples of a batch, over several batches."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from gradtx.aggregating.protocol import aggregation
from gradtx.combine.chain import chain
from gradtx.core import averages, precision
from gradtx.core.containers import IsAxes
from gradtx.core.errors import describe, path_str
from gradtx.core.hyperparameters import PositiveInt
from gradtx.core.leafwise import Leafwise, leafwise
from gradtx.core.slots import Slot
from gradtx.core.states import EmptyState
from gradtx.core.transformation import GradientTransformation, Pair, transformation
from gradtx.core.typing import Array, PyTree
from gradtx.transforms.scale import identity

Axes: TypeAlias = Annotated[int | Sequence[int], IsAxes(least=1)]
"""An axis of arrays, or several. Static."""


class AccumulateAvgUpdatesState(NamedTuple):
    micro_step: Array  # micro-steps gathered since the last mean was given, int32
    ready: Array  # whether the last call gave it, bool
    avg_grad: Slot  # mean of the updates gathered so far


@aggregation
def average_per_element_updates(per_elt_axis: Axes = 0) -> Pair:
    """The mean over examples.

    Args:
        per_elt_axis: the axis of examples, or several.

    State: `EmptyState()`.

    Raises:
        ValueError: from `update`, for a leaf without these axes, with its path, or another number of examples in it.
    """

    def update(updates: PyTree, state: Any, params: PyTree = None) -> tuple[PyTree, Any]:
        get_batch_size_from_per_elt_updates(updates, per_elt_axis)
        return jax.tree.map(lambda g: averages.mean(g, axes_of(per_elt_axis, g)), updates), state

    return Pair(lambda params: EmptyState(), update, "examples", EmptyState)


def average_rule(g: Array, s: AccumulateAvgUpdatesState, *, share: Array) -> tuple[Array, AccumulateAvgUpdatesState]:
    """avg <- avg + share (g - avg); given and emptied when ready, else the update is 0."""
    avg = s.avg_grad + share * (g - s.avg_grad)
    return jnp.where(s.ready, avg, 0), s._replace(avg_grad=jnp.where(s.ready, 0, avg))


def count_up(state: AccumulateAvgUpdatesState, updates: PyTree, accumulation_steps: int) -> dict[str, Array]:
    """The n-th update has the share 1 / n."""
    n = state.micro_step + 1
    ready = n == accumulation_steps
    share = 1 / precision.cast(n, precision.scalar_dtype(updates))
    return {"micro_step": jnp.where(ready, 0, n), "ready": ready, "share": share}


@transformation
def accumulate_avg_updates(accumulation_steps: PositiveInt) -> Leafwise | GradientTransformation:
    """The mean of several updates, after the last of them; zeros before.

    Args:
        accumulation_steps: how many, >= 1. Static.

    State: `AccumulateAvgUpdatesState(micro_step, ready, avg_grad)`, one value per parameter and 5 bytes; with one
        step `EmptyState()`.
    """
    if accumulation_steps == 1:
        return identity()
    return leafwise(
        average_rule,
        AccumulateAvgUpdatesState,
        reduce=count_up,
        accumulation_steps=accumulation_steps,
        micro_step=lambda params: jnp.zeros((), jnp.int32),
        ready=lambda params: jnp.zeros((), jnp.bool_),
    )


@aggregation
def average_incrementally_updates(per_elt_axis: Axes | None, accumulation_steps: PositiveInt) -> GradientTransformation:
    """The mean over the examples of several batches, after the last of them; zeros before.

    Args:
        per_elt_axis: the axis of examples, or several; None where the updates are means already.
        accumulation_steps: how many batches, >= 1. Static.

    State: that of `accumulate_avg_updates`; with an axis, a tuple with it at the end.
    """
    gather = accumulate_avg_updates(accumulation_steps)
    return gather if per_elt_axis is None else chain(average_per_element_updates(per_elt_axis), gather)


def get_batch_size_from_per_elt_updates(per_elt_updates: PyTree, per_elt_axis: int | Sequence[int]) -> int:
    """The number of examples.

    Args:
        per_elt_updates: a tree of arrays with axes of examples.
        per_elt_axis: the axis of examples, or several, whose lengths are multiplied.

    Raises:
        ValueError: for a leaf without these axes, with its path, leaves of different sizes, or no leaf.
    """
    sizes: dict[str, int] = {}
    for path, g in jax.tree_util.tree_leaves_with_path(per_elt_updates):
        try:
            sizes[path_str(path)] = math.prod(jnp.shape(g)[axis] for axis in axes_of(per_elt_axis, g))
        except IndexError:
            raise ValueError(
                f"per-element updates must have axes {per_elt_axis} of examples, got {describe(g)} at {path_str(path)}"
            ) from None
    if len(set(sizes.values())) != 1:
        raise ValueError(f"per-element updates must have the same batch size in every leaf, got {sizes}")
    return next(iter(sizes.values()))


def axes_of(per_elt_axis: int | Sequence[int], g: Any) -> tuple[int, ...]:
    """The axes of examples, counted from 0; one that is not there stays out of range."""
    axes = (per_elt_axis,) if isinstance(per_elt_axis, int) else tuple(per_elt_axis)
    ndim = jnp.ndim(g)
    return tuple(a % ndim if -ndim <= a < ndim else ndim for a in axes)
