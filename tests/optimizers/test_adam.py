"""Adam: one step by hand, its published property, and second moments that survive bfloat16."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx


def test_two_steps_by_hand():
    """b1 = 1/2, b2 = 3/4, eta = 0.1, g = 2 then -4.

    Step 1: mu = 1, nu = 1; m = 1 / (1/2) = 2, v = 1 / (1/4) = 4; u = 2 / 2 = 1.
    Step 2: mu = -3/2, nu = 3/4 + 4 = 19/4; m = -2, v = (19/4) / (7/16) = 76/7; u = -2 / sqrt(76/7).
    """
    tx = gradtx.adam(0.1, 0.5, 0.75, 1e-30)
    params = jnp.array([3.0])
    updates, state = tx.update(jnp.array([2.0]), tx.init(params), params)
    chex.assert_trees_all_close(updates, jnp.array([-0.1]))
    chex.assert_trees_all_close(tuple(state[0]), (jnp.int32(1), jnp.array([1.0]), jnp.array([1.0])))
    updates, state = tx.update(jnp.array([-4.0]), state, params)
    chex.assert_trees_all_close(updates, jnp.array([0.2 / np.sqrt(76 / 7)]))
    chex.assert_trees_all_close(tuple(state[0]), (jnp.int32(2), jnp.array([-1.5]), jnp.array([4.75])))


MAKERS = [gradtx.adam, gradtx.nadam, gradtx.adamax, gradtx.amsgrad]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("size", [1e-3, 1e6])
def test_the_first_step_is_the_learning_rate_whatever_the_gradients_scale(make, size):
    g = size * jnp.array([1.0, -2.0])
    updates, _ = make(0.1, eps=1e-12).update(g, make(0.1, eps=1e-12).init(g), g)
    slack = 0.9 / 1.9 if make is gradtx.nadam else 0  # NAdam adds b1 times what is to come
    chex.assert_trees_all_close(updates, jnp.array([-0.1, 0.1]) * (1 + slack), rtol=1e-4)


@pytest.mark.parametrize("b1", [0.0, 0.9])
def test_the_step_is_invariant_to_the_gradients_scale(b1):
    grads = jnp.asarray(np.random.default_rng(0).standard_normal((6, 5)), jnp.float32)
    paths = []
    for size in (1.0, 1e4):
        tx = gradtx.adam(0.1, b1, eps=1e-30)
        state, path = tx.init(grads[0]), []
        for g in grads:
            updates, state = tx.update(size * g, state)
            path.append(updates)
        paths.append(jnp.stack(path))
    chex.assert_trees_all_close(*paths, rtol=1e-4)


def test_amsgrad_never_takes_a_larger_step_after_a_large_gradient():
    """Where Adam forgets a large gradient, AMSGrad does not."""
    grads = jnp.array([[10.0]] + [[0.1]] * 60)

    def last(tx):
        body = lambda state, g: tx.update(g, state)[::-1]
        return abs(float(jax.lax.scan(body, tx.init(grads[0]), grads)[1][-1, 0]))

    adam, amsgrad = last(gradtx.adam(1.0, 0.0, 0.9)), last(gradtx.amsgrad(1.0, 0.0, 0.9))
    assert adam > 0.3
    chex.assert_trees_all_close(amsgrad, 0.01, rtol=1e-4)


@pytest.mark.parametrize("g", [0.1, 3.0])
def test_bfloat16_second_moments_after_2000_steps(g):
    """1 - b2 = 0.001 is far below bfloat16's precision: a second moment kept or updated in it would stand still."""
    params = {"w": jnp.ones(4, jnp.bfloat16)}
    grads = {"w": jnp.full(4, g, jnp.bfloat16)}
    tx = gradtx.adamw(0.01)

    def body(carry, _):
        params, state = gradtx.step(tx, carry[0], carry[1], grads)
        return (params, state), state[0].nu["w"]

    (after, _), nu = jax.jit(lambda: jax.lax.scan(body, (params, tx.init(params)), length=2000))()
    exact = (1 - 0.999 ** np.arange(1, 2001)) * float(grads["w"][0]) ** 2
    chex.assert_trees_all_close(nu, np.broadcast_to(exact[:, None], (2000, 4)), rtol=0.01)
    assert after["w"].dtype == jnp.bfloat16
    assert np.all(np.asarray(after["w"], np.float32) < 1)


def test_decoupled_decay_acts_alone_where_gradients_are_zero():
    params = jnp.array([2.0, -4.0])
    zeros = jnp.zeros(2)
    for make in (gradtx.adamw, gradtx.nadamw, gradtx.adamaxw):
        updates, _ = make(0.1, weight_decay=0.5).update(zeros, make(0.1).init(params), params)
        chex.assert_trees_all_close(updates, -0.05 * params)
    independent = gradtx.adam(0.1, weight_decay=gradtx.independent(0.5, peak=0.2))
    updates, _ = independent.update(zeros, independent.init(params), params)
    chex.assert_trees_all_close(updates, -0.25 * params)
    coupled = gradtx.adam(0.1, weight_decay=gradtx.coupled(0.5))
    updates, _ = coupled.update(zeros, coupled.init(params), params)
    chex.assert_trees_all_close(updates, jnp.array([-0.1, 0.1]), rtol=1e-5)


def test_state_dtypes():
    state = gradtx.stored(gradtx.adam(0.1), mu="bfloat16", nu="float16").init({"w": jnp.ones(2)})[0]
    assert (state.mu["w"].dtype, state.nu["w"].dtype, state.count.dtype) == (jnp.bfloat16, jnp.float16, jnp.int32)
    complex_state = gradtx.adam(0.1).init(jnp.ones(2, complex))[0]
    assert (complex_state.mu.dtype, complex_state.nu.dtype) == (jnp.complex64, jnp.float32)
