"""Adan: steps by hand with the paper's factor, its decay, where Optax differs, errors."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import assert_same_run, train


def test_two_steps_by_hand():
    """b1 = b3 = 0, b2 = 1/4, g = 2 then 6, d = 0 then 4: n = 4 then (6 + 1)^2; v = 3 of debiasing 15/16."""
    tx = gradtx.scale_by_adan(0.0, 0.25, 0.0, 1.0)
    u, state = tx.update(jnp.array([2.0]), tx.init(jnp.zeros(1)))
    np.testing.assert_allclose(u, 2 / (2 + 1), rtol=1e-6)
    u, state = tx.update(jnp.array([6.0]), state)
    np.testing.assert_allclose(u, (6 + 0.25 * 3 / (15 / 16)) / (7 + 1), rtol=1e-6)
    np.testing.assert_allclose((state.m, state.v, state.n, state.g), [[6], [3], [49], [6]])
    assert int(state.count) == 2


def test_a_steady_gradient_gives_adams_step():
    """Without a change of g all averages debias to g: u = sign(g)."""
    _, _, updates = train(gradtx.scale_by_adan(), jnp.zeros(2), jnp.tile(jnp.array([3.0, -0.2]), (10, 1)))
    chex.assert_trees_all_close(updates, jnp.tile(jnp.array([1.0, -1.0]), (10, 1)), rtol=1e-5)


def test_proximal_decay_divides():
    """Without gradients theta <- theta / (1 + eta lambda), positive for any eta lambda."""
    tx = gradtx.adan(10.0, weight_decay=gradtx.proximal(3.0))
    params, _ = gradtx.step(tx, jnp.array([62.0]), tx.init(jnp.zeros(1)), jnp.zeros(1))
    np.testing.assert_allclose(params, 2, rtol=1e-6)


def test_agrees_with_optax_where_the_factors_meet():
    """Optax 0.2.8 has 1 - b2 for b2: the same only at b2 = 1/2."""
    optax = pytest.importorskip("optax")
    make = lambda of, b2, **decay: of.adan(0.1, b2=b2, **decay)
    assert_same_run(make(gradtx, 0.5), make(optax, 0.5))
    assert_same_run(make(gradtx, 0.5, weight_decay=0.1), make(optax, 0.5, weight_decay=0.1))
    with pytest.raises(AssertionError):
        assert_same_run(make(gradtx, 0.92), make(optax, 0.92))


def test_errors():
    with pytest.raises(ValueError, match=r"scale_by_adan: eps and eps_root must not both be 0"):
        gradtx.scale_by_adan(eps=0.0)
    with pytest.raises(ValueError, match=r"adan: b3 must be in \[0, 1\), got 1.5"):
        gradtx.adan(0.1, b3=1.5)
