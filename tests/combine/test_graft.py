"""Grafting: the direction of one transformation, the length of another."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.combine.graft import GraftState
from tests.support import at, make_grads, make_params

GRADS = {"a": jnp.array([3.0, 4.0]), "b": jnp.array([0.0, 12.0])}
UNIT = gradtx.stateless_leafwise(lambda g: g / jnp.linalg.norm(g))


def test_by_hand():
    per_leaf = gradtx.graft(gradtx.scale(-7.0), UNIT)
    updates, state = per_leaf.update(GRADS, per_leaf.init(GRADS))
    chex.assert_trees_all_close(updates, {"a": jnp.array([-0.6, -0.8]), "b": jnp.array([0.0, -1.0])})
    assert isinstance(state, GraftState)
    per_tree = gradtx.graft(gradtx.scale(-7.0), UNIT, per="tree")
    updates, _ = per_tree.update(GRADS, per_tree.init(GRADS))
    factor = -np.sqrt(2) / 13
    chex.assert_trees_all_close(updates, jax.tree.map(lambda g: factor * g, GRADS), rtol=1e-6)


@pytest.mark.parametrize("per", ["leaf", "tree"])
def test_directions_and_lengths(per):
    params, grads = make_params(), make_grads(5)
    d, m = gradtx.adam(0.1), gradtx.sgd(0.3, 0.9)
    tx = gradtx.graft(d, m, per=per)
    state, d_state, m_state = tx.init(params), d.init(params), m.init(params)
    norm = lambda tree: np.sqrt(sum(np.sum(np.square(x)) for x in jax.tree.leaves(tree)))
    for t in range(5):
        u, state = tx.update(at(grads, t), state, params)
        du, d_state = d.update(at(grads, t), d_state, params)
        mu, m_state = m.update(at(grads, t), m_state, params)
        parts = [({k: u[k]}, {k: du[k]}, {k: mu[k]}) for k in u] if per == "leaf" else [(u, du, mu)]
        for got, direction, magnitude in parts:
            np.testing.assert_allclose(norm(got), norm(magnitude), rtol=1e-5)
            factor = norm(magnitude) / norm(direction)
            want = {k: factor.astype(np.float32) * x for k, x in direction.items()}
            chex.assert_trees_all_close(got, want, rtol=1e-5, atol=1e-6)


def test_no_direction_no_step():
    tx = gradtx.graft(gradtx.set_to_zero(), gradtx.sgd(1.0))
    chex.assert_trees_all_equal(tx.update(GRADS, tx.init(GRADS))[0], jax.tree.map(jnp.zeros_like, GRADS))
    tx = gradtx.graft(gradtx.sgd(1.0), gradtx.sgd(1.0))
    zero = jax.tree.map(jnp.zeros_like, GRADS)
    grads = jax.grad(lambda tx: sum(jnp.sum(x) for x in jax.tree.leaves(tx.update(zero, tx.init(zero))[0])))(tx)
    chex.assert_tree_all_finite(grads)


def test_errors():
    with pytest.raises(ValueError, match="graft: per must be one of 'leaf', 'tree', got 'layer'"):
        gradtx.graft(gradtx.sgd(0.1), gradtx.sgd(0.1), per="layer")
    with pytest.raises(TypeError, match="graft: state must be GraftState from init, got tuple"):
        gradtx.graft(gradtx.sgd(0.1), gradtx.sgd(0.1)).update(GRADS, ())
    with pytest.raises(TypeError, match="graft: magnitude must be a gradient transformation"):
        gradtx.graft(gradtx.sgd(0.1), 0.1)  # pyright: ignore[reportArgumentType]
