"""Micro-batches of a function: one large batch, some rows at a time."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from gradtx.core import precision, slots
from gradtx.core.errors import describe, is_inexact, is_none, path_str
from gradtx.core.typing import Array, PyTree

P = ParamSpec("P")
R = TypeVar("R")
REDUCTIONS = ("mean", "sum", "concat")


def microbatch(
    fun: Callable[P, R],
    argnums: int | Sequence[int],
    size: int | None,
    reduction: PyTree = "mean",
    *,
    argnames: str | Sequence[str] = (),
    in_axes: int | Sequence[int] = 0,
    steps: Array | int | None = None,
) -> Callable[P, R]:
    """`fun`, evaluated on `size` rows of its batch at a time, in a loop that holds one micro-batch in memory.

        loss_and_grad = gradtx.microbatch(jax.value_and_grad(loss), argnums=(1, 2), size=32)
        value, grads = loss_and_grad(params, x, y)

    Means and sums are gathered in float32 or wider and rounded once, so that they equal those of the whole batch to
    rounding. Of n micro-batches, the k-th holds rows k, k + n, k + 2n, ...: a batch that is sharded stays so.

    Args:
        fun: a pure function of arrays.
        argnums: positions of the arguments with a batch axis.
        size: rows per micro-batch, a divisor of the batch; None gives `fun` itself.
        reduction: what becomes of the results: `"mean"`, `"sum"` or `"concat"` (results whose first axis is the
            batch, in the order of the whole batch), or a tree of them that is a prefix of the result's.
        argnames: names of keyword arguments with a batch axis.
        in_axes: which axis that is: one for all, or one for each of `argnums`, then of `argnames`.
        steps: how many of the micro-batches to run, the first ones; may be traced. By default all. Then means are of
            those that ran, and concatenated results are zero for the others.

    Returns:
        A function of the same arguments and result. It can be differentiated unless `steps` is traced.

    Raises:
        ValueError: at the call, naming the argument or the path in the result, for a batch that `size` does not
            divide, batches of different sizes, or a reduction that does not fit.
    """
    if size is None:
        return fun
    if isinstance(size, bool) or size != int(size) or size < 1:
        raise ValueError(f"microbatch: size must be a whole number >= 1 or None, got {size!r}")
    for name in jax.tree.leaves(reduction):
        if name not in REDUCTIONS:
            raise ValueError(f"microbatch: reduction must be one of {', '.join(map(repr, REDUCTIONS))}, got {name!r}")
    positions = [argnums] if isinstance(argnums, int) else list(argnums)
    names = [argnames] if isinstance(argnames, str) else list(argnames)
    axes = [in_axes] * (len(positions) + len(names)) if isinstance(in_axes, int) else list(in_axes)
    if len(axes) != len(positions) + len(names):
        raise ValueError(f"microbatch: in_axes has {len(axes)} entries for {len(positions) + len(names)} arguments")

    @functools.wraps(fun)
    def batched(*args: P.args, **kwargs: P.kwargs) -> R:
        keys = [i % max(1, len(args)) for i in positions] + names
        given = dict(enumerate(args)) | kwargs
        missing = [key for key in keys if key not in given]
        if missing:
            raise TypeError(f"microbatch: the call gives no argument {missing[0]!r}")
        batches = {key: _split(key, given[key], size, axis) for key, axis in zip(keys, axes, strict=True)}
        counts = {key: n for key, (n, _) in batches.items()}
        if len(set(counts.values())) != 1:
            rows = ", ".join(f"{key!r} has {n * size}" for key, n in counts.items())
            raise ValueError(f"microbatch: arguments must have one batch, got rows: {rows}")
        n = next(iter(counts.values()))

        def one(i: Any) -> R:
            taken = given | {key: take(i) for key, (_, take) in batches.items()}
            call: Callable[..., R] = fun
            return call(*(taken[k] for k in range(len(args))), **{k: taken[k] for k in kwargs})

        return _gather(one, n, size, reduction, steps)

    return batched


def _split(key: Any, argument: PyTree, size: int, axis: int) -> tuple[int, Callable[[Any], PyTree]]:
    """The number of micro-batches in an argument, and a function that takes the i-th."""
    counts: set[int] = set()
    for path, x in jax.tree_util.tree_leaves_with_path(argument):
        where = f"argument {key!r} at {path_str(path)}"
        if not -jnp.ndim(x) <= axis < jnp.ndim(x):
            raise ValueError(f"microbatch: {where} has no axis {axis}, got {describe(jnp.asarray(x))}")
        rows = jnp.shape(x)[axis]
        if rows % size:
            raise ValueError(f"microbatch: the batch must be divisible by size {size}, got {rows} rows in {where}")
        counts.add(rows // size)
    if len(counts) != 1:
        raise ValueError(f"microbatch: argument {key!r} must have one batch size, got {len(counts)}")

    def strided(x: Any) -> Array:
        a = axis % jnp.ndim(x)
        return jnp.reshape(x, (*jnp.shape(x)[:a], size, -1, *jnp.shape(x)[a + 1 :]))

    grid = jax.tree.map(strided, argument)

    def take(i: Any) -> PyTree:
        at = lambda x: jax.lax.dynamic_index_in_dim(x, i, axis % (x.ndim - 1) + 1, keepdims=False)
        return jax.tree.map(at, grid)

    return counts.pop(), take


def _gather(one: Callable[[Any], Any], n: int, size: int, reduction: PyTree, steps: Any) -> Any:
    """Run all micro-batches, and reduce what they return."""
    types = jax.eval_shape(one, jax.ShapeDtypeStruct((), jnp.int32))
    leaves, treedef = jax.tree_util.tree_flatten_with_path(types, is_leaf=is_none)
    kinds = _spread(reduction, types)
    for (path, x), kind in zip(leaves, kinds, strict=True):
        if x is not None:
            _check(path, x, kind, size)
    run = n if steps is None else steps

    def start(x: Any, kind: str) -> Any:
        if x is None:
            return None
        if kind == "concat":
            return jnp.zeros((x.shape[0], n, *x.shape[1:]), x.dtype, device=_grid_sharding(x))
        return slots.like(x, 0, precision.compute_dtype(x.dtype))

    def add(i: Any, old: Any, x: Any, kind: str) -> Any:
        if x is None:
            return None
        if kind == "concat":
            return jax.lax.dynamic_update_index_in_dim(old, x, i, axis=1)
        return old + precision.cast(x, old.dtype)

    def body(i: Any, sums: list[Any]) -> list[Any]:
        return [add(i, *parts) for parts in zip(sums, treedef.flatten_up_to(one(i)), kinds, strict=True)]

    def finish(x: Any, total: Any, kind: str) -> Any:
        if x is None:
            return None
        if kind == "concat":
            return jnp.reshape(total, (-1, *x.shape[1:]))
        if kind == "mean":
            total = total / precision.cast(run, precision.real_dtype(total.dtype))
        return precision.narrow(total, x.dtype)

    shapes = [x for _, x in leaves]
    sums = jax.lax.fori_loop(0, run, body, [start(x, kind) for x, kind in zip(shapes, kinds, strict=True)])
    return treedef.unflatten([finish(*parts) for parts in zip(shapes, sums, kinds, strict=True)])


def _grid_sharding(x: Any) -> NamedSharding | None:
    """The sharding of results side by side: as each is, and none along the axis after the first."""
    if not isinstance(x.sharding, NamedSharding):
        return None
    first, *rest = (*x.sharding.spec, *[None] * (len(x.shape) - len(x.sharding.spec)))
    return NamedSharding(x.sharding.mesh, PartitionSpec(first, None, *rest))


def _spread(reduction: PyTree, types: PyTree) -> list[str]:
    """One reduction for each leaf of the result."""
    names, treedef = jax.tree.flatten(reduction)
    try:
        parts = treedef.flatten_up_to(types)
    except ValueError:
        raise ValueError(
            f"microbatch: the reductions are not a prefix of the result: {treedef} != {jax.tree.structure(types)}"
        ) from None
    return [name for name, part in zip(names, parts, strict=True) for _ in jax.tree.leaves(part, is_leaf=is_none)]


def _check(path: Any, x: Any, kind: str, size: int) -> None:
    if kind == "concat" and (not x.shape or x.shape[0] != size):
        raise ValueError(
            f"microbatch: to concatenate the result at {path_str(path)}, its first axis must be the {size} rows of a "
            f"micro-batch, got {describe(x)}"
        )
    if kind == "mean" and not is_inexact(x):
        raise ValueError(f"microbatch: no mean of the result at {path_str(path)}, which is {describe(x)}: sum it")
