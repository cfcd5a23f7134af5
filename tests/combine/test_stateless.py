"""Transformations from functions without state."""

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx
from gradtx.core.states import EmptyState

PARAMS = {"a": jnp.array([1.0, 2.0]), "b": jnp.array(3.0)}


def test_functions_of_the_whole_tree():
    tx = gradtx.stateless(lambda updates, params: jax.tree.map(lambda g, p: g + 2 * p, updates, params))
    updates, state = tx.update(PARAMS, tx.init(PARAMS), PARAMS)
    chex.assert_trees_all_equal(updates, jax.tree.map(lambda p: 3 * p, PARAMS))
    assert state == EmptyState()
    normalised = gradtx.stateless(lambda updates: jax.tree.map(lambda g: g / 2, updates))
    chex.assert_trees_all_equal(normalised.update(PARAMS, ())[0], jax.tree.map(lambda p: p / 2, PARAMS))


def test_functions_of_one_array():
    tx = gradtx.stateless_leafwise(lambda g, p: g + 2 * p)
    chex.assert_trees_all_equal(tx.update(PARAMS, EmptyState(), PARAMS)[0], jax.tree.map(lambda p: 3 * p, PARAMS))
    named_p = gradtx.stateless_leafwise(lambda p: 2 * p)
    chex.assert_trees_all_equal(named_p.update(PARAMS, EmptyState())[0], jax.tree.map(lambda p: 2 * p, PARAMS))
    optional = gradtx.stateless_leafwise(lambda g, p=None: g if p is None else p)
    chex.assert_trees_all_equal(optional.update(PARAMS, EmptyState())[0], PARAMS)
    chex.assert_trees_all_equal(gradtx.stateless_leafwise(jnp.sign).update(PARAMS, ())[0]["a"], jnp.ones(2))


def test_an_empty_state_is_returned_and_others_are_refused():
    for tx in (gradtx.stateless(lambda updates: updates), gradtx.stateless_leafwise(lambda g: g)):
        assert tx.init(None) == EmptyState()
        assert tx.update(PARAMS, ())[1] == ()
        for state in ({}, None, 0, (1,)):
            with pytest.raises(TypeError, match=f"^{tx.name}: state must be EmptyState from init, got"):
                tx.update(PARAMS, state)


def test_functions_see_wide_arrays_and_updates_keep_dtypes():
    seen = []

    def f(g):
        seen.append(g.dtype)
        return g

    params = {"w": jnp.ones(2, jnp.bfloat16), "none": None}
    for tx in (gradtx.stateless(lambda u: jax.tree.map(f, u)), gradtx.stateless_leafwise(f)):
        updates, _ = tx.update(params, tx.init(params))
        assert updates["w"].dtype == jnp.bfloat16
        assert updates["none"] is None
    assert seen == [jnp.float32, jnp.float32]


def test_in_a_chain():
    tx = gradtx.chain(gradtx.stateless_leafwise(lambda g: 2 * g), gradtx.sgd(0.5))
    chex.assert_trees_all_equal(tx.update(PARAMS, tx.init(PARAMS))[0], jax.tree.map(lambda p: -p, PARAMS))


def test_errors():
    with pytest.raises(ValueError, match=r"stateless: updates and the function's result .* only updates has \['b'\]"):
        gradtx.stateless(lambda updates: {"a": updates["a"]}).update(PARAMS, ())
    with pytest.raises(ValueError, match=r"differ at \['a'\]: \(2,\) != \(\)"):
        gradtx.stateless(lambda updates: jax.tree.map(jnp.sum, updates)).update(PARAMS, ())
    with pytest.raises(ValueError, match="stateless_leafwise needs params"):
        gradtx.stateless_leafwise(lambda g, p: g).update(PARAMS, ())
