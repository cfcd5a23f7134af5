"""Lookahead on Optax's pair of parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx.compat.optax as optax

PARAMS = {"x": jnp.array(3.0), "y": jnp.array([-3.0, 1.0])}
GRADS = {"x": jnp.array(2.0), "y": jnp.array([-2.0, 2.0])}


def run(tx, steps, ox=optax):
    """Parameters and state after some steps with the same gradients, the states' types held by a scan."""

    def step(carry, _):
        params, state = carry
        updates, state = tx.update(GRADS, state, params)
        return (ox.apply_updates(params, updates), state), None

    params = ox.LookaheadParams.init_synced(PARAMS)
    return jax.lax.scan(step, (params, tx.init(params)), length=steps)[0]


def test_by_hand():
    tx = optax.lookahead(optax.sgd(0.5), sync_period=3, slow_step_size=1 / 3)
    # x: 3 -> 2 -> 1 -> 0, a third of the way from 3 is 2; then 2 -> 1 -> 0 -> -1 and 1.
    for steps, fast, slow in ((2, 1.0, 3.0), (3, 2.0, 2.0), (5, 0.0, 2.0), (6, 1.0, 1.0)):
        params, state = run(tx, steps)
        np.testing.assert_allclose([params.fast["x"], params.slow["x"]], [fast, slow], rtol=1e-6)
        assert int(state.steps_since_sync) == steps % 3


@pytest.mark.parametrize(
    ("period", "step_size", "x"), [(1, 0.5, 1.0), (1, 0.0, 3.0), (1, 1.0, -1.0), (2, 1.0, -1.0), (2, 0.0, 3.0)]
)
def test_edges_are_exact(period, step_size, x):
    params, _ = run(optax.lookahead(optax.sgd(1.0), period, step_size), 2)
    assert float(params.slow["x"]) == float(params.fast["x"]) == x


@pytest.mark.parametrize("reset", [False, True])
def test_reset_state(reset):
    fast = optax.adam(0.1)
    _, state = run(optax.lookahead(fast, 3, 0.5, reset_state=reset), 3)
    assert int(state.fast_state[0].count) == (0 if reset else 3)
    np.testing.assert_array_equal(state.fast_state[0].mu["x"] == fast.init(PARAMS)[0].mu["x"], reset)


def test_equals_optax():
    theirs = pytest.importorskip("optax")
    run_one = lambda ox: run(ox.lookahead(ox.adam(0.1), 3, 0.3, True), 7, ox)[0]
    with jax.numpy_dtype_promotion("standard"):
        wanted = jax.tree.leaves(run_one(theirs))
    for a, b in zip(jax.tree.leaves(run_one(optax)), wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_updates_are_a_pair():
    tx = optax.lookahead(optax.polyak_sgd(), 2, 0.5)
    params = optax.LookaheadParams.init_synced(PARAMS)
    assert params.slow["x"] is not params.fast["x"]
    updates, _ = tx.update(GRADS, tx.init(params), params, value=1.0)
    assert isinstance(updates, optax.LookaheadParams)
    assert not jnp.any(updates.slow["y"])


def test_errors():
    with pytest.raises(ValueError, match="sync_period"):
        optax.lookahead(optax.sgd(1.0), 0, 0.5)
    tx = optax.lookahead(optax.sgd(1.0), 2, 0.5)
    with pytest.raises(TypeError, match="LookaheadParams"):
        tx.update(GRADS, tx.init(PARAMS), PARAMS)
