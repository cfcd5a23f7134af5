"""Power iteration and inverse roots against NumPy's eigendecompositions."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx


def spd(n, condition, seed=0, hermitian=False):
    """A positive definite matrix with eigenvalues spread over [1 / condition, 1], times 3."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if hermitian else 0)
    q = np.linalg.qr(x)[0]
    return 3 * (q * np.geomspace(1 / condition, 1, n)) @ q.conj().T


def oracle(a, p):
    values, vectors = np.linalg.eigh(a)
    return (vectors * values ** (-1 / p)) @ vectors.conj().T


@pytest.mark.parametrize("p", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("hermitian", [False, True])
def test_inverse_roots_in_float64(p, hermitian):
    with jax.enable_x64(True):
        a = spd(6, 100, hermitian=hermitian)
        root, error = gradtx.matrix_inverse_pth_root(jnp.asarray(a), p, ridge_epsilon=0.0, error_tolerance=1e-12)
        np.testing.assert_allclose(root, oracle(a, p), rtol=1e-9, atol=1e-10)
        assert error < 1e-9


def test_inverse_roots_of_a_stack_in_float32():
    stack = np.stack([spd(5, 11), 1e-12 * spd(5, 11, seed=1), 1e12 * spd(5, 4, seed=2)])
    root, error = jax.jit(lambda a: gradtx.matrix_inverse_pth_root(a, 4))(jnp.asarray(stack, jnp.float32))
    for i, a in enumerate(stack):
        expected = oracle(a, 4)
        np.testing.assert_allclose(root[i], expected, atol=1e-4 * np.abs(expected).max())
    assert error.shape == (3,) and np.all(error < 1e-5)


def test_singular_and_zero_matrices_have_finite_roots():
    v = np.arange(1.0, 5.0)
    for a in (np.zeros((4, 4)), np.outer(v, v), np.zeros((1, 1))):
        root, error = gradtx.matrix_inverse_pth_root(jnp.asarray(a, jnp.float32), 2)
        chex.assert_tree_all_finite((root, error))
    np.testing.assert_allclose(root, 1e3, rtol=1e-3)


def test_roots_keep_their_dtype():
    root, error = gradtx.matrix_inverse_pth_root(jnp.asarray(spd(3, 4), jnp.bfloat16), 2)
    assert root.dtype == jnp.bfloat16 and error.dtype == jnp.float32


def test_agrees_with_optax():
    optax = pytest.importorskip("optax")
    a = jnp.asarray(spd(5, 11), jnp.float32)
    root, _ = gradtx.matrix_inverse_pth_root(a, 4)
    with jax.numpy_dtype_promotion("standard"):
        expected, _ = optax.matrix_inverse_pth_root(a, 4)
    np.testing.assert_allclose(root, expected, atol=1e-5)


def test_power_iteration_finds_the_dominant_pair():
    with jax.enable_x64(True):
        a = spd(5, 10)
        for sign in (1.0, -1.0):
            value, vector = gradtx.power_iteration(jnp.asarray(sign * a), num_iters=1000, error_tolerance=1e-14)
            np.testing.assert_allclose(value, sign * 3.0, rtol=1e-10)
            np.testing.assert_allclose(a @ vector, 3.0 * vector, atol=1e-5)
        stack = jnp.stack([jnp.asarray(a), 2 * jnp.asarray(spd(5, 10, seed=1))])
        values, vectors = gradtx.power_iteration(stack, num_iters=1000, error_tolerance=1e-14)
        np.testing.assert_allclose(values, [3.0, 6.0], rtol=1e-10)
        assert vectors.shape == (2, 5)


def test_power_iteration_of_a_function_on_trees():
    product = lambda v: {"a": 4 * v["a"], "b": v["b"][::-1]}
    value, vector = gradtx.power_iteration(product, v0={"a": jnp.ones(()), "b": jnp.ones(3)})
    np.testing.assert_allclose(value, 4.0, rtol=1e-5)
    np.testing.assert_allclose(vector["a"], 1.0, rtol=1e-5)


def test_power_iteration_of_zeros_is_zero():
    value, vector = gradtx.power_iteration(jnp.zeros((3, 3)))
    assert value == 0
    chex.assert_trees_all_equal(vector, jnp.zeros(3))


def test_errors():
    with pytest.raises(ValueError, match="a function needs v0"):
        gradtx.power_iteration(lambda v: v)
    with pytest.raises(ValueError, match=r"wanted square matrices, of shape \(..., n, n\), got \(2, 3\)"):
        gradtx.power_iteration(jnp.ones((2, 3)))
    with pytest.raises(ValueError, match=r"wanted square matrices"):
        gradtx.matrix_inverse_pth_root(jnp.ones(3), 2)
    with pytest.raises(ValueError, match=r"p must be a whole number >= 1, got 0\.5"):
        gradtx.matrix_inverse_pth_root(jnp.eye(3), 0.5)  # pyright: ignore[reportArgumentType]
