"""AdaDelta: one step by hand, units of the parameters, agreement with Optax, errors."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import assert_same_run, make_grads, make_params, train


def test_two_steps_by_hand():
    """rho = 3/4, eps = 1, g = 2 sqrt(3): e_g = 3, u = 2 sqrt(3) / 2, e_x = 3/4; then g = 0."""
    tx = gradtx.scale_by_adadelta(0.75, 1.0)
    u, state = tx.update(jnp.array([2 * np.sqrt(3)]), tx.init(jnp.zeros(1)))
    chex.assert_trees_all_close((u, *state), (jnp.array([np.sqrt(3)]), jnp.array([3.0]), jnp.array([0.75])), rtol=1e-6)
    u, state = tx.update(jnp.zeros(1), state)
    chex.assert_trees_all_close((u, *state), (jnp.zeros(1), jnp.array([2.25]), jnp.array([0.5625])), rtol=1e-6)


@pytest.mark.parametrize("size", [10.0, 1e3])
def test_steps_do_not_depend_on_the_scale_of_the_loss(size):
    params, grads = make_params(), make_grads(20)
    tx = gradtx.adadelta(eps=1e-12)
    _, _, updates = train(tx, params, jax.tree.map(lambda g: size * g, grads))
    chex.assert_trees_all_close(updates, train(tx, params, grads)[2], rtol=1e-3)


def test_agrees_with_optax():
    optax = pytest.importorskip("optax")
    ours = gradtx.adadelta(0.5, 0.8, 1e-5, weight_decay=gradtx.coupled(0.1))
    theirs = optax.adadelta(0.5, 0.8, 1e-5, weight_decay=0.1)
    assert_same_run(ours, theirs)


def test_errors():
    with pytest.raises(ValueError, match=r"adadelta: eps must be in \(0, inf\), got 0.0"):
        gradtx.adadelta(eps=0.0)
