"""Measurements in the state, found by name."""

import jax
import jax.numpy as jnp
import numpy as np

import gradtx.compat.optax as optax

PARAMS = {"w": jnp.array([3.0, 4.0])}
GRADS = [{"w": jnp.array([3.0, 4.0]) * k} for k in (1.0, 2.0, 0.5)]


def test_snapshot():
    tx = optax.chain(optax.snapshot("norm", optax.tree.norm), optax.clip_by_global_norm(0.1))
    step, state = jax.jit(tx.update), tx.init(PARAMS)
    for grads, norm in zip(GRADS, (5.0, 10.0, 2.5), strict=True):
        updates, state = step(grads, state)
        np.testing.assert_allclose(optax.tree.get(state, "norm"), norm)
        np.testing.assert_allclose(optax.tree.norm(updates), 0.1, rtol=1e-6)
    assert isinstance(state[0], optax.SnapshotState)


def test_monitor():
    norm = lambda updates: optax.tree.norm(updates)
    measures = {
        "norm": norm,
        "mean": optax.measure_with_ema(norm, 0.9),
        "biased": optax.measure_with_ema(norm, 0.9, debias=False, accumulator_dtype=jnp.bfloat16),
        "share": optax.measure_with_ema(lambda updates: optax.tree.norm(updates) > 4, 0.9),
    }
    tx = optax.chain(optax.scale(2.0), optax.monitor(measures), optax.scale(0.0))
    state = tx.init(PARAMS)
    assert state[1].measurements == {}
    mean, weight, share = 0.0, 0.0, 0.0
    for grads, norm_now in zip(GRADS, (10.0, 20.0, 5.0), strict=True):
        updates, state = tx.update(grads, state, PARAMS, value=1.0)
        mean, weight, share = (0.9 * old + 0.1 * new for old, new in ((mean, norm_now), (weight, 1), (share, 1)))
        np.testing.assert_allclose(optax.tree.get(state, "norm"), norm_now, rtol=1e-6)
        np.testing.assert_allclose(optax.tree.get(state, "mean"), mean / weight, rtol=1e-5)
        np.testing.assert_allclose(optax.tree.get(state, "share"), share / weight, rtol=1e-5)
        np.testing.assert_allclose(float(optax.tree.get(state, "biased")), mean, rtol=1e-2)
        assert not jnp.any(updates["w"])
    assert state[1].measure_states[2][1].ema.dtype == jnp.bfloat16


def test_measures_get_extra_arguments():
    seen = optax.GradientTransformationExtraArgs(lambda params: (), lambda g, s, p=None, *, value, **extra: (value, s))
    tx = optax.monitor({"loss": seen})
    updates, state = tx.update(PARAMS, tx.init(PARAMS), value=3.0, other=1)
    assert optax.tree.get(state, "loss") == 3.0
    assert updates is PARAMS
