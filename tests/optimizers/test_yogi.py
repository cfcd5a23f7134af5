"""Yogi: one step by hand, slow forgetting, agreement with Optax, errors."""

import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import assert_same_run, train


def test_a_step_by_hand():
    """b1 = b2 = 1/2, nu = 1, g = 2 raises nu by 2, to 3; then g = 1 lowers it by 1/2."""
    tx = gradtx.scale_by_yogi(0.5, 0.5, 1.0, initial_accumulator_value=1.0, initial_mu=0.0, bias_correction=False)
    u, state = tx.update(jnp.array([2.0]), tx.init(jnp.zeros(1)))
    np.testing.assert_allclose((u, state.mu, state.nu), [[1 / (np.sqrt(3) + 1)], [1], [3]], rtol=1e-6)
    u, state = tx.update(jnp.array([1.0]), state)
    np.testing.assert_allclose((u, state.mu, state.nu), [[1 / (np.sqrt(2.5) + 1)], [1], [2.5]], rtol=1e-6)


def test_the_second_moment_moves_by_bounded_steps():
    """After a large gradient, small ones lower nu by (1 - b2) g^2 each, where Adam's falls geometrically."""
    grads = jnp.concatenate([jnp.full((1, 1), 10.0), jnp.full((100, 1), 0.1)])
    _, yogi, _ = train(gradtx.scale_by_yogi(b2=0.9), jnp.zeros(1), grads)
    _, adam, _ = train(gradtx.scale_by_adam(b2=0.9), jnp.zeros(1), grads)
    np.testing.assert_allclose(yogi.nu, 10 - 100 * 0.1 * 0.01, rtol=1e-4)
    assert float(adam.nu[0]) < 0.02


def test_agrees_with_optax():
    optax = pytest.importorskip("optax")
    pairs = [(gradtx.yogi(0.1), optax.yogi(0.1))]
    pairs += [(gradtx.scale_by_yogi(0.8, 0.9, eps_root=0.1), optax.scale_by_yogi(0.8, 0.9, eps_root=0.1))]
    for ours, theirs in pairs:
        assert_same_run(ours, theirs)


def test_errors():
    with pytest.raises(ValueError, match=r"scale_by_yogi: eps and eps_root must not both be 0"):
        gradtx.yogi(0.1, eps=0.0)
