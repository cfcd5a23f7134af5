"""Similarities, contrastive and triplet losses: what no row can know."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import distance

from gradtx import losses

X, Y = np.random.default_rng(0).standard_normal((2, 4, 3)).astype(np.float32)


def test_the_distance_is_that_of_scipy():
    wanted = [distance.cosine(x, y) for x, y in zip(X, Y, strict=True)]
    np.testing.assert_allclose(losses.cosine_distance(X, Y), wanted, rtol=1e-5)


def test_a_zero_vector_is_like_none_and_has_finite_gradients():
    both = jax.jit(jax.value_and_grad(lambda x, y: jnp.sum(losses.cosine_similarity(x, y)), (0, 1)))
    for x, y in ((jnp.zeros(3), jnp.ones(3)), (jnp.ones(3), jnp.zeros(3)), (jnp.zeros(3), jnp.zeros(3))):
        value, grads = both(x, y)
        assert value == 0
        assert np.all(np.isfinite(grads))


def test_no_length_over_or_underflows():
    slope = jax.jit(jax.value_and_grad(lambda x: losses.cosine_similarity(x, Y[0])))
    value, grad = slope(X[0])
    for scale in (1e-30, 1e30):
        scaled, scaled_grad = slope(scale * X[0])
        np.testing.assert_allclose(scaled, value, rtol=1e-6)
        np.testing.assert_allclose(scale * scaled_grad, grad, rtol=1e-5)


def test_epsilon_is_the_least_squared_norm():
    x, y = jnp.array([3e-3, 4e-3]), jnp.array([0.0, 2.0])
    both = jax.jit(jax.value_and_grad(lambda x, epsilon: losses.cosine_similarity(x, y, epsilon=epsilon)))
    np.testing.assert_allclose(both(x, 1e-2)[0], 4e-3 * 2 / (0.1 * 2), rtol=1e-6)
    np.testing.assert_allclose(both(x, 1e-6)[0], 0.8, rtol=1e-6)
    np.testing.assert_allclose(both(jnp.zeros(2), 1e-2)[1], [0, 10], rtol=1e-6)


@pytest.mark.parametrize("junk", [np.nan, np.inf])
def test_what_is_kept_is_not_hidden(junk):
    x = jnp.array([1.0, junk, 2.0])
    assert np.isnan(losses.cosine_similarity(x, Y[0], where=jnp.array([False, True, True])))


def test_contrastive_loss_without_pairs_or_others():
    both = jax.jit(jax.value_and_grad(losses.ntxent))
    for labels in (np.arange(4), np.zeros(4, int)):
        value, grad = both(X, labels)
        np.testing.assert_array_equal(value, 0)
        np.testing.assert_array_equal(grad, np.zeros_like(X))
    assert losses.ntxent(X[:1], np.zeros(1, int)) == 0


def test_contrastive_loss_at_edges():
    both = jax.jit(jax.value_and_grad(losses.ntxent))
    for x in (np.zeros_like(X), np.ones_like(X), 1e-30 * X, 1e30 * X):
        value, grad = both(x, np.array([0, 0, 1, 1]))
        assert np.isfinite(value) and np.all(np.isfinite(grad))
    value, _ = both(X, np.array([0, 0, 1, 1]), temperature=1e-4)
    assert np.isfinite(value)


@pytest.mark.parametrize("degree", [0.5, 1, 2, 3, math.inf])
def test_distances_of_any_degree(degree):
    loss = jax.jit(lambda n, margin: losses.triplet_margin_loss(X, Y, n, norm_degree=degree, margin=margin, eps=0.0))
    got = loss(X[::-1], 3.0)
    norm = (
        (lambda x: np.max(np.abs(x))) if degree == math.inf else lambda x: np.sum(np.abs(x) ** degree) ** (1 / degree)
    )
    wanted = [max(norm(a - p) - norm(a - n) + 3, 0) for a, p, n in zip(X, Y, X[::-1], strict=True)]
    np.testing.assert_allclose(got, wanted, rtol=1e-5)
    if degree >= 1 and degree != math.inf:
        far = [distance.minkowski(a, p, degree) for a, p in zip(X, Y, strict=True)]
        np.testing.assert_allclose(loss(X, 0.0), far, rtol=1e-5)


@pytest.mark.parametrize("degree", [0.5, 1, 2, math.inf])
def test_equal_vectors_have_finite_gradients_without_eps(degree):
    loss = lambda a: jnp.sum(losses.triplet_margin_loss(a, X, X, norm_degree=degree, eps=0.0))
    np.testing.assert_array_equal(jax.jit(jax.grad(loss))(X), np.zeros_like(X))


@pytest.mark.parametrize("degree", [1, 2, 3, 0.5])
def test_triplets_of_any_length(degree):
    """No power overflows: the distances are of the size of the vectors, and so are their derivatives of the size 1."""
    loss = lambda p, n: losses.triplet_margin_loss(jnp.zeros(2), p, n, norm_degree=degree)
    both = jax.jit(jax.value_and_grad(loss, (0, 1)))
    for size in (1e15, 1e25, 1e38):
        near, far = size * jnp.array([1.0, 1.0]), size * jnp.array([1.0, 0.0])
        if degree == 0.5:
            near = near / 4
        wanted = size * (2 ** (1 / degree) / (4 if degree == 0.5 else 1) - 1)
        np.testing.assert_allclose(both(near, far)[0], max(wanted, 0), rtol=1e-5, atol=1e-6 * size)
        np.testing.assert_allclose(both(far, near)[0], max(-wanted, 0), rtol=1e-5, atol=1e-6 * size)
        _, slopes = both(1.5 * near, far)
        assert all(np.isfinite(slope).all() for slope in slopes)
        np.testing.assert_allclose(slopes[0], 2 ** (1 / degree) / 2, rtol=1e-5)
