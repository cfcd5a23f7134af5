"""Adam-atan2: one step by hand, scale invariance, bounds, Adam in the limit, errors."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import make_grads, make_params, train


def test_one_step_by_hand():
    g = jnp.array([3.0, -1e-3, 0.0])
    tx = gradtx.scale_by_adam_atan2(a=2.0, b=1.0)
    u, _ = tx.update(g, tx.init(g))
    np.testing.assert_allclose(u, 2 * np.pi / 4 * np.array([1, -1, 0]), rtol=1e-6)


def test_scale_of_gradients_plays_no_part():
    params, grads = make_params(), make_grads(10)
    ours = train(gradtx.adam_atan2(0.1), params, grads)[2]
    scaled = train(gradtx.adam_atan2(0.1), params, jax.tree.map(lambda g: g * 2.0**-40, grads))[2]
    chex.assert_trees_all_close(ours, scaled, rtol=1e-5)


def test_steps_are_bounded():
    grads = {"w": jnp.array([[1e-6]] * 50 + [[1e6]])}
    u = train(gradtx.scale_by_adam_atan2(0.9, 0.999, 1.0), {"w": jnp.zeros(1)}, grads)[2]["w"]
    assert np.abs(u).max() <= np.pi / 2


def test_adam_for_large_b():
    params, grads = make_params(), make_grads(10)
    ours = train(gradtx.scale_by_adam_atan2(a=1000.0, b=1000.0), params, grads)[2]
    chex.assert_trees_all_close(ours, train(gradtx.scale_by_adam(eps=1e-12), params, grads)[2], rtol=1e-4)


def test_complex_numbers_keep_their_phase():
    g = jnp.array([3.0 + 4.0j])
    tx = gradtx.scale_by_adam_atan2(a=4 / np.pi)
    u, _ = tx.update(g, tx.init(g))
    np.testing.assert_allclose(u, 0.6 + 0.8j, rtol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match=r"scale_by_adam_atan2: b must be in \(0, inf\), got 0.0"):
        gradtx.scale_by_adam_atan2(b=0.0)
