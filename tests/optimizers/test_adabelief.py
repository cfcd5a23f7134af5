"""AdaBelief and ACProp: steps by hand, what belief means, agreement with Optax, errors."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import assert_same_run, train


def test_a_belief_step_by_hand():
    """b1 = b2 = 1/2, eps_root = 1/2, g = 4: mu = 2, nu = 4/2 + 1/2, m = 4, v = 5, u = 4 / sqrt(5)."""
    tx = gradtx.scale_by_belief(0.5, 0.5, 0.0, eps_root=0.5)
    u, state = tx.update(jnp.array([4.0]), tx.init(jnp.zeros(1)))
    np.testing.assert_allclose(u, 4 / np.sqrt(5), rtol=1e-6)
    np.testing.assert_allclose((state.mu, state.nu), [[2], [2.5]])


def test_acprop_steps_by_hand():
    """b1 = b2 = 1/2, eps_root = 1/2, g = 4 then 10: u = 4, then 10 / sqrt(5), with the 5 from the step before."""
    tx = gradtx.scale_by_acprop(0.5, 0.5, 0.0, eps_root=0.5)
    u, state = tx.update(jnp.array([4.0]), tx.init(jnp.zeros(1)))
    np.testing.assert_allclose(u, 4)
    u, state = tx.update(jnp.array([10.0]), state)
    np.testing.assert_allclose(u, 10 / np.sqrt(5), rtol=1e-6)
    np.testing.assert_allclose((state.mu, state.nu), [[6], [1.25 + 8 + 0.5]])


def test_a_steady_gradient_is_believed():
    """Where the gradient equals its average, steps grow far beyond Adam's; where it alternates, they do not."""
    steady, alternating = jnp.ones((50, 1)), jnp.tile(jnp.array([[1.0], [-1.0]]), (25, 1))
    for grads, low, high in ((steady, 3, 1e9), (alternating, 0, 1)):
        _, _, updates = train(gradtx.adabelief(1.0), jnp.zeros(1), grads)
        assert low < abs(float(updates[-1, 0])) < high
    chex.assert_trees_all_close(train(gradtx.adam(1.0), jnp.zeros(1), steady)[2], -steady, rtol=1e-5)


@pytest.mark.parametrize("size", [1.0, 100.0])
def test_acprop_does_not_divide_by_what_it_has_not_seen(size):
    """A last gradient `size` times as large makes a step `size` times as large: nu is from before it."""
    grads = jnp.array([[1.0], [-1.0]] * 10 + [[size]])
    _, _, updates = train(gradtx.acprop(1.0), jnp.zeros(1), grads)
    _, _, usual = train(gradtx.acprop(1.0), jnp.zeros(1), grads.at[-1].set(1.0))
    chex.assert_trees_all_close(updates[-1], size * usual[-1], rtol=1e-5)


@pytest.mark.parametrize("nesterov", [False, True])
def test_adabelief_agrees_with_optax(nesterov):
    optax = pytest.importorskip("optax")
    ours, theirs = gradtx.adabelief(0.1, nesterov=nesterov), optax.adabelief(0.1, nesterov=nesterov)
    assert_same_run(ours, theirs)


@pytest.mark.parametrize("make", [gradtx.scale_by_belief, gradtx.scale_by_acprop])
def test_errors(make):
    with pytest.raises(ValueError, match=rf"{make.__name__}: eps and eps_root must not both be 0"):
        make(eps=0.0, eps_root=0.0)
