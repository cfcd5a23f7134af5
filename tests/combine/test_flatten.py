"""One vector for all parameters."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import at, make_grads, make_params, types_of


def test_the_state_is_one_vector():
    params = make_params()
    state = gradtx.flatten(gradtx.adam(0.1)).init(params)
    assert state[0].mu.shape == (sum(x.size for x in jax.tree.leaves(params)),)
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), params)
    assert types_of(gradtx.flatten(gradtx.adam(0.1)).init(shapes)) == types_of(state)


def test_a_rule_of_each_leaf_becomes_one_of_all():
    params = {"a": jnp.array([3.0, 0.0]), "b": {"c": jnp.array([[4.0]])}}
    unit = gradtx.stateless_leafwise(lambda g: g / jnp.linalg.norm(g))
    updates, _ = gradtx.flatten(unit).update(params, ())
    chex.assert_trees_all_close(updates, {"a": jnp.array([0.6, 0.0]), "b": {"c": jnp.array([[0.8]])}})


def test_each_leaf_keeps_its_dtype():
    params = {"a": jnp.ones(2, jnp.bfloat16), "b": jnp.ones(3), "c": jnp.ones(2, jnp.complex64)}
    tx = gradtx.flatten(gradtx.sgd(0.5, 0.9))
    state = tx.init(params)
    assert state[0].trace.dtype == jnp.complex64
    updates, after = jax.jit(tx.update)(params, state, params)
    chex.assert_trees_all_equal(updates, jax.tree.map(lambda p: -0.5 * p, params))
    assert types_of(updates) == types_of(params)
    assert types_of(after) == types_of(state)


def test_missing_updates_count_as_zeros():
    params = {"w": jnp.ones(2), "frozen": jnp.ones(3)}
    tx = gradtx.flatten(gradtx.sgd(0.5, 0.9))
    updates, state = tx.update({"w": jnp.ones(2), "frozen": None}, tx.init(params), params)
    assert updates["frozen"] is None
    np.testing.assert_array_equal(updates["w"], [-0.5, -0.5])
    np.testing.assert_array_equal(state[0].trace, [0, 0, 0, 1, 1])


def test_agrees_with_optax():
    optax = pytest.importorskip("optax")
    params, grads = make_params(), make_grads(5)
    ours, theirs = gradtx.flatten(gradtx.adam(0.1)), optax.flatten(optax.adam(0.1))
    state, other = ours.init(params), theirs.init(params)
    with jax.numpy_dtype_promotion("standard"):
        for t in range(5):
            updates, state = ours.update(at(grads, t), state, params)
            expected, other = theirs.update(at(grads, t), other, params)
            chex.assert_trees_all_close(updates, expected, rtol=1e-5, atol=1e-6)


def test_errors():
    tx = gradtx.flatten(gradtx.sgd(0.5))
    with pytest.raises(TypeError, match=r"flatten: the parameter at \['n'\] is int32\(2,\)"):
        tx.init({"n": jnp.arange(2)})
    with pytest.raises(ValueError, match=r"flatten: updates and params have different trees: only params has \['b'\]"):
        tx.update({"a": jnp.ones(2)}, tx.init({"a": jnp.ones(2)}), {"a": jnp.ones(2), "b": jnp.ones(2)})
    with pytest.raises(ValueError, match=r"flatten: updates and params differ at \['a'\]: \(2,\) != \(3,\)"):
        tx.update({"a": jnp.ones(2)}, tx.init({"a": jnp.ones(2)}), {"a": jnp.ones(3)})
