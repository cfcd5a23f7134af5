"""SPAM and Stable-SPAM: spikes are clipped, resets start afresh."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx


def run(tx, grads):
    """Updates of a two-entry leaf, step by step, and the last state."""
    state = tx.init(jnp.zeros(2))
    out = []
    for g in grads:
        update, state = tx.update(jnp.asarray(g, jnp.float32), state)
        out.append(np.asarray(update))
    return np.array(out), state


def test_without_spikes_and_resets_spam_is_adam():
    grads = np.random.default_rng(0).standard_normal((20, 2))
    tx = gradtx.scale_by_spam(eps=1e-12, threshold=1e9)
    chex.assert_trees_all_close(run(tx, grads)[0], run(gradtx.scale_by_adam(eps=1e-12), grads)[0], rtol=1e-5)


def test_one_spike_by_hand():
    # nu is 0.1 after one step; with a threshold of 40 the entry 10 is brought to sqrt(40 * 0.1) = 2.
    tx = gradtx.scale_by_spam(0.5, 0.9, threshold=40.0, clip_after=0)
    _, state = run(tx, [[1.0, 1.0], [10.0, 1.0]])
    np.testing.assert_allclose(state.mu, [0.25 + 1.0, 0.25 + 0.5], rtol=1e-6)
    np.testing.assert_allclose(state.nu, [0.09 + 0.4, 0.09 + 0.1], rtol=1e-6)


def test_an_entry_that_was_always_zero_can_start():
    tx = gradtx.scale_by_spam(threshold=10.0, clip_after=0)
    updates, _ = run(tx, [[0.0, 1.0], [0.0, 1.0], [1.0, 1.0]])
    assert updates[-1, 0] > 0


def test_a_reset_forgets_and_warms_up():
    tx = gradtx.scale_by_spam(0.9, 0.99, eps=1e-12, reset_every=5, warmup_steps=1, debias_since_reset=True)
    updates, state = run(tx, np.ones((6, 2)))
    np.testing.assert_allclose(updates[:4], 1.0, rtol=1e-5)
    np.testing.assert_allclose(updates[4], 0.01, rtol=1e-3)
    np.testing.assert_allclose(updates[5], 1 - 0.495, rtol=1e-5)
    np.testing.assert_allclose(state.mu, 1 - 0.9**2, rtol=1e-5)


def test_stable_spam_does_not_see_the_scale_of_gradients():
    grads = np.random.default_rng(0).standard_normal((10, 2))
    tx = gradtx.scale_by_stable_spam()
    chex.assert_trees_all_close(run(tx, grads)[0], run(tx, 1e4 * grads)[0], rtol=1e-3)


def test_stable_spam_holds_a_spike_to_the_usual():
    grads = np.ones((8, 2))
    spiked = grads.copy()
    spiked[-1, 0] = 1e6
    updates, state = run(gradtx.scale_by_stable_spam(max_decay=0.9), spiked)
    assert np.all(np.abs(updates[-1]) < 4)
    chex.assert_tree_all_finite(state)


def test_stable_spam_resets():
    _, state = run(gradtx.scale_by_stable_spam(reset_every=4), np.ones((4, 2)))
    np.testing.assert_allclose(state.mu, 0.1 / np.sqrt(2), rtol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match=r"spam: reset_every must be in \[1, inf\), got 0"):
        gradtx.spam(0.1, reset_every=0)
    with pytest.raises(ValueError, match=r"stable_spam: max_decay must be in \[0, 1\), got 1"):
        gradtx.stable_spam(0.1, max_decay=1.0)
