"""MADGRAD: one step by hand, decay of every kind, convergence, agreement with Optax, errors."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import make_grads, make_params, train


def test_one_step_by_hand():
    # eta = 0.1: s = 0.1 * 2, nu = 0.1 * 4; z = 1 - 0.2 / cbrt(0.4); theta moves half of the way there.
    params, g = jnp.array([1.0]), jnp.array([2.0])
    tx = gradtx.scale_by_madgrad(0.1, 0.5, 1e-30)
    u, state = tx.update(g, tx.init(params), params)
    np.testing.assert_allclose(u, -0.5 * 0.2 / np.cbrt(0.4), rtol=1e-5)
    np.testing.assert_allclose([state.s[0], state.grad_sum_sq[0], state.x0[0]], [0.2, 0.4, 1.0], rtol=1e-6)


def test_sums_grow_with_the_root_of_time():
    g, tx = jnp.array([1.0]), gradtx.scale_by_madgrad(0.1, eps=1e-30)
    state = tx.init(g)
    for _ in range(3):
        _, state = tx.update(g, state, g)
    np.testing.assert_allclose(state.s, 0.1 * (1 + np.sqrt(2) + np.sqrt(3)), rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "share"),
    [(0.5, 0.05), (gradtx.decoupled(0.5), 0.05), (gradtx.independent(0.5, peak=0.2), 0.25), (gradtx.coupled(0.0), 0.0)],
    ids=["number", "decoupled", "independent", "coupled"],
)
def test_weight_decay(kind, share):
    params = make_params()
    zero = jax.tree.map(jnp.zeros_like, params)
    tx = gradtx.madgrad(0.1, weight_decay=kind)
    updates, _ = tx.update(zero, tx.init(params), params)
    chex.assert_trees_all_close(updates, jax.tree.map(lambda p: -share * p, params), rtol=1e-5, atol=1e-7)


def test_minimises_a_quadratic():
    tx = gradtx.madgrad(0.1)
    x = jnp.array([3.0, -2.0])
    state = tx.init(x)
    step = jax.jit(lambda x, state: gradtx.step(tx, x, state, 2 * x))
    for _ in range(300):
        x, state = step(x, state)
    assert np.abs(x).max() < 0.05


def test_agrees_with_optax():
    optax = pytest.importorskip("optax")
    params, grads = make_params(), make_grads(20)
    for kwargs, decay in (({}, None), ({"weight_decay": 0.1}, gradtx.coupled(0.1))):
        ours = train(gradtx.madgrad(0.1, weight_decay=decay), params, grads)[2]
        theirs = train(optax.contrib.madgrad(0.1, **kwargs), params, grads)[2]
        chex.assert_trees_all_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match="scale_by_madgrad needs params"):
        tx = gradtx.scale_by_madgrad(0.1)
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)))
