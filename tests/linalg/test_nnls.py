"""Non-negative least squares against SciPy."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import gradtx


def problems(n, m, k, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, n)), rng.standard_normal((m, k))


@pytest.mark.parametrize("shape", [(5, 12), (12, 5), (1, 1), (8, 8)])
def test_equals_scipy(shape):
    with jax.enable_x64(True):
        A, b = problems(*shape, k=6)
        x = jax.jit(gradtx.nnls, static_argnums=2)(jnp.asarray(A), jnp.asarray(b), 4000)
        for i in range(6):
            expected, residual = scipy.optimize.nnls(A, b[:, i])
            np.testing.assert_allclose(np.linalg.norm(A @ x[:, i] - b[:, i]), residual, atol=1e-9)
            if shape[0] <= shape[1]:  # else the solution is not unique
                np.testing.assert_allclose(x[:, i], expected, atol=1e-7)
        assert np.all(x >= 0) and np.any(x == 0) and (shape == (1, 1) or np.any(x > 0))


def test_one_vector_a_bound_and_unrolling():
    A, b = (jnp.asarray(x, jnp.float32) for x in problems(3, 6, 1))
    expected = scipy.optimize.nnls(np.asarray(A), np.asarray(b[:, 0]))[0]
    for x in (
        gradtx.nnls(A, b[:, 0], 300),
        gradtx.nnls(A, b[:, 0], 300, unroll=4),
        gradtx.nnls(A, b[:, 0], 300, L=jnp.linalg.norm(A, 2) ** 2),
    ):
        assert x.shape == (3,)
        np.testing.assert_allclose(x, expected, atol=1e-5)


def test_the_derivative_is_that_of_least_squares_on_the_positive_unknowns():
    with jax.enable_x64(True):
        A, b = problems(4, 9, 1, seed=2)
        jacobian = jax.jit(jax.jacobian(lambda b: gradtx.nnls(jnp.asarray(A), b, 2000)))(jnp.asarray(b[:, 0]))
        positive = scipy.optimize.nnls(A, b[:, 0])[0] > 0
        assert 0 < positive.sum() < 4
        expected = np.zeros((4, 9))
        expected[positive] = np.linalg.pinv(A[:, positive])
        np.testing.assert_allclose(jacobian, expected, atol=1e-8)


def test_dtypes_are_kept():
    A, b = problems(3, 6, 1)
    x = gradtx.nnls(jnp.asarray(A, jnp.bfloat16), jnp.asarray(b, jnp.bfloat16), 200)
    assert x.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(x[:, 0], np.float32), scipy.optimize.nnls(A, b[:, 0])[0], atol=0.02)
    whole = gradtx.nnls(jnp.array([[1, 2], [3, 4]]), jnp.array([5, 6]), 1000)
    assert whole.dtype == jnp.float32
    np.testing.assert_allclose(whole, [0.0, 1.7], atol=1e-3)


def test_zero_and_empty_problems_are_finite():
    chex.assert_trees_all_equal(gradtx.nnls(jnp.zeros((3, 2)), jnp.ones(3), 5), jnp.zeros(2))
    assert gradtx.nnls(jnp.zeros((3, 0)), jnp.ones(3), 5).shape == (0,)


@pytest.mark.parametrize(
    ("A", "b", "message"),
    [
        (jnp.ones((3, 2)), jnp.ones(2), r"wanted A of shape \(m, n\) .* got \(3, 2\) and \(2,\)"),
        (jnp.ones(3), jnp.ones(3), r"wanted A of shape \(m, n\)"),
        (jnp.ones((3, 2), jnp.complex64), jnp.ones(3), r"wanted real numbers, got complex64\(3, 2\)"),
    ],
)
def test_errors(A, b, message):
    with pytest.raises(ValueError, match=f"nnls: {message}"):
        gradtx.nnls(A, b, 10)


def test_agrees_with_optax():
    optax = pytest.importorskip("optax")
    A, b = (jnp.asarray(x, jnp.float32) for x in problems(3, 6, 2))
    with jax.numpy_dtype_promotion("standard"):
        np.testing.assert_allclose(gradtx.nnls(A, b, 500), optax.nnls(A, b, 500), atol=1e-5)
