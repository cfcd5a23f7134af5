"""Adaptive gradient clipping: by hand, on kernels of every rank, against Optax."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx

SHAPES = [(), (5,), (4, 3), (4, 2, 3), (3, 3, 4, 2), (2, 3, 3, 4, 2), (1, 6)]


def draw(shape, seed):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def test_one_step_by_hand():
    # Two output units, with weights of norm 5 and 0 and gradients of norm 10 and 1; the limit is 0.1 and eps 1e-2.
    params, grads = jnp.array([[3.0, 0.0], [4.0, 0.0]]), jnp.array([[6.0, 0.6], [8.0, 0.8]])
    tx = gradtx.adaptive_grad_clip(0.1, 0.01)
    updates, _ = tx.update(grads, tx.init(params), params)
    np.testing.assert_allclose(updates, [[0.3, 0.0006], [0.4, 0.0008]], rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_agrees_with_optax(shape):
    optax = pytest.importorskip("optax")
    params, grads = draw(shape, 0), draw(shape, 1)
    ours, theirs = gradtx.adaptive_grad_clip(0.3), optax.adaptive_grad_clip(0.3)
    updates, _ = ours.update(grads, ours.init(params), params)
    with jax.numpy_dtype_promotion("standard"):
        expected, _ = theirs.update(grads, theirs.init(params), params)
    chex.assert_trees_all_close(updates, expected, rtol=1e-6)


def test_axis_says_what_a_unit_is():
    params, grads = draw((2, 3, 4), 0), draw((2, 3, 4), 1)
    tx = gradtx.adaptive_grad_clip(0.1, axis=(0, 2))
    updates, _ = tx.update(grads, tx.init(params), params)
    norm = lambda x: np.sqrt(np.sum(np.square(x), axis=(0, 2)))
    np.testing.assert_allclose(norm(updates), 0.1 * norm(params), rtol=1e-5)


def test_a_small_gradient_passes():
    params, grads = draw((4, 3), 0), 1e-4 * draw((4, 3), 1)
    tx = gradtx.adaptive_grad_clip(0.1)
    chex.assert_trees_all_equal(tx.update(grads, tx.init(params), params)[0], grads)


def test_errors():
    tx = gradtx.adaptive_grad_clip(0.1)
    with pytest.raises(ValueError, match="adaptive_grad_clip needs params"):
        tx.update(draw((3,), 0), tx.init(draw((3,), 0)))
    big = jnp.ones((2,) * 6)
    with pytest.raises(
        ValueError, match=r"give axis, the axes of one unit, for a weight of shape \(2, 2, 2, 2, 2, 2\)"
    ):
        tx.update(big, tx.init(big), big)
