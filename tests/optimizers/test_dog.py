"""DoG and L-DoG: steps by hand, the three first steps, freedom from the gradients' scale, errors."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import make_grads, make_params, train

THETA = jnp.array([3.0, 4.0])
MAKERS = {"dog": gradtx.dog, "ldog": gradtx.ldog, "dowg": gradtx.dowg}


def test_two_steps_by_hand():
    """r = 0.1 (1 + 5), G = 4: eta = 0.3; then r = 0.6 still (the way is 0.6), G = 4 + 12: eta = 0.15."""
    tx = gradtx.dog(init_step=0.1, eps=0.0)
    updates, state = tx.update(jnp.array([0.0, 2.0]), tx.init(THETA), THETA)
    chex.assert_trees_all_close(updates, jnp.array([0.0, -0.6]))
    assert not state[0].is_init_step
    params = THETA + updates
    updates, state = tx.update(jnp.array([12**0.5, 0.0]), state, params)
    chex.assert_trees_all_close(updates, jnp.array([-0.15 * 12**0.5, 0.0]), rtol=1e-5)
    chex.assert_trees_all_close((state[0].max_dist, state[0].sum_sq_norm_grads), (0.6, 16.0), rtol=1e-5)


@pytest.mark.parametrize(("kind", "eta"), [("heuristic", 0.3), ("distance", 0.05), ("learning_rate", 0.1)])
def test_kinds_of_first_step(kind, eta):
    tx = gradtx.dog(init_step=0.1, eps=0.0, init_kind=kind)
    updates, _ = tx.update(jnp.array([0.0, 2.0]), tx.init(THETA), THETA)
    chex.assert_trees_all_close(updates, jnp.array([0.0, -2 * eta]), rtol=1e-6)


def test_l_dog_is_dog_of_each_leaf():
    params, grads = make_params(), make_grads(8)
    run = lambda tx, *trees: train(tx, *trees)[2]
    one = lambda name: run(gradtx.dog(init_step=1e-2), params[name], grads[name])
    together, apart = jax.jit(lambda: (run(gradtx.ldog(reps_rel=1e-2), params, grads), {k: one(k) for k in params}))()
    chex.assert_trees_all_close(together, apart, rtol=1e-5)


@pytest.mark.parametrize("name", MAKERS)
def test_the_path_does_not_depend_on_the_gradients_scale(name):
    tx = MAKERS[name](eps=1e-30) if name != "dowg" else gradtx.dowg(init_estim_sq_dist=1e-2, eps=1e-20)
    params, grads = make_params(), make_grads(10)
    path = jax.jit(lambda c: train(tx, params, jax.tree.map(lambda g: c * g, grads))[2])
    chex.assert_trees_all_close(path(1.0), path(1e3), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("distance", [0.1, 100.0])
def test_any_distance_is_found_without_tuning(name, distance):
    """On |x - c|, to a tenth of the way."""
    tx, target = MAKERS[name](), jnp.array([1.0, -1.0]) * distance
    loss = lambda x: jnp.sum(jnp.abs(x - target))

    def body(carry, _):
        x, state = carry
        updates, state = tx.update(jax.grad(loss)(x), state, x)
        return (x + updates, state), x

    start = jnp.zeros(2)
    (last, _), _ = jax.lax.scan(body, (start, tx.init(start)), None, length=3000)
    assert loss(last) < 0.1 * loss(start)


def test_one_step_of_dowg_by_hand():
    """r^2 = 0.04, v = 0.04 * 4: eta = 0.04 / 0.4."""
    tx = gradtx.dowg(init_estim_sq_dist=0.04, eps=1e-20)
    updates, state = tx.update(jnp.array([0.0, 2.0]), tx.init(THETA), THETA)
    chex.assert_trees_all_close(updates, jnp.array([0.0, -0.2]))
    chex.assert_trees_all_close(state[0].weighted_sq_norm_grads, 0.16)


@pytest.mark.parametrize("name", MAKERS)
def test_a_number_of_decay_is_coupled_and_kinds_are_as_everywhere(name):
    make, g = MAKERS[name], jnp.array([1.0, 2.0])
    first = lambda tx, g: tx.update(g, tx.init(THETA), THETA)[0]
    expected = first(make(), g + 0.5 * THETA)
    chex.assert_trees_all_close(first(make(weight_decay=0.5), g), expected, rtol=1e-5)
    chex.assert_trees_all_close(first(make(weight_decay=gradtx.coupled(0.5)), g), expected, rtol=1e-5)
    decoupled = first(make(0.1, weight_decay=gradtx.decoupled(0.5)), g)
    chex.assert_trees_all_close(decoupled, first(make(0.1), g) - 0.05 * THETA, rtol=1e-5)


def test_the_start_is_kept_in_the_dtype_asked_for_and_apart_from_the_parameters():
    params = make_params()
    tx = gradtx.stored(gradtx.scale_by_dog(), init_params="bfloat16")
    state = tx.init(params)
    assert {x.dtype for x in jax.tree.leaves(state.init_params)} == {jnp.dtype(jnp.bfloat16)}
    state = gradtx.scale_by_dog().init(params)
    chex.assert_trees_all_equal(state.init_params, params)
    pointers = lambda tree: {np.asarray(x).ctypes.data for x in jax.tree.leaves(tree)}
    assert not pointers(state.init_params) & pointers(params)


@pytest.mark.parametrize("name", MAKERS)
def test_errors(name):
    tx = MAKERS[name]()
    with pytest.raises(ValueError, match=r"scale_by_\w+ needs params: call update\(updates, state, params\)"):
        tx.update(THETA, tx.init(THETA))
    with pytest.raises(ValueError, match="init_kind must be one of"):
        gradtx.dog(init_kind="best")
