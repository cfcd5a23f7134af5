"""Power iteration: the dominant eigenvalue of a matrix, or of a linear map of trees."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gradtx.core import tree
from gradtx.core.averages import safe_divide
from gradtx.core.eager import compiled
from gradtx.core.precision import cast, compute_dtype, real_dtype, scalar_dtype, widen
from gradtx.core.typing import Array, ArrayLike, PyTree
from gradtx.core.varying import settled, together


@compiled
def power_iteration(
    matrix: Array | Callable[[PyTree], PyTree], *, v0: PyTree = None, num_iters: int = 100,
    error_tolerance: ArrayLike = 1e-6, precision: jax.lax.PrecisionLike = jax.lax.Precision.HIGHEST,
    key: Array | None = None,
) -> tuple[Array, PyTree]:  # fmt: skip
    """The eigenvalue of largest modulus and its eigenvector.

    From a vector v, repeat v <- A v / ||A v|| until the Rayleigh quotient <v, A v> settles.

    Args:
        matrix: a diagonalisable matrix whose dominant eigenvalue is real, of shape (..., n, n) for a stack of them,
            or a function that multiplies a tree by one.
        v0: where to start: a vector (..., n), or a tree for a function; random in [-1, 1] by default.
        num_iters: at most so many products.
        error_tolerance: stop when the eigenvalue changes by less than this share.
        precision: of the products with a matrix, as in `jax.numpy.matmul`.
        key: for the random start.

    Returns:
        The eigenvalue, in float32 or wider, and the eigenvector of norm 1; both are 0 for a matrix of zeros.

    Raises:
        ValueError: a function without `v0`, or a matrix that is not square.
    """
    if callable(matrix):
        if v0 is None:
            raise ValueError("power_iteration: a function needs v0, the tree to start from")
        return _iterate(matrix, widen(v0), num_iters, error_tolerance)
    a = jnp.asarray(matrix)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ValueError(f"power_iteration: wanted square matrices, of shape (..., n, n), got {a.shape}")
    a = cast(a, compute_dtype(a.dtype))
    if v0 is None:
        real = real_dtype(a.dtype)
        start = jax.random.uniform(jax.random.key(0) if key is None else key, a.shape[-1:], real, -1, 1)
        v0 = jnp.broadcast_to(start, a.shape[:-1])
    v0 = cast(v0, a.dtype)

    def one(a: Array, v: Array) -> tuple[Array, Array]:
        product = lambda v: jnp.matmul(a, v, precision=precision)
        return _iterate(product, v, num_iters, error_tolerance)

    for _ in range(a.ndim - 2):
        one = jax.vmap(one)
    return one(a, v0)


def _iterate(
    product: Callable[[PyTree], PyTree], v: PyTree, num_iters: int, tolerance: ArrayLike
) -> tuple[Array, PyTree]:
    def advance(carry: Any) -> Any:
        step, _, v, value = carry
        av = product(v)
        return step + 1, value, _normalised(av, v), tree.vdot(v, av)

    def unsettled(carry: Any) -> Array:
        step, before, _, value = carry
        change = jnp.abs(value - before)
        return (step < num_iters) & ((step < 2) | (change > cast(tolerance, value.dtype) * jnp.abs(value)))

    v = _normalised(v, v)
    nothing = jnp.zeros((), scalar_dtype(v))
    start = (jnp.zeros((), jnp.int32), nothing, v, nothing)
    _, _, v, value = jax.lax.while_loop(unsettled, advance, together(settled(advance, start)))
    return value, v


def _normalised(v: PyTree, like: PyTree) -> PyTree:
    """v / ||v|| in the dtypes of `like`; zeros stay zeros."""
    norm = tree.norm(v)
    return jax.tree.map(lambda x, y: cast(safe_divide(x, cast(norm, x.dtype)), y.dtype), v, like)
