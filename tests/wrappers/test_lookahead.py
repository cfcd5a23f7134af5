"""Lookahead: its formula by hand, its exact cases, and Optax."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import at, make_grads, make_params, train


def test_by_hand():
    tx = gradtx.lookahead(gradtx.sgd(0.1), sync_period=2, slow_step_size=0.5)
    params, state = jnp.array(1.0), tx.init(jnp.array(1.0))
    seen = []
    for _ in range(4):
        updates, state = tx.update(jnp.array(1.0), state, params)
        params = gradtx.apply_updates(params, updates)
        seen.append((float(params), float(state.slow), int(state.steps_since_sync)))
    np.testing.assert_allclose(seen, [(0.9, 1.0, 1), (0.9, 0.9, 0), (0.8, 0.9, 1), (0.8, 0.8, 0)], rtol=1e-6)


@pytest.mark.parametrize("period", [1, 3])
def test_slow_step_size_one_changes_nothing_and_zero_learns_nothing(period):
    params, grads = make_params(), make_grads(6)
    fast = gradtx.adam(0.01)
    ahead, _, _ = train(gradtx.lookahead(fast, period, 1.0), params, grads)
    chex.assert_trees_all_close(ahead, train(fast, params, grads)[0], rtol=1e-6, atol=1e-6)
    still, _, _ = train(gradtx.lookahead(fast, period, 0.0), params, grads)
    chex.assert_trees_all_close(still, params, rtol=1e-6, atol=1e-7)


def test_reset_state_starts_the_fast_optimizer_anew():
    tx = gradtx.lookahead(gradtx.scale_by_adam(), 2, 0.5, reset_state=True)
    params, grads = make_params(), at(make_grads(1), 0)
    start = tx.init(params)
    _, state = tx.update(grads, start, params)
    assert int(state.fast_state.count) == 1
    _, state = tx.update(grads, state, params)
    chex.assert_trees_all_equal(state.fast_state, start.fast_state)


def test_evaluation_params_are_the_slow_weights():
    tx = gradtx.lookahead(gradtx.sgd(0.1), 3, 0.5)
    params, state, _ = train(tx, make_params(jnp.bfloat16), make_grads(4, jnp.bfloat16))
    slow = gradtx.evaluation_params(state, params)
    chex.assert_trees_all_equal(slow, jax.tree.map(lambda x: x.astype(jnp.bfloat16), state.slow))
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(state.slow))


def test_agrees_with_optax():
    optax = pytest.importorskip("optax")
    params, grads = make_params(), make_grads(20)
    theirs = optax.lookahead(optax.adam(0.01), 3, 0.4)
    both = optax.LookaheadParams.init_synced(params)
    state = theirs.init(both)
    with jax.numpy_dtype_promotion("standard"):
        for t in range(20):
            updates, state = theirs.update(at(grads, t), state, both)
            both = optax.apply_updates(both, updates)
    ours, state, _ = train(gradtx.lookahead(gradtx.adam(0.01), 3, 0.4), params, grads)
    chex.assert_trees_all_close(ours, both.fast, rtol=1e-5, atol=1e-5)
    chex.assert_trees_all_close(state.slow, both.slow, rtol=1e-5, atol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match=r"lookahead: sync_period must be in \[1, inf\), got 0"):
        gradtx.lookahead(gradtx.sgd(0.1), 0, 0.5)
    with pytest.raises(ValueError, match=r"slow_step_size must be in \[0, 1\], got 1.5"):
        gradtx.lookahead(gradtx.sgd(0.1), 5, 1.5)
    tx = gradtx.lookahead(gradtx.sgd(0.1), 5, 0.5)
    with pytest.raises(ValueError, match="lookahead needs params"):
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)))
