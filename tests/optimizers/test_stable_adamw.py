"""StableAdamW: one step by hand, spikes, AdamW where gradients are steady, errors."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import make_params, train


def test_two_steps_by_hand():
    tx = gradtx.scale_by_stable_adam(0.0, 0.5, 1e-12)
    state = tx.init(jnp.zeros(2))
    _, state = tx.update(jnp.array([1.0, 1.0]), state)
    u, _ = tx.update(jnp.array([4.0, 1.0]), state)
    v = np.array([(0.25 + 0.5 * 16) / 0.75, 1.0])
    r = np.sqrt(np.mean(np.array([16.0, 1.0]) / v))
    np.testing.assert_allclose(u, np.array([4.0, 1.0]) / np.sqrt(v) / r, rtol=1e-5)


def test_a_spike_makes_a_step_no_larger():
    grads = {"w": jnp.concatenate([jnp.ones((50, 3)), 1e4 * jnp.ones((1, 3))])}
    params = {"w": jnp.zeros(3)}
    stable = train(gradtx.scale_by_stable_adam(0.0), params, grads)[2]["w"]
    adam = train(gradtx.scale_by_adam(0.0, 0.99), params, grads)[2]["w"]
    assert np.abs(stable).max() <= 1 + 1e-5
    assert np.abs(adam).max() > 5


def test_steady_gradients_see_adamw():
    params = make_params()
    grads = {k: jnp.broadcast_to(v, (10, *v.shape)) for k, v in make_params(seed=4).items()}
    ours = train(gradtx.stable_adamw(0.1), params, grads)[2]
    adamw = train(gradtx.adamw(0.1, 0.9, 0.99, 1e-6, weight_decay=1e-2), params, grads)[2]
    chex.assert_trees_all_close(ours, adamw, rtol=1e-4, atol=1e-6)


def test_errors():
    with pytest.raises(ValueError, match=r"b2 must be in \[0, 1\)"):
        gradtx.stable_adamw(0.1, b2=1.0)
