"""Micro-batches of a function: one large batch, some rows at a time."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp

from gradtx.core.errors import describe, path_str
from gradtx.core.typing import Array, PyTree
from gradtx.core.varying import settled
from gradtx.microbatching.accumulators import AccumulationType, combined

P = ParamSpec("P")
R = TypeVar("R")


def microbatch(
    fun: Callable[P, R],
    argnums: int | Sequence[int],
    microbatch_size: int | None,
    accumulator: PyTree = AccumulationType.SUM,
    *,
    argnames: str | Sequence[str] = (),
    in_axes: int | Sequence[int] = 0,
    num_real_microbatches: Array | int | None = None,
) -> Callable[P, R]:
    """`fun`, evaluated on some rows of its batch at a time, in a loop that holds one micro-batch in memory.

        mean = gradtx.microbatching.AccumulationType.MEAN
        loss_and_grad = gradtx.microbatching.microbatch(jax.value_and_grad(loss), (1, 2), 32, mean)
        value, grads = loss_and_grad(params, x, y)

    Means and sums equal those of the whole batch to rounding. Of n micro-batches, the k-th holds rows k, k + n,
    k + 2n, ...: a batch that is sharded stays so.

    Args:
        fun: a pure function of arrays.
        argnums: positions of the arguments with a batch axis.
        microbatch_size: rows per micro-batch, a divisor of the batch; None gives `fun` itself.
        accumulator: what becomes of the results: an `AccumulationType` or an `Accumulator`, or a tree of them that is
            a prefix of the result's.
        argnames: names of keyword arguments with a batch axis.
        in_axes: which axis that is: one for all, or one for each of `argnums`, then of `argnames`.
        num_real_microbatches: how many of the micro-batches to run, the first ones; may be traced. By default all.

    Returns:
        A function of the same arguments and result. It can be differentiated unless `num_real_microbatches` is traced.

    Raises:
        ValueError: at the call, naming the argument or the path in the result, for a batch that `microbatch_size`
            does not divide, batches of different sizes, or an accumulator that does not fit.
    """
    if microbatch_size is None:
        return fun
    check_size("microbatch", microbatch_size)
    positions = [argnums] if isinstance(argnums, int) else list(argnums)
    names = [argnames] if isinstance(argnames, str) else list(argnames)
    axes = [in_axes] * (len(positions) + len(names)) if isinstance(in_axes, int) else list(in_axes)
    if len(axes) != len(positions) + len(names):
        raise ValueError(f"microbatch: in_axes has {len(axes)} entries for {len(positions) + len(names)} arguments")

    @functools.wraps(fun)
    def batched(*args: P.args, **kwargs: P.kwargs) -> R:
        keys = [i % max(1, len(args)) for i in positions] + names
        batch = dict(zip(keys, axes, strict=True))
        return in_parts(
            "microbatch", fun, args, kwargs, batch, microbatch_size, accumulator, num_real_microbatches, by_row=False
        )

    return batched


def reshape_batch_axis(tree: PyTree, microbatch_size: int, axis: int = 0) -> PyTree:
    """The batch axis of every leaf as two: the micro-batches, then the rows of each.

    Of n micro-batches, the k-th holds rows k, k + n, k + 2n, ..., so that a sharding of the batch is one of the rows.

    Args:
        tree: arrays with a batch axis.
        microbatch_size: rows per micro-batch, a divisor of the batch.
        axis: the batch axis.

    Returns:
        A tree of arrays of shape (..., n, microbatch_size, ...).

    Raises:
        ValueError: for a batch that is not divisible, with the path.
    """
    check_size("reshape_batch_axis", microbatch_size)

    def leaf(path: Any, x: Any) -> Array:
        _rows("reshape_batch_axis", path_str(path), x, microbatch_size, axis)
        a = axis % jnp.ndim(x)
        return jnp.swapaxes(_grid(x, microbatch_size, a), a, a + 1)

    return jax.tree_util.tree_map_with_path(leaf, tree)


def in_parts(
    name: str, fun: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], batch: Mapping[Any, int],
    size: int, accumulator: PyTree, real: Array | int | None, *, by_row: bool,
) -> Any:  # fmt: skip
    """One call of `fun`, some rows at a time.

    Args:
        name: for messages.
        fun: of micro-batches.
        args: its positional arguments.
        kwargs: its keyword arguments.
        batch: the batch axes of arguments, by position or name.
        size: rows of a micro-batch.
        accumulator: of the results.
        real: how many micro-batches to run; None for all.
        by_row: whether `fun` returns a result for each row, to be aggregated first.
    """
    given = dict(enumerate(args)) | dict(kwargs)
    parts = {key: _split(name, key, given, size, axis) for key, axis in batch.items()}
    counts = {key: n for key, (n, _) in parts.items()}
    if len(set(counts.values())) != 1:
        rows = ", ".join(f"{key!r} has {n * size}" for key, n in counts.items())
        raise ValueError(f"{name}: arguments must have one batch, got rows: {rows or 'none'}")
    n = next(iter(counts.values()))

    def one(i: Any) -> Any:
        taken = given | {key: take(i) for key, (_, take) in parts.items()}
        return fun(*(taken[k] for k in range(len(args))), **{k: taken[k] for k in kwargs})

    first = jax.ShapeDtypeStruct((), jnp.int32)
    gather = combined(name, accumulator, jax.eval_shape(one, first), n, size)
    result = (lambda i: gather.aggregate(one(i))) if by_row else one
    run = n if real is None else min(real, n) if isinstance(real, int) else jnp.minimum(real, n)
    carry = gather.init(jax.eval_shape(result, first))
    carry = settled(lambda c: gather.update(c, result(jnp.zeros((), jnp.int32)), jnp.zeros((), jnp.int32)), carry)
    return gather.finalize(jax.lax.fori_loop(0, run, lambda i, c: gather.update(c, result(i), i), carry))


def check_size(name: str, size: Any) -> None:
    """Refuse what is no number of rows.

    Raises:
        ValueError: with what was given.
    """
    if isinstance(size, bool) or size != int(size) or size < 1:
        raise ValueError(f"{name}: microbatch_size must be a whole number >= 1, got {size!r}")


def _split(name: str, key: Any, given: dict[Any, Any], size: int, axis: int) -> tuple[int, Callable[[Any], PyTree]]:
    """The number of micro-batches in an argument, and a function that takes the i-th."""
    if key not in given:
        raise TypeError(f"{name}: the call gives no argument {key!r}")
    leaves = jax.tree_util.tree_leaves_with_path(given[key])
    counts = {_rows(name, f"argument {key!r} at {path_str(path)}", x, size, axis) // size for path, x in leaves}
    if len(counts) != 1:
        raise ValueError(f"{name}: argument {key!r} must have one batch size, got {len(counts)}")
    grid = jax.tree.map(lambda x: _grid(x, size, axis % jnp.ndim(x)), given[key])

    def take(i: Any) -> PyTree:
        at = lambda x: jax.lax.dynamic_index_in_dim(x, i, axis % (x.ndim - 1) + 1, keepdims=False)
        return jax.tree.map(at, grid)

    return counts.pop(), take


def _rows(name: str, where: str, x: Any, size: int, axis: int) -> int:
    """The rows of an array, which must be divisible."""
    if not -jnp.ndim(x) <= axis < jnp.ndim(x):
        raise ValueError(f"{name}: {where} has no axis {axis}, got {describe(jnp.asarray(x))}")
    rows = jnp.shape(x)[axis]
    if rows % size:
        raise ValueError(f"{name}: the batch must be divisible by microbatch_size {size}, got {rows} rows in {where}")
    return rows


def _grid(x: Any, size: int, axis: int) -> Array:
    """The batch axis as two: the rows of a micro-batch, then the micro-batches. Nothing moves in memory."""
    return jnp.reshape(x, (*jnp.shape(x)[:axis], size, -1, *jnp.shape(x)[axis + 1 :]))
