"""Norms, counters, scaled derivatives and the normal distribution, against NumPy, SciPy and Optax."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import gradtx
from gradtx import numerics

X = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
VECTOR = (None, 1, 2, 3, -1, np.inf, -np.inf)
MATRIX = (None, 1, -1, 2, -2, np.inf, -np.inf, "fro", "nuc")
CASES = [
    *((ord, axis, keep) for ord, axis, keep in itertools.product(VECTOR, (0, -1), (False, True))),
    *((ord, axis, keep) for ord, axis, keep in itertools.product(MATRIX, (None, (1, 0)), (False, True))),
]


@pytest.mark.parametrize("min_norm", [0.0, 2.2])
def test_norms_equal_numpys(min_norm):
    for ord, axis, keep in CASES:
        got = numerics.safe_norm(X, min_norm, ord, axis, keep)
        expected = np.maximum(np.linalg.norm(X, ord, axis, keep), min_norm)
        np.testing.assert_allclose(got, expected, rtol=2e-5, err_msg=f"{ord} {axis} {keep}")


@pytest.mark.parametrize(("derivative", "cases"), [(jax.jacfwd, CASES), (jax.jacrev, CASES[::5])])
def test_norms_have_the_derivative_zero_at_zero(derivative, cases):
    def norms(x, least):
        return [numerics.safe_norm(x, least, *case) for case in cases]

    for least in (0.0, 3.0):
        for jacobian in jax.jit(derivative(norms))(jnp.zeros((3, 4)), least):
            chex.assert_trees_all_equal(jacobian, jnp.zeros_like(jacobian))


def test_only_the_norms_above_have_a_derivative():
    x = jnp.array([[3.0, 4.0], [0.0, 0.1], [0.0, 0.0]])
    norm = lambda x: numerics.safe_norm(x, 1.0, axis=1)
    np.testing.assert_allclose(norm(x), [5.0, 1.0, 1.0])
    slope = jax.grad(lambda x: jnp.sum(norm(x)))(x)
    np.testing.assert_allclose(slope, [[0.6, 0.8], [0.0, 0.0], [0.0, 0.0]], rtol=1e-6)
    assert jax.grad(lambda least: jnp.sum(numerics.safe_norm(x, least, axis=1)))(1.0) == 2.0
    np.testing.assert_allclose(numerics.safe_norm(x, jnp.array([6.0, 0.0, 2.0]), axis=1), [6.0, 0.1, 2.0])


def test_norms_of_complex_and_narrow_numbers():
    z = np.array([3 + 4j, 0j, 1j], np.complex64)
    for ord in (None, 1, np.inf):
        norm = numerics.safe_norm(z, 0.0, ord)
        assert norm.dtype == jnp.float32
        np.testing.assert_allclose(norm, np.linalg.norm(z, ord), rtol=1e-6)
        chex.assert_tree_all_finite(jax.grad(lambda z, o=ord: numerics.safe_norm(z, 0.0, o))(jnp.asarray(z)))
    narrow = numerics.safe_norm(jnp.full(100_000, 0.01, jnp.bfloat16), 0.0)
    assert narrow.dtype == jnp.bfloat16
    np.testing.assert_allclose(float(narrow), 3.16, rtol=1e-2)
    assert numerics.safe_norm(jnp.array([3, 4]), 0) == 5.0


def test_root_mean_squares():
    rms = numerics.safe_root_mean_squares
    np.testing.assert_allclose(rms(X, 0.1), np.sqrt(np.mean(X**2)), rtol=1e-6)
    np.testing.assert_allclose(rms(np.array([3 + 4j, 0]), 0.1), 5 / np.sqrt(2), rtol=1e-6)
    assert rms(jnp.ones(3, jnp.bfloat16), 2).dtype == jnp.bfloat16
    for derivative in (jax.jacfwd, jax.jacrev):
        for least in (0.0, 3.0):
            chex.assert_trees_all_equal(derivative(lambda x, m=least: rms(x, m))(jnp.zeros(3)), jnp.zeros(3))


@pytest.mark.parametrize(
    "dtype", [jnp.int8, jnp.uint8, jnp.int32, jnp.uint32, jnp.float16, jnp.bfloat16, jnp.float32], ids=jnp.dtype
)
def test_counters_stop_at_the_top(dtype):
    top = jnp.iinfo(dtype).max if jnp.issubdtype(dtype, jnp.integer) else jnp.finfo(dtype).max
    before = {3: 4, int(top): int(top)} | ({int(top) - 1: int(top)} if jnp.issubdtype(dtype, jnp.integer) else {})
    for count, after in before.items():
        got = numerics.safe_increment(jnp.asarray(np.asarray(count, dtype)))
        assert got.dtype == dtype and int(got) == after


@pytest.mark.parametrize("count", [True, 1j, np.array([1j])])
def test_counters_are_integers_or_real(count):
    with pytest.raises(ValueError, match="safe_increment: count must be an integer or a real number, got"):
        numerics.safe_increment(count)


def test_scaled_derivatives():
    tree = {"w": jnp.array([1.0, 2.0]), "n": 3}
    assert numerics.scale_gradient(tree, 0.5)["n"] == 3
    loss = lambda w, scale: jnp.sum(numerics.scale_gradient({"w": w}, scale)["w"] ** 2)
    for scale in (0.5, 0.0, -1.0):
        assert loss(tree["w"], scale) == 5.0
        np.testing.assert_allclose(jax.grad(loss)(tree["w"], scale), scale * 2 * tree["w"])
        np.testing.assert_allclose(jax.jvp(loss, (tree["w"], scale), (tree["w"], 1.0))[1], 10 * scale)
    assert jax.grad(loss, argnums=1)(tree["w"], 0.5) == 0
    broken = lambda w: jnp.sum(jnp.sqrt(numerics.scale_gradient(w, 0)))
    chex.assert_trees_all_equal(jax.grad(broken)(jnp.zeros(2)), jnp.zeros(2))  # 0 also where it is infinite


def test_normal_distribution():
    loc, log_scale = np.array([[0.5, -1.0, 2.0]] * 2), np.array([-1.0, 0.0, 1.5])
    normal = numerics.multi_normal(loc, log_scale)
    x = np.random.default_rng(1).standard_normal((4, 2, 3))
    expected = scipy.stats.norm.logpdf(x, loc, np.exp(log_scale)).sum((-1, -2))
    np.testing.assert_allclose(normal.log_prob(jnp.asarray(x, jnp.float32)), expected, rtol=1e-5)
    draws = np.asarray(jax.jit(lambda d, key: d.sample((20_000,), key))(normal, jax.random.key(0)))
    assert draws.shape == (20_000, 2, 3)
    np.testing.assert_allclose(draws.mean(0), loc, atol=0.1)
    np.testing.assert_allclose(np.log(draws.std(0)), np.broadcast_to(log_scale, (2, 3)), atol=0.03)
    slope = jax.grad(lambda d: jnp.sum(d.sample((), jax.random.key(0))))(normal)
    np.testing.assert_allclose(slope.loc, 1.0)


def test_agrees_with_optax():
    optax = pytest.importorskip("optax")
    for case in CASES[::7]:
        for least in (0.0, 2.2):
            ours, theirs = numerics.safe_norm(X, least, *case), optax.safe_norm(X, least, *case)
            np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    np.testing.assert_allclose(numerics.safe_root_mean_squares(X, 0.1), optax.safe_root_mean_squares(X, 0.1), rtol=1e-6)
    params, key = (jnp.arange(3.0), jnp.array([-1.0, 0.0, 0.5])), jax.random.key(0)
    ours, theirs = numerics.multi_normal(*params), optax.multi_normal(*params)
    np.testing.assert_allclose(ours.sample((2,), key), theirs.sample((2,), key), rtol=1e-6)
    np.testing.assert_allclose(ours.log_prob(X[:, :3]), theirs.log_prob(X[:, :3]), rtol=1e-6)
    chex.assert_trees_all_equal(ours.params, theirs.params)
    assert gradtx.numerics is numerics
