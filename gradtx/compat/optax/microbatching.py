"""Micro-batches: gradtx's own under Optax's path. Only results that are no rows are concatenated here, too."""

from collections.abc import Callable, Sequence
from typing import Any

import jax

from gradtx.microbatching import AccumulationType as AccumulationType
from gradtx.microbatching import Accumulator as Accumulator
from gradtx.microbatching import loop
from gradtx.microbatching import micro_grad as micro_grad
from gradtx.microbatching import micro_vmap as micro_vmap
from gradtx.microbatching import reshape_batch_axis as reshape_batch_axis
from gradtx.microbatching.accumulators import concatenated


def microbatch(
    fun: Callable[..., Any], argnums: int | Sequence[int], microbatch_size: int | None,
    accumulator: Any = AccumulationType.SUM, *, argnames: str | Sequence[str] = (), in_axes: int | Sequence[int] = 0,
    num_real_microbatches: jax.Array | int | None = None,
) -> Callable[..., Any]:  # fmt: skip
    """As `gradtx.microbatching.microbatch`; `CONCAT` takes scalars, and a first axis that is not the micro-batch's."""
    given = jax.tree.map(lambda kind: concatenated if kind is AccumulationType.CONCAT else kind, accumulator)
    return loop.microbatch(
        fun, argnums, microbatch_size, given, argnames=argnames, in_axes=in_axes,
        num_real_microbatches=num_real_microbatches,
    )  # fmt: skip
