"""Least squares with non-negative unknowns, by accelerated projected gradients."""

from typing import Any

import jax
import jax.numpy as jnp

from gradtx.core import precision
from gradtx.core.averages import safe_divide
from gradtx.core.eager import compiled
from gradtx.core.errors import describe
from gradtx.core.typing import Array, ArrayLike
from gradtx.core.varying import vary_with


@compiled
def nnls(A: Array, b: Array, iters: int, unroll: int | bool = 1, L: ArrayLike | None = None) -> Array:
    """The x >= 0 for which ||A x - b|| is least.

    From x = y = 0 and t = 1, repeat

        x' <- max(y - A^T (A y - b) / L, 0)
        t' <- (1 + sqrt(1 + 4 t^2)) / 2,  or t' = t = 1 where the last step went uphill: <y - x', x' - x> > 0
        y  <- x' + (t - 1) / t' (x' - x)

    Args:
        A: a real matrix (m, n).
        b: a vector (m,), or a matrix (m, k) of k problems.
        iters: how many steps. Static.
        unroll: how many steps are compiled into one iteration of the loop, as in `jax.lax.scan`. Static.
        L: an upper bound of the largest eigenvalue of A^T A; by default its smaller one of the Frobenius norm and
            the largest sum of a row.

    Returns:
        x, of shape (n,) or (n, k), in the dtype that holds both arguments, computed in float32 or wider.

    Raises:
        ValueError: for shapes that do not fit, or complex numbers.

    Source: Polyak 2015, Projected gradient method for non-negative least square; the restarts are those of
        O'Donoghue & Candes 2015, arXiv:1204.3982, equation 12.
    """
    a, y = jnp.asarray(A), jnp.asarray(b)
    if a.ndim != 2 or y.ndim not in (1, 2) or y.shape[0] != a.shape[0]:
        raise ValueError(f"nnls: wanted A of shape (m, n) and b of shape (m,) or (m, k), got {a.shape} and {y.shape}")
    dtype = precision.promote(a.dtype, y.dtype)
    dtype = dtype if jnp.issubdtype(dtype, jnp.inexact) else jnp.result_type(float)
    if jnp.issubdtype(dtype, jnp.complexfloating):
        raise ValueError(f"nnls: wanted real numbers, got {describe(a)} and {describe(y)}")
    wide = precision.compute_dtype(dtype)
    a, y = precision.cast(a, wide), precision.cast(y, wide)
    times = lambda p, q: jnp.matmul(p, q, precision=jax.lax.Precision.HIGHEST)
    gram, target = times(a.T, a), times(a.T, y)
    largest = _bound(gram) if L is None else precision.cast(L, wide)

    def step(carry: Any, _: None) -> Any:
        x, y, t = carry
        new = jnp.maximum(y - safe_divide(times(gram, y) - target, largest), 0)
        t = jnp.where(jnp.sum((y - new) * (new - x), axis=0) > 0, 1, t)
        longer = (1 + jnp.sqrt(1 + 4 * jnp.square(t))) / 2
        return (new, new + (t - 1) / longer * (new - x), longer), None

    nothing = jnp.zeros(target.shape, wide)
    start = vary_with((nothing, nothing, jnp.ones(target.shape[1:], wide)), (gram, target, largest))
    (x, _, _), _ = jax.lax.scan(step, start, length=iters, unroll=unroll)
    return precision.narrow(x, dtype)


def _bound(gram: Array) -> Array:
    """No eigenvalue of this matrix is larger."""
    return jnp.minimum(jnp.sqrt(jnp.sum(jnp.square(gram))), jnp.max(jnp.sum(jnp.abs(gram), axis=1), initial=0))
