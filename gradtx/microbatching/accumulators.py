"""What becomes of the results of micro-batches: sums, means, one after the other."""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from gradtx.core import precision, slots
from gradtx.core.errors import describe, is_inexact, path_str
from gradtx.core.typing import Array, PyTree


class AccumulationType(enum.Enum):
    """How the results of micro-batches make one.

    Means and sums are gathered in float32 or wider and rounded once, to the dtype of the results.
    """

    MEAN = enum.auto()
    """Their sum over the number of all micro-batches: those that do not run count as zeros."""

    SUM = enum.auto()
    """Their sum."""

    RUNNING_MEAN = enum.auto()
    """The mean of those that run."""

    CONCAT = enum.auto()
    """Side by side, in the order of the whole batch, along a first axis that is the batch's; zeros for the others."""


@dataclass(frozen=True)
class Accumulator:
    """How the results x_0, ..., x_(n-1) of micro-batches make one: `finalize(update(... update(init, x_0, 0), ...))`.

    Args:
        init: from the shapes and dtypes of a result to what is carried through the loop.
        update: `(carry, result, index)` to the next carry, of the same shapes and dtypes.
        finalize: from the last carry to the one result.
        aggregate: for `micro_vmap`, from the results of the rows of a micro-batch, side by side, to its result.
    """

    init: Callable[[PyTree], PyTree]
    update: Callable[[PyTree, PyTree, Array], PyTree]
    finalize: Callable[[PyTree], PyTree]
    aggregate: Callable[[PyTree], PyTree]


def combined(name: str, accumulators: PyTree, types: PyTree, n: int, rows: int) -> Accumulator:
    """One accumulator for a whole result, of a tree of them that is a prefix of it.

    Args:
        name: of the function, for messages.
        accumulators: `AccumulationType`s and `Accumulator`s, or functions of the number of micro-batches to the latter.
        types: shapes and dtypes of what the function returns for one micro-batch.
        n: the number of micro-batches.
        rows: of each.

    Raises:
        ValueError: no prefix, anything but an accumulator, or a result that one cannot take, with its path.
    """
    kinds, treedef = jax.tree.flatten(accumulators)
    try:
        parts = treedef.flatten_up_to(types)
    except ValueError:
        raise ValueError(
            f"{name}: the accumulators are not a prefix of the result: {treedef} != {jax.tree.structure(types)}"
        ) from None
    each = [_accumulator(name, kind, part, n, rows) for kind, part in zip(kinds, parts, strict=True)]
    split = treedef.flatten_up_to
    return Accumulator(
        init=lambda x: [a.init(part) for a, part in zip(each, split(x), strict=True)],
        update=lambda carry, x, i: [a.update(c, part, i) for a, c, part in zip(each, carry, split(x), strict=True)],
        finalize=lambda carry: treedef.unflatten([a.finalize(c) for a, c in zip(each, carry, strict=True)]),
        aggregate=lambda x: treedef.unflatten([a.aggregate(part) for a, part in zip(each, split(x), strict=True)]),
    )


def concatenated(n: int) -> Accumulator:
    """Side by side, any number of rows: row r of micro-batch k is row r n + k of the result. A scalar is one row."""
    as_rows = lambda x: x if x.shape else jnp.reshape(x, (1,))
    rows = lambda tree: jax.tree.map(as_rows, tree)
    return Accumulator(
        init=lambda types: jax.tree.map(lambda x: _empty_rows(x if x.shape else jax.eval_shape(as_rows, x), n), types),
        update=lambda carry, x, i: _put(carry, rows(x), i),
        finalize=lambda carry: jax.tree.map(lambda c: jnp.reshape(c, (-1, *c.shape[2:])), carry),
        aggregate=lambda tree: tree,
    )


def _accumulator(name: str, kind: Any, types: PyTree, n: int, rows: int) -> Accumulator:
    kind = kind(n) if callable(kind) else kind
    if isinstance(kind, Accumulator):
        return kind
    if not isinstance(kind, AccumulationType):
        raise ValueError(f"{name}: wanted an AccumulationType or an Accumulator, got {kind!r}")
    _check(name, kind, types, rows)
    narrow = lambda carry: jax.tree.map(lambda c, x: precision.narrow(c, x.dtype), carry, types)
    wide = lambda x: precision.compute_dtype(x.dtype) if jnp.issubdtype(x.dtype, jnp.inexact) else None
    rowwise = lambda f: lambda tree: jax.tree.map(lambda x: f(x, axis=0, dtype=wide(x)), tree)
    if kind is AccumulationType.CONCAT:
        return concatenated(n)
    if kind is AccumulationType.SUM:
        return Accumulator(_zeros, _add, narrow, rowwise(jnp.sum))
    if kind is AccumulationType.MEAN:
        over = lambda carry: jax.tree.map(lambda c: c / n, carry)
        return Accumulator(_zeros, _add, lambda carry: narrow(over(carry)), rowwise(jnp.mean))
    return Accumulator(_zeros, _approach, narrow, rowwise(jnp.mean))


def _zeros(types: PyTree) -> PyTree:
    return jax.tree.map(slots.zeros(), types)


def _add(carry: PyTree, results: PyTree, _: Array) -> PyTree:
    return jax.tree.map(lambda c, x: c + precision.cast(x, c.dtype), carry, results)


def _approach(carry: PyTree, results: PyTree, i: Array) -> PyTree:
    """The mean of one more: m + (x - m) / (i + 1)."""
    return jax.tree.map(
        lambda m, x: m + (precision.cast(x, m.dtype) - m) / precision.cast(i + 1, m.dtype), carry, results
    )


def _put(carry: PyTree, results: PyTree, i: Array) -> PyTree:
    return jax.tree.map(lambda c, x: jax.lax.dynamic_update_index_in_dim(c, x, i, axis=1), carry, results)


def _empty_rows(x: Any, n: int) -> Array:
    """Room for n results side by side: their sharding, and none along the axis after the first."""
    sharding = None
    if isinstance(x.sharding, NamedSharding):
        first, *rest = (*x.sharding.spec, *[None] * (len(x.shape) - len(x.sharding.spec)))
        sharding = NamedSharding(x.sharding.mesh, PartitionSpec(first, None, *rest))
    return jnp.zeros((x.shape[0], n, *x.shape[1:]), x.dtype, device=sharding)


def _check(name: str, kind: AccumulationType, types: PyTree, rows: int) -> None:
    for path, x in jax.tree_util.tree_leaves_with_path(types):
        if kind is AccumulationType.CONCAT and (not x.shape or x.shape[0] != rows):
            raise ValueError(
                f"{name}: to concatenate the result at {path_str(path)}, its first axis must be the {rows} rows of a "
                f"micro-batch, got {describe(x)}"
            )
        if kind in (AccumulationType.MEAN, AccumulationType.RUNNING_MEAN) and not is_inexact(x):
            raise ValueError(f"{name}: no mean of the result at {path_str(path)}, which is {describe(x)}: sum it")
