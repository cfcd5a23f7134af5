"""Linear assignment: pair rows with columns at the least total cost."""

from typing import Any

import jax
import jax.numpy as jnp

from gradtx.core import precision
from gradtx.core.eager import compiled
from gradtx.core.errors import describe
from gradtx.core.typing import Array
from gradtx.core.varying import together, vary_with


@compiled
def hungarian_algorithm(cost_matrix: Array) -> tuple[Array, Array]:
    """Pair every row with a column of its own, or every column with a row where there are fewer, at the least cost.

    The rows are added one by one. For each, Dijkstra's algorithm finds the shortest path to a free column in the
    residual graph, whose edges have the lengths C_ij - u_i - v_j >= 0, and the pairs along it are exchanged. The
    prices u and v are then moved so that these lengths stay >= 0, and those of pairs 0.

    Args:
        cost_matrix: real, of any shape (n, m), empty ones included. An infinite cost forbids a pair. For a stack of
            matrices, `jax.vmap` it.

    Returns:
        Row indices i, ascending, and column indices j, int32 of length min(n, m). The cost is
        `cost_matrix[i, j].sum()`. Computed in float32 or wider, in O(min(n, m)^2 max(n, m)) operations.

    Raises:
        ValueError: for anything but a real matrix.

    Source: Crouse 2016, On implementing 2D rectangular assignment algorithms, after Jonker & Volgenant 1987.
    """
    costs = jnp.asarray(cost_matrix)
    if costs.ndim != 2 or jnp.iscomplexobj(costs):
        raise ValueError(f"hungarian_algorithm: wanted a real matrix, got {describe(costs)}")
    dtype = costs.dtype if jnp.issubdtype(costs.dtype, jnp.floating) else jnp.result_type(float)
    costs = precision.cast(costs, precision.compute_dtype(dtype))
    n, m = costs.shape
    if n <= m:
        return jnp.arange(n, dtype=jnp.int32), _columns_of(costs)
    rows = _columns_of(costs.T)
    order = jnp.argsort(rows)
    return rows[order], precision.cast(order, jnp.int32)


def _columns_of(costs: Array) -> Array:
    """The column of each row of a matrix with no more rows than columns."""
    n, m = costs.shape
    if n == 0:
        return jnp.zeros(0, jnp.int32)

    def add_row(row: Array, carry: Any) -> Any:
        column_of, row_of, u, v = carry
        lengths, before, done, sink, total = _shortest_path(costs, row_of, u, v, row)
        # The rows on the way are `row` and those paired with a column that was done before the sink.
        met = done.at[sink].set(False)
        moved = jnp.where(met, total - lengths, 0)
        u = u.at[row].add(total).at[jnp.where(met, row_of, n)].add(moved, mode="drop")
        v = v - moved
        column_of, row_of = _exchange(column_of, row_of, before, sink, row)
        return column_of, row_of, u, v

    nobody = lambda size: jnp.full(size, -1, jnp.int32)
    start = vary_with((nobody(n), nobody(m), jnp.zeros(n, costs.dtype), jnp.zeros(m, costs.dtype)), costs)
    return jax.lax.fori_loop(0, n, add_row, start)[0]


def _shortest_path(costs: Array, row_of: Array, u: Array, v: Array, row: Array) -> Any:
    """Distances of columns from `row`, the row before each, the columns that are done, the free one, its distance."""
    m = costs.shape[1]
    most = jnp.finfo(costs.dtype).max  # stands for infinity, which could not be taken from itself

    def visit(carry: Any) -> Any:
        i, lengths, before, done, _, total = carry
        through = total + costs[i] - u[i] - v
        shorter = ~done & (through < lengths)
        lengths, before = jnp.where(shorter, through, lengths), jnp.where(shorter, i, before)
        nearest = precision.cast(jnp.argmin(jnp.where(done, jnp.inf, lengths)), jnp.int32)
        return row_of[nearest], lengths, before, done.at[nearest].set(True), nearest, lengths[nearest]

    start = (
        precision.cast(row, jnp.int32),
        jnp.full(m, most),
        jnp.full(m, row, jnp.int32),
        jnp.zeros(m, jnp.bool_),
        jnp.full((), -1, jnp.int32),
        jnp.zeros((), costs.dtype),
    )
    _, lengths, before, done, sink, total = jax.lax.while_loop(
        lambda carry: carry[0] >= 0, visit, vary_with(start, costs)
    )
    return lengths, before, done, sink, total


def _exchange(column_of: Array, row_of: Array, before: Array, sink: Array, row: Array) -> tuple[Array, Array]:
    """The pairs after those along the path that ends in `sink` are exchanged."""

    def back(carry: Any) -> Any:
        column_of, row_of, column, _ = carry
        i = before[column]
        return column_of.at[i].set(column), row_of.at[column].set(i), column_of[i], i

    start = column_of, row_of, sink, jnp.full((), -1, jnp.int32)
    column_of, row_of, _, _ = jax.lax.while_loop(lambda carry: carry[3] != row, back, together(start))
    return column_of, row_of
