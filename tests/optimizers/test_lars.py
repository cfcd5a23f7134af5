"""LARS and LAMB: a step by hand, relative lengths, where decay enters, agreement with Optax."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import assert_same_run, make_grads, make_params, train


def test_two_lars_steps_by_hand():
    """eta = 2, tau = 0.1, mu = 1/2: v = -2 0.1 5 (1, 0) = (-1, 0), then theta = (2, 4) and v = v / 2 - 0.2 |theta|."""
    tx = gradtx.lars(2.0, 0.1, momentum=0.5)
    params = jnp.array([3.0, 4.0])
    params, state = gradtx.step(tx, params, tx.init(params), jnp.array([7.0, 0.0]))
    np.testing.assert_allclose(params, [2, 4], rtol=1e-6)
    params, state = gradtx.step(tx, params, state, jnp.array([0.0, 3.0]))
    np.testing.assert_allclose(params, [1.5, 4 - 0.2 * np.sqrt(20)], rtol=1e-6)


def test_a_lamb_step_by_hand():
    """The first direction of Adam is the sign, (1, -1); lambda theta = (3, 4) joins it: u = (4, 3), of length 5."""
    tx = gradtx.lamb(0.1, eps=1e-12, weight_decay=1.0)
    params = jnp.array([3.0, 4.0])
    params, _ = gradtx.step(tx, params, tx.init(params), jnp.array([0.01, -50.0]))
    np.testing.assert_allclose(params, [3 - 0.4, 4 - 0.3], rtol=1e-5)


@pytest.mark.parametrize(("tx", "length"), [(gradtx.lamb(0.1), 0.1), (gradtx.lars(10.0, 0.01), 0.1)])
def test_the_first_step_is_a_share_of_each_leafs_length(tx, length):
    params = {"small": jnp.full(5, 1e-3), "large": jnp.full((3, 3), 1e4)}
    grads = {"small": jnp.full(5, 1e6), "large": jnp.full((3, 3), -1e-3)}
    updates, _ = tx.update(grads, tx.init(params), params)
    for name, p in params.items():
        np.testing.assert_allclose(jnp.linalg.norm(updates[name]) / jnp.linalg.norm(p), length, rtol=1e-3)


@pytest.mark.parametrize("make", [gradtx.lars, gradtx.lamb], ids=lambda make: make.__name__)
def test_a_strength_is_decoupled_inside_the_trust_ratio(make):
    params, grads = make_params(), make_grads(5)
    number, kind = make(0.1, weight_decay=0.1), make(0.1, weight_decay=gradtx.decoupled(0.1))
    chex.assert_trees_all_equal(train(number, params, grads)[2], train(kind, params, grads)[2])
    apart = make(0.1, weight_decay=gradtx.independent(0.1, 0.1))
    bare = make(0.1)
    first = jax.tree.map(
        lambda a, b, p: a[0] - b[0] + 0.1 * p, *(train(t, params, grads)[2] for t in (apart, bare)), params
    )
    chex.assert_trees_all_close(first, jax.tree.map(jnp.zeros_like, params), atol=1e-6)


def test_agrees_with_optax():
    optax = pytest.importorskip("optax")
    pairs = [
        (gradtx.lars(0.5, weight_decay=0.1), optax.lars(0.5, weight_decay=0.1)),
        (gradtx.lars(0.5, 0.01, nesterov=True), optax.lars(0.5, trust_coefficient=0.01, nesterov=True)),
        (gradtx.lamb(0.1, weight_decay=0.1), optax.lamb(0.1, weight_decay=0.1)),
    ]
    for ours, theirs in pairs:
        assert_same_run(ours, theirs)


def test_trust_ratio_mask():
    params, grads = {"w": jnp.full(4, 3.0), "b": jnp.full(4, 3.0)}, {"w": jnp.ones(4), "b": jnp.ones(4)}
    tx = gradtx.lars(0.1, 1.0, trust_ratio_mask="w")
    updates, _ = tx.update(grads, tx.init(params), params)
    chex.assert_trees_all_close(updates, {"w": jnp.full(4, -0.3), "b": jnp.full(4, -0.1)})


def test_errors():
    with pytest.raises(ValueError, match=r"scale_by_adam: eps and eps_root must not both be 0"):
        gradtx.lamb(0.1, eps=0.0)
    with pytest.raises(ValueError, match=r"lars: momentum must be in \[0, 1\], got 1.5"):
        gradtx.lars(0.1, momentum=1.5)
