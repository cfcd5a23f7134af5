"""NovoGrad: steps by hand, norms per leaf, agreement with Optax, errors."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import assert_same_run


def test_two_steps_by_hand():
    """b1 = 1/2, b2 = 3/4, lambda = 1/10, theta = (10, 0), g = (3, 4) then (0, 10).

    Step 1: nu = 25, mu = (0.6, 0.8) + (1, 0). Step 2: nu = 75/4 + 100/4 = 43.75, mu = (0.8, 0.4) + ...
    """
    tx = gradtx.scale_by_novograd(0.5, 0.75, 0.0, eps_root=1e-30, weight_decay=0.1)
    params = jnp.array([10.0, 0.0])
    u, state = tx.update(jnp.array([3.0, 4.0]), tx.init(params), params)
    np.testing.assert_allclose(u, [1.6, 0.8], rtol=1e-6)
    np.testing.assert_allclose(state.nu, 25)
    u, state = tx.update(jnp.array([0.0, 10.0]), state, params)
    np.testing.assert_allclose(u, [1.8, 0.4 + 10 / np.sqrt(43.75)], rtol=1e-6)
    np.testing.assert_allclose(state.nu, 43.75)


def test_each_leaf_has_its_own_norm():
    """The first step of every leaf has length 1, whatever the leaf's scale; its state has one norm per leaf."""
    grads = {"a": jnp.full((3, 4), 1e-3), "b": jnp.full(7, 1e5)}
    tx = gradtx.scale_by_novograd()
    u, state = tx.update(grads, tx.init(grads))
    for x in u.values():
        np.testing.assert_allclose(jnp.linalg.norm(x), 1, rtol=1e-4)
    chex.assert_tree_shape_prefix(state.nu, ())
    assert jax.tree.map(jnp.shape, state.nu) == {"a": (), "b": ()}


def test_agrees_with_optax():
    optax = pytest.importorskip("optax")
    for decay in (0.0, 0.1):
        ours, theirs = gradtx.novograd(0.1, weight_decay=decay), optax.novograd(0.1, weight_decay=decay)
        assert_same_run(ours, theirs)


def test_params_are_needed_for_its_decay_only():
    g = jnp.ones(2)
    gradtx.scale_by_novograd().update(g, gradtx.scale_by_novograd().init(g))
    tx = gradtx.scale_by_novograd(weight_decay=0.1)
    with pytest.raises(ValueError, match=r"scale_by_novograd needs params"):
        tx.update(g, tx.init(g))


def test_errors():
    with pytest.raises(ValueError, match=r"scale_by_novograd: eps and eps_root must not both be 0"):
        gradtx.novograd(0.1, eps=0.0)
