"""Fromage: a step by hand, norms that do not grow, small rates in float32, agreement with Optax, errors."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import assert_same_run, make_grads, make_params, train


def test_a_step_by_hand():
    """eta = 3/4: theta = (4, 0), g = (0, 9): (4, -3) / (5/4)."""
    tx = gradtx.fromage(0.75)
    params, _ = gradtx.step(tx, jnp.array([4.0, 0.0]), tx.init(jnp.zeros(2)), jnp.array([0.0, 9.0]))
    np.testing.assert_allclose(params, [3.2, -2.4], rtol=1e-6)


def test_orthogonal_gradients_keep_the_norm():
    """A gradient orthogonal to theta only turns it, by arctan(eta)."""
    tx = gradtx.fromage(0.1)

    def step(carry, _):
        params, state = carry
        return gradtx.step(tx, params, state, jnp.stack([-params[1], params[0]])), None

    params = jnp.array([2.0, 0.0])
    (params, _), _ = jax.lax.scan(step, (params, tx.init(params)), length=100)
    angle = -100 * np.arctan(0.1)
    np.testing.assert_allclose(params, [2 * np.cos(angle), 2 * np.sin(angle)], rtol=1e-4, atol=1e-4)


def test_the_shrinkage_of_small_rates_is_exact():
    """1 - 1 / sqrt(1 + eta^2) is eta^2 / 2 = 5e-9 for eta = 1e-4: far below float32's spacing at 1."""
    tx = gradtx.fromage(1e-4)
    updates, _ = tx.update(jnp.zeros(1), tx.init(jnp.ones(1)), jnp.ones(1))
    np.testing.assert_allclose(updates, -5e-9, rtol=1e-5)


def test_agrees_with_optax():
    optax = pytest.importorskip("optax")
    ours, theirs = gradtx.fromage(0.05, 0.5), optax.fromage(0.05, 0.5)
    assert_same_run(ours, theirs)


def test_follows_schedules():
    tx, fixed = gradtx.fromage(lambda step: jnp.full_like(step, 0.1, jnp.float32)), gradtx.fromage(0.1)
    params, grads = make_params(), make_grads(3)
    chex.assert_trees_all_close(train(tx, params, grads)[2], train(fixed, params, grads)[2], rtol=1e-5)


def test_errors():
    tx = gradtx.fromage(0.1)
    with pytest.raises(ValueError, match=r"scale_by_fromage needs params"):
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)))
