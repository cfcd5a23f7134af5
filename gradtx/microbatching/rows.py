"""Functions of one row over a batch, in micro-batches: `jax.vmap`, and gradients of single examples."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gradtx.core.typing import Array, PyTree
from gradtx.microbatching.accumulators import AccumulationType
from gradtx.microbatching.loop import check_size, in_parts


class Aux(NamedTuple):
    """What `micro_grad` returns besides gradients, one entry for each example."""

    values: Array
    metrics: PyTree
    aux: PyTree


def micro_vmap(
    fun: Callable[..., Any],
    in_axes: int | Sequence[int | None] = 0,
    out_axes: int = 0,
    *,
    microbatch_size: int | None = None,
    vmap_fn: Callable[..., Callable[..., Any]] = jax.vmap,
    accumulator: PyTree = AccumulationType.CONCAT,
    num_real_microbatches: Array | int | None = None,
) -> Callable[..., Any]:
    """`jax.vmap` of a function, some rows at a time, and what becomes of the results.

    Args:
        fun: a pure function of one row.
        in_axes: the batch axis of the positional arguments: one for all, or one for each, None for those without.
            Keyword arguments have it first.
        out_axes: only 0.
        microbatch_size: rows per micro-batch, a divisor of the batch; None for all at once.
        vmap_fn: called as `vmap_fn(fun, in_axes, out_axes)`, to give `jax.vmap` other arguments.
        accumulator: what becomes of the results of the rows: an `AccumulationType` (`CONCAT` is `jax.vmap`) or an
            `Accumulator`, or a tree of them that is a prefix of the result's.
        num_real_microbatches: how many of the micro-batches to run, as in `microbatch`.

    Returns:
        A function of batches.

    Raises:
        NotImplementedError: for another `out_axes`.
        ValueError: at the call, as `microbatch` does, and where no argument has a batch axis.
    """
    if out_axes != 0:
        raise NotImplementedError(f"micro_vmap: out_axes must be 0, got {out_axes!r}")
    if microbatch_size is not None:
        check_size("micro_vmap", microbatch_size)

    def mapped(*args: Any, **kwargs: Any) -> Any:
        axes = tuple(in_axes) if isinstance(in_axes, Sequence) else (in_axes,) * len(args)
        if len(axes) != len(args):
            raise ValueError(f"micro_vmap: in_axes has {len(axes)} entries for {len(args)} arguments")
        batch = {i: axis for i, axis in enumerate(axes) if axis is not None} | dict.fromkeys(kwargs, 0)
        if not batch:
            raise ValueError("micro_vmap: no argument has a batch axis")
        size = microbatch_size or _rows(args, kwargs, batch)
        rows = vmap_fn(fun, axes, 0)
        return in_parts("micro_vmap", rows, args, kwargs, batch, size, accumulator, num_real_microbatches, by_row=True)

    return mapped


def micro_grad(
    fun: Callable[..., Any],
    has_aux: bool = False,
    argnums: int | Sequence[int] = 0,
    *,
    batch_argnums: int | Sequence[int] = 1,
    keep_batch_dim: bool = True,
    microbatch_size: int | None = None,
    accumulator: PyTree = AccumulationType.SUM,
    transform_fn: Callable[[PyTree], PyTree] = lambda grads: grads,
    metrics_fn: Callable[[PyTree], PyTree] = lambda grads: None,
    num_real_microbatches: Array | int | None = None,
) -> Callable[..., tuple[Any, Aux]]:
    """The gradient of each example, transformed and gathered, some examples at a time.

    Args:
        fun: a loss of parameters and a batch, `fun(params, batch)`.
        has_aux: whether it returns a pair of the loss and something else.
        argnums: the argument, or arguments, to differentiate in.
        batch_argnums: the argument, or arguments, with examples on the first axis; so have keyword arguments.
        keep_batch_dim: whether `fun` sees one example as a batch of one, or without that axis.
        microbatch_size: examples at a time, a divisor of the batch; None for all at once.
        accumulator: what becomes of the transformed gradients, as in `micro_vmap`.
        transform_fn: what is done to the gradient of one example: it is clipped, squared, ...
        metrics_fn: what is kept of it before that for every example: its norm, ...
        num_real_microbatches: how many of the micro-batches to run, as in `microbatch`.

    Returns:
        A function of the arguments of `fun` to the gathered gradients and `Aux(values, metrics, aux)`: losses,
        metrics, and what else `fun` returns, for each example.
    """
    positions = {batch_argnums} if isinstance(batch_argnums, int) else set(batch_argnums)
    value_and_grad = jax.value_and_grad(fun, argnums, has_aux)

    def call(*args: Any, **kwargs: Any) -> tuple[Any, Aux]:
        batched = {i % len(args) for i in positions}

        def one(*row: Any, **named: Any) -> tuple[PyTree, Aux]:
            if keep_batch_dim:
                row = tuple(jax.tree.map(lambda a: a[None], x) if i in batched else x for i, x in enumerate(row))
            value, grads = value_and_grad(*row, **named)
            value, aux = value if has_aux else (value, None)
            return transform_fn(grads), Aux(value, metrics_fn(grads), aux)

        return micro_vmap(
            one,
            [0 if i in batched else None for i in range(len(args))],
            microbatch_size=microbatch_size,
            accumulator=(accumulator, AccumulationType.CONCAT),
            num_real_microbatches=num_real_microbatches,
        )(*args, **kwargs)

    return call


def _rows(args: Sequence[Any], kwargs: Mapping[str, Any], batch: dict[Any, int]) -> int:
    """The rows of the whole batch."""
    key, axis = next(iter(batch.items()))
    first = jax.tree.leaves(kwargs[key] if isinstance(key, str) else args[key])[0]
    return max(1, jnp.shape(first)[axis])
