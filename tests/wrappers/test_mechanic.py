"""Mechanic: the first step by hand, learning rates that stop to matter, what it keeps and hands on, errors."""

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx
from tests.support import make_grads, make_params, train

THETA = jnp.array([3.0, -4.0])


def test_the_first_step_is_the_bases_times_s_init():
    tx = gradtx.mechanize(gradtx.sgd(0.5), s_init=1e-2)
    updates, state = tx.update(jnp.array([1.0, 2.0]), tx.init(THETA), THETA)
    chex.assert_trees_all_close(updates, jnp.array([-0.5, -1.0]) * 1e-2, rtol=1e-4)
    chex.assert_trees_all_equal(state.x0, THETA)
    chex.assert_trees_all_close(jnp.sum(state.s), 1e-2, rtol=1e-5)
    assert state.r.shape == state.m.shape == state.v.shape == state.s.shape == (6,)


@pytest.mark.parametrize("learning_rate", [1e-3, 1.0, 1e3])
def test_the_bases_learning_rate_does_not_matter(learning_rate):
    """Over six decades the scale makes up for it."""
    tx = gradtx.mechanize(gradtx.adam(learning_rate))
    loss = lambda x: jnp.sum(jnp.abs(x - 1))

    def body(carry, _):
        x, state = carry
        updates, state = tx.update(jax.grad(loss)(x), state, x)
        return (x + updates, state), None

    start = jnp.zeros(2)
    (last, _), _ = jax.lax.scan(body, (start, tx.init(start)), None, length=3000)
    assert loss(last) < 0.1 * loss(start)


def test_the_base_sees_the_gradients_and_the_extra_arguments():
    base = gradtx.polyak_sgd()
    tx = gradtx.mechanize(base, s_init=1.0)
    updates, _ = tx.update(THETA, tx.init(THETA), THETA, value=jnp.float32(12.5))
    chex.assert_trees_all_close(updates, -0.5 * THETA, rtol=1e-5)


def test_the_scale_grows_while_the_gradients_agree():
    params, tx = make_params(), gradtx.mechanize(gradtx.sgd(1.0), weight_decay=0.0)
    grads = jax.tree.map(jnp.ones_like, make_grads(30))
    _, state, _ = train(tx, params, grads)
    assert jnp.sum(state.s) > 1e-5
    turning = jax.tree.map(lambda g: g.at[::2].multiply(-1), grads)
    _, state, _ = train(tx, params, turning)
    assert jnp.sum(state.s) < 2e-6


def test_a_base_in_float16_is_scaled_in_float32():
    params = make_params(jnp.float16)
    tx = gradtx.mechanize(gradtx.sgd(1.0), num_betas=3)
    updates, state = tx.update(params, tx.init(params), params)
    assert {x.dtype for x in jax.tree.leaves(updates)} == {jnp.dtype(jnp.float16)}
    assert {x.dtype for x in jax.tree.leaves((state.x0, state.s))} == {jnp.dtype(jnp.float32)}
    assert state.s.shape == (3,)


def test_errors():
    tx = gradtx.mechanize(gradtx.sgd(0.1))
    with pytest.raises(ValueError, match="mechanize needs params"):
        tx.update(THETA, tx.init(THETA))
    with pytest.raises(TypeError, match="mechanize: base_optimizer must be a gradient transformation"):
        gradtx.mechanize(0.1)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="mechanize: num_betas must be in"):
        gradtx.mechanize(gradtx.sgd(0.1), num_betas=0)
