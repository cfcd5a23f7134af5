"""Laws 6 to 8: types are a fixed point, `init` reads only types, trees are kept, buffers can be donated."""

import warnings
from functools import partial

import chex
import jax
import jax.numpy as jnp

import gradtx
from tests.catalogue import every_row, every_transformation
from tests.laws.test_values import skip_exempt
from tests.support import FEW, at, make_grads, make_params, types_of

MIXED = {"a": jnp.float32, "b": jnp.bfloat16, "c": jnp.float16}


def mixed_params(seed):
    x = make_params(seed=seed)
    return {"a": x["matrix"], "b": x["matrix"].astype(jnp.bfloat16), "c": x["vector"].astype(jnp.float16)}


def extra_of(row, params, grads):
    return row.extra(params, grads) if row.extra else {}


@every_row
def test_state_types_are_a_fixed_point(row):
    skip_exempt(row, "fixed point")
    for params, grads in ((make_params(), at(make_grads(1), 0)), (mixed_params(0), mixed_params(1))):
        state = row.tx.init(params)
        step = lambda g, s, p: row.tx.update(g, s, p, **extra_of(row, p, g))
        updates, after = jax.eval_shape(step, grads, state, params)
        chex.assert_trees_all_equal_structs(state, after)
        assert types_of(state) == types_of(after)
        assert types_of(jax.eval_shape(row.tx.init, params)) == types_of(state)
        shapes = jax.tree.map(lambda x: (x.shape, x.dtype), grads)
        assert jax.tree.map(lambda x: (x.shape, x.dtype), updates) == shapes


@every_row
def test_init_reads_only_types(row):
    skip_exempt(row, "init")
    params = make_params()
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), params)
    assert types_of(jax.eval_shape(row.tx.init, params)) == types_of(jax.eval_shape(row.tx.init, shapes))
    assert types_of(row.tx.init(shapes)) == types_of(row.tx.init(params))


@every_transformation
def test_params_and_state_can_be_donated(row):
    grads = at(make_grads(1, shapes=FEW), 0)

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(params, state, grads):
        return gradtx.step(row.tx, params, state, grads, **extra_of(row, params, grads))

    for init in (row.tx.init, jax.jit(row.tx.init)):
        params = make_params(shapes=FEW)
        state = init(params)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(2):
                params, state = step(params, state, grads)
        chex.assert_tree_all_finite(params)


@every_transformation
def test_trees_are_kept(row):
    skip_exempt(row, "tree")
    full = make_params()
    params = {"x": None, "y": [full["matrix"], ()], "z": {"w": full["vector"], "empty": {}, "zero": jnp.zeros((0, 3))}}
    state = row.tx.init(params)
    step = lambda g, s, p: row.tx.update(g, s, p, **extra_of(row, p, p))
    updates, after = jax.eval_shape(step, params, state, params)
    chex.assert_trees_all_equal_structs(params, updates)
    chex.assert_trees_all_equal_structs(state, after)
    assert updates["x"] is None


@every_transformation
def test_a_missing_update_stays_so_and_keeps_its_slots(row):
    skip_exempt(row, "tree")
    params = {"w": make_params()["matrix"], "frozen": make_params()["vector"]}
    grads = {"w": make_params(seed=3)["matrix"], "frozen": None}
    step = lambda g, s, p: row.tx.update(g, s, p, **extra_of(row, p, p))
    state = row.tx.init(params)
    updates, after = jax.eval_shape(step, grads, state, params)
    assert updates["frozen"] is None
    assert types_of(after) == types_of(state)


@every_transformation
def test_empty_trees(row):
    skip_exempt(row, "tree")
    step = lambda p: row.tx.update(p, row.tx.init(p), p, **extra_of(row, p, p))[0]
    for params in ({}, (), []):
        assert jax.eval_shape(step, params) == params
