"""Inverse roots of positive semi-definite matrices by coupled Newton iterations."""

from typing import Any

import jax
import jax.numpy as jnp

from gradtx.core.eager import compiled
from gradtx.core.precision import cast, real_dtype, widen
from gradtx.core.typing import Array, ArrayLike
from gradtx.core.varying import together
from gradtx.linalg.newton_schulz import frobenius_norm
from gradtx.linalg.power_iteration import power_iteration


@compiled
def matrix_inverse_pth_root(
    matrix: Array, p: int, num_iters: int = 100, ridge_epsilon: ArrayLike = 1e-6, error_tolerance: ArrayLike = 1e-6,
    precision: jax.lax.PrecisionLike = jax.lax.Precision.HIGHEST,
) -> tuple[Array, Array]:  # fmt: skip
    """A^(-1/p) of a Hermitian positive semi-definite A, by matrix products alone.

    With A + ridge_epsilon lambda_max I for A and z = (1 + p) / (2 ||A||_F), from M = z A and H = z^(1/p) I, repeat

        T <- ((1 + p) I - M) / p
        H <- H T
        M <- T^p M

    until M is the identity. Then H^(-p) = A.

    Args:
        matrix: of shape (..., n, n); leading axes count matrices, each of which stops by itself.
        p: at least 1. Static.
        num_iters: at most so many steps.
        ridge_epsilon: at least 0, added to the diagonal, times the largest eigenvalue (1 for a matrix of zeros).
        error_tolerance: stop when no entry of M - I is larger.
        precision: of the products, as in `jax.numpy.matmul`.

    Returns:
        The root, in the matrix's dtype (computed in float32 or wider), and the largest entry of |M - I| at the step
        that it was taken from: the one with the smallest.

    Raises:
        ValueError: p < 1, or a matrix that is not square.

    Source: Higham 2008, Functions of Matrices, equation 7.18; Anil et al. 2020, arXiv:2002.09018.
    """
    if p < 1 or p != int(p):
        raise ValueError(f"matrix_inverse_pth_root: p must be a whole number >= 1, got {p!r}")
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2]:
        raise ValueError(f"matrix_inverse_pth_root: wanted square matrices, of shape (..., n, n), got {matrix.shape}")
    one = lambda a: _root(a, p, num_iters, ridge_epsilon, error_tolerance, precision)
    for _ in range(matrix.ndim - 2):
        one = jax.vmap(one)
    root, error = one(widen(matrix))
    return cast(root, matrix.dtype), error


def _root(
    a: Array, p: int, num_iters: int, ridge: ArrayLike, tolerance: ArrayLike, precision: jax.lax.PrecisionLike
) -> tuple[Array, Array]:
    real = real_dtype(a.dtype)
    identity = jnp.eye(len(a), dtype=a.dtype)
    times = lambda x, y: jnp.matmul(x, y, precision=precision)
    largest, _ = power_iteration(a, precision=precision)
    scale = jnp.where(largest > 0, largest, 1)  # the root of A / scale is taken: nothing over- or underflows
    a = a / scale.astype(a.dtype) + cast(ridge, a.dtype) * identity
    z = (1 + p) / (2 * frobenius_norm(a)).astype(a.dtype)
    error_of = lambda m: jnp.max(jnp.abs(m - identity), initial=0)

    def advance(carry: Any) -> Any:
        step, m, h, _, best, best_error = carry
        t = ((1 + p) * identity - m) / p
        m, h = times(_power(t, p, times), m), times(h, t)
        error = error_of(m)
        better = error < best_error
        return step + 1, m, h, error, jnp.where(better, h, best), jnp.where(better, error, best_error)

    def unsettled(carry: Any) -> Array:
        step, _, _, error, _, best_error = carry
        # Near the end rounding makes the error grow; on the way it may do so for a step.
        return (step < num_iters) & (best_error > cast(tolerance, real)) & (error <= 1.2 * best_error)

    m, h = z * a, (z ** (1 / p)) * identity
    first = error_of(m)
    start = (jnp.zeros((), jnp.int32), m, h, first, h, first)
    *_, best, error = jax.lax.while_loop(unsettled, advance, together(start))
    return best * (scale ** (-1 / p)).astype(a.dtype), error


def _power(t: Array, p: int, times: Any) -> Array:
    """t^p by repeated squaring."""
    result = None
    while p:
        if p % 2:
            result = t if result is None else times(result, t)
        p //= 2
        t = times(t, t) if p else t
    return t if result is None else result
