"""The trust ratio: lengths by hand, zeros, masks, extreme sizes, agreement with Optax, errors."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import at, make_grads, make_params


def test_by_hand():
    tx = gradtx.scale_by_trust_ratio(trust_coefficient=0.1, eps=1.0)
    u, _ = tx.update(jnp.array([2.0, 0.0]), tx.init(jnp.zeros(2)), jnp.array([3.0, 4.0]))
    np.testing.assert_allclose(u, [0.1 * 5 * 2 / 3, 0], rtol=1e-6)


def test_every_leaf_has_the_length_of_its_parameter():
    params, grads = make_params(), at(make_grads(1), 0)
    u, _ = gradtx.scale_by_trust_ratio().update(grads, gradtx.scale_by_trust_ratio().init(params), params)
    norms = lambda tree: jax.tree.map(lambda x: jnp.sqrt(jnp.sum(x**2)), tree)
    chex.assert_trees_all_close(norms(u), norms(params), rtol=1e-6)


def test_a_zero_norm_leaves_the_update():
    g, zero = jnp.array([3.0, 4.0]), jnp.zeros(2)
    tx = gradtx.scale_by_trust_ratio()
    np.testing.assert_array_equal(tx.update(g, tx.init(g), zero)[0], g)
    np.testing.assert_array_equal(tx.update(zero, tx.init(g), g)[0], zero)
    floored = gradtx.scale_by_trust_ratio(0.5)
    np.testing.assert_allclose(floored.update(g, floored.init(g), zero)[0], [0.3, 0.4], rtol=1e-6)


@pytest.mark.parametrize(("p", "g"), [(1e18, 1e-18), (1e-18, 1e18), (1.0, 1e-18)])
def test_extreme_lengths(p, g):
    p, g = jnp.full(4, p), jnp.full(4, g)
    tx = gradtx.scale_by_trust_ratio()
    np.testing.assert_allclose(tx.update(g, tx.init(p), p)[0], p, rtol=1e-6)


def test_mask():
    params = {"w": jnp.full(4, 2.0), "b": jnp.full(4, 2.0)}
    grads = {"w": jnp.ones(4), "b": jnp.ones(4)}
    tx = gradtx.scale_by_trust_ratio(mask="w")
    u, _ = tx.update(grads, tx.init(params), params)
    chex.assert_trees_all_close(u, {"w": jnp.full(4, 2.0), "b": jnp.ones(4)})


def test_agrees_with_optax():
    optax = pytest.importorskip("optax")
    params, grads = make_params(), at(make_grads(1), 0)
    ours, theirs = gradtx.scale_by_trust_ratio(2.0, 0.3, 0.1), optax.scale_by_trust_ratio(2.0, 0.3, 0.1)
    u = ours.update(grads, ours.init(params), params)[0]
    chex.assert_trees_all_close(u, theirs.update(grads, theirs.init(params), params)[0], rtol=1e-5)


def test_errors():
    tx = gradtx.scale_by_trust_ratio()
    with pytest.raises(ValueError, match=r"scale_by_trust_ratio needs params"):
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)))
