"""MARS: one step by hand, the correction, Adam without it, errors."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import make_grads, make_params, train


def test_two_steps_by_hand():
    tx = gradtx.scale_by_mars(0.5, 0.5, 1e-12, gamma=0.1, max_norm=float("inf"))
    state = tx.init(jnp.zeros(1))
    u, state = tx.update(jnp.array([2.0]), state)
    np.testing.assert_allclose(u, 1.0, rtol=1e-6)  # no correction at the first step
    _, state = tx.update(jnp.array([3.0]), state)
    c = 3 + 0.1 * 0.5 / 0.5 * (3 - 2)
    np.testing.assert_allclose([state.mu[0], state.g[0]], [0.25 * 2 + 0.5 * c, 3.0], rtol=1e-6)


def test_corrected_gradients_of_a_leaf_are_at_most_of_norm_one():
    grads = {k: 1e3 * v for k, v in make_grads(1).items()}
    mu = train(gradtx.scale_by_mars(0.0), make_params(), grads)[1].mu
    for x in mu.values():
        np.testing.assert_allclose(np.linalg.norm(x), 1.0, rtol=1e-5)


def test_without_gamma_it_is_adam():
    params, grads = make_params(), make_grads(10)
    ours = train(gradtx.mars(0.1, gamma=0.0, max_norm=float("inf")), params, grads)[2]
    chex.assert_trees_all_close(ours, train(gradtx.adam(0.1, 0.95, 0.99), params, grads)[2], rtol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match=r"gamma must be in \[0, inf\)"):
        gradtx.mars(0.1, gamma=-1.0)
