"""Complex parameters as pairs of real ones."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.combine.complex import SplitRealAndImaginaryArrays, SplitRealAndImaginaryState
from tests.support import at, make_grads, make_params, types_of

PARAMS = {"z": jnp.array([1 + 2j, 3 - 4j], jnp.complex64), "x": jnp.array([5.0])}


def test_real_leaves_stay_as_they_are():
    tx = gradtx.split_real_and_imaginary(gradtx.sgd(0.5, 0.9))
    state = tx.init(PARAMS)
    assert isinstance(state, SplitRealAndImaginaryState)
    trace = state.inner_state[0].trace
    assert isinstance(trace["z"], SplitRealAndImaginaryArrays)
    assert isinstance(trace["x"], jax.Array)
    updates, after = tx.update(PARAMS, state, PARAMS)
    chex.assert_trees_all_close(updates, jax.tree.map(lambda p: -0.5 * p, PARAMS))
    assert types_of(after) == types_of(state)


def test_parts_are_scaled_apart():
    tx = gradtx.split_real_and_imaginary(gradtx.scale_by_rss(0.0, eps=0.0))
    updates, _ = tx.update(PARAMS, tx.init(PARAMS), PARAMS)
    np.testing.assert_allclose(updates["z"], [1 + 1j, 1 - 1j], rtol=1e-6)


def test_it_descends():
    target = jnp.array([1 - 1j, -2 + 0.5j], jnp.complex64)
    loss = lambda z: jnp.sum(jnp.abs(z - target) ** 2)
    tx = gradtx.split_real_and_imaginary(gradtx.adam(0.1))
    z = jnp.array([2 + 2j, 1 + 1j], jnp.complex64)

    def step(carry, _):
        z, state = carry
        updates, state = tx.update(jnp.conj(jax.grad(loss)(z)), state, z)
        return (gradtx.apply_updates(z, updates), state), None

    (z, _), _ = jax.lax.scan(step, (z, tx.init(z)), length=300)
    np.testing.assert_allclose(z, target, atol=1e-3)


def test_shapes_are_enough_for_init():
    tx = gradtx.split_real_and_imaginary(gradtx.adam(0.1))
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), PARAMS)
    assert types_of(tx.init(shapes)) == types_of(tx.init(PARAMS))


def test_agrees_with_optax():
    contrib = pytest.importorskip("optax.contrib")
    optax = pytest.importorskip("optax")
    params, grads = make_params(jnp.complex64), make_grads(5, jnp.complex64)
    ours = gradtx.split_real_and_imaginary(gradtx.adam(0.1))
    theirs = contrib.split_real_and_imaginary(optax.adam(0.1))
    state, other = ours.init(params), theirs.init(params)
    with jax.numpy_dtype_promotion("standard"):
        for t in range(5):
            updates, state = ours.update(at(grads, t), state, params)
            expected, other = theirs.update(at(grads, t), other, params)
            chex.assert_trees_all_close(updates, expected, rtol=1e-5, atol=1e-6)


def test_wrong_state():
    with pytest.raises(TypeError, match="state must be SplitRealAndImaginaryState from init, got tuple"):
        gradtx.split_real_and_imaginary(gradtx.sgd(0.1)).update(PARAMS, ())
