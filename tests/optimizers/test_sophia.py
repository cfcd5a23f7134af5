"""Sophia and its estimators: by hand, unbiased, lazy, Newton's step, errors."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.optimizers.sophia import SophiaState

A = jnp.array([[2.0, 0.5], [0.5, 1.0]])
B = jnp.array([0.3, -0.2])


def quadratic(params):
    return 0.5 * params["x"] @ A @ params["x"] + jnp.sum(B * params["y"] ** 2)


PARAMS = {"x": jnp.array([1.0, -2.0]), "y": jnp.array([0.5, 3.0])}


def test_hutchinson_is_exact_for_a_diagonal_and_unbiased():
    tx = gradtx.hutchinson()

    def step(state, _):
        h, state = tx.update(PARAMS, state, PARAMS, obj_fn=quadratic)
        return state, h

    _, hs = jax.lax.scan(step, tx.init(PARAMS), None, length=1000)
    chex.assert_trees_all_close(hs["y"], jnp.tile(2 * B, (1000, 1)), rtol=1e-6)
    assert set(np.unique(np.round(hs["x"][:, 0], 4))) == {1.5, 2.5}  # a_11 and plus or minus a_12
    np.testing.assert_allclose(hs["x"].mean(axis=0), jnp.diag(A), atol=0.06)


def test_gauss_newton_bartlett_estimates_the_fisher_diagonal():
    # A logit w for one coin: labels drawn from it have the Fisher information p (1 - p).
    w, batch = jnp.array(0.7), 64

    def sampled_loss(w, key):
        labels = jax.random.bernoulli(key, jax.nn.sigmoid(w), (batch,)).astype(w.dtype)
        return jnp.mean(jnp.logaddexp(0.0, w) - labels * w)

    tx = gradtx.gauss_newton_bartlett(batch)

    def step(state, _):
        h, state = tx.update(w, state, w, sampled_obj_fn=sampled_loss)
        return state, h

    _, hs = jax.lax.scan(step, tx.init(w), None, length=2000)
    p = jax.nn.sigmoid(w)
    np.testing.assert_allclose(hs.mean(), p * (1 - p), rtol=0.1)
    assert hs.std() > 0


def test_one_step_by_hand():
    tx = gradtx.scale_by_sophia(gradtx.hutchinson(), 0.5, 0.9, gamma=1.0, update_interval=2)
    params = {"y": PARAMS["y"]}
    loss = lambda params: jnp.sum(jnp.array([0.5, -1.0]) * params["y"] ** 2)
    g = {"y": jnp.array([0.02, 0.02])}
    u, state = tx.update(g, tx.init(params), params, obj_fn=loss)
    assert isinstance(state, SophiaState)
    np.testing.assert_allclose(state.nu["y"], [0.1, -0.2], rtol=1e-5)
    np.testing.assert_allclose(u["y"], [0.1, 1.0], rtol=1e-5)  # negative curvature: the sign of the average
    _, later = tx.update(g, state, params, obj_fn=lambda params: 100 * loss(params))
    np.testing.assert_array_equal(later.nu["y"], state.nu["y"])  # no estimate at this step
    assert later.hessian_fn_state.rng_key == state.hessian_fn_state.rng_key


def test_direction_is_newtons_where_nothing_is_clipped():
    tx = gradtx.scale_by_sophia(gradtx.hutchinson(), 0.0, 0.0, gamma=1.0, clip_threshold=float("inf"))
    params = {"y": jnp.array([3.0, -0.1])}
    loss = lambda params: jnp.sum(jnp.array([4.0, 0.01]) * params["y"] ** 2)
    u, _ = tx.update(jax.grad(loss)(params), tx.init(params), params, obj_fn=loss)
    chex.assert_trees_all_close(u, params, rtol=1e-5)


@pytest.mark.parametrize("jitted", [False, True])
def test_sophia_g_minimises(jitted):
    tx = gradtx.sophia_g(0.02, 4.0, weight_decay=None)
    x = jnp.array([1.0, -0.5])

    def step(x, state):
        loss = lambda x, key: jnp.sum(jnp.array([1.0, 3.0]) * x**2)
        g = jax.grad(loss)(x, None)
        return gradtx.step(tx, x, state, g, sampled_obj_fn=loss)

    run, state = jax.jit(step) if jitted else step, tx.init(x)
    for _ in range(200 if jitted else 2):
        x, state = run(x, state)
    assert np.abs(x).max() < (0.05 if jitted else 1)


def test_errors():
    missing = {"hutchinson needs obj_fn": gradtx.sophia_h(0.1)}
    missing["gauss_newton_bartlett needs sampled_obj_fn"] = gradtx.sophia_g(0.1, 8)
    for message, tx in missing.items():
        with pytest.raises(TypeError, match=message):
            tx.update(PARAMS, tx.init(PARAMS), PARAMS)
    tx = gradtx.hutchinson()
    with pytest.raises(ValueError, match="hutchinson needs params"):
        tx.update(PARAMS, tx.init(PARAMS), obj_fn=quadratic)
    with pytest.raises(TypeError, match=r"scale_by_sophia.*\['z'\]"):
        gradtx.scale_by_sophia(tx).init({"z": jnp.ones(2, jnp.complex64)})
    with pytest.raises(ValueError, match="update_interval must be in"):
        gradtx.sophia_h(0.1, update_interval=0)
