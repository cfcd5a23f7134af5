"""Clipping, centralization, noise and scaling by hand."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx


def apply(tx, g, params=None):
    return tx.update(g, tx.init(g), params)[0]


def test_clip():
    chex.assert_trees_all_equal(apply(gradtx.clip(1.0), jnp.array([-3.0, 0.5, 3.0])), jnp.array([-1.0, 0.5, 1.0]))
    chex.assert_trees_all_equal(apply(gradtx.clip(1.0), jnp.array([2 - 0.5j])), jnp.array([1 - 0.5j]))
    chex.assert_trees_all_equal(apply(gradtx.clip(0.0), jnp.ones(2)), jnp.zeros(2))


def test_clip_by_global_norm():
    g = {"a": jnp.array([3.0]), "b": jnp.array([[-4.0]])}
    clipped = apply(gradtx.clip_by_global_norm(1.0), g)
    chex.assert_trees_all_close(clipped, {"a": jnp.array([0.6]), "b": jnp.array([[-0.8]])})
    for limit in (5.0, 100.0, np.inf):
        chex.assert_trees_all_equal(apply(gradtx.clip_by_global_norm(limit), g), g)
    zeros = jax.tree.map(jnp.zeros_like, g)
    chex.assert_trees_all_equal(apply(gradtx.clip_by_global_norm(1.0), zeros), zeros)
    chex.assert_trees_all_equal(apply(gradtx.clip_by_global_norm(0.0), g), jax.tree.map(lambda x: 0 * x, g))


def test_clip_by_global_norm_of_what_is_not_finite():
    """As documented: a norm that overflows gives zeros, a NaN passes through; half precision does not overflow."""
    tx = gradtx.clip_by_global_norm(1.0)
    chex.assert_trees_all_equal(apply(tx, jnp.array([1e30, 1.0])), jnp.zeros(2))
    assert np.isnan(apply(tx, jnp.array([jnp.nan, 1.0]))).tolist() == [True, False]
    half = apply(tx, jnp.full(4, 60000.0, jnp.float16))
    chex.assert_trees_all_close(half, jnp.full(4, 0.5, jnp.float16), rtol=1e-3)


def test_clipping_scales_with_its_limit():
    slope = jax.grad(lambda limit: apply(gradtx.clip_by_global_norm(limit), jnp.array([3.0, 4.0]))[0])
    chex.assert_trees_all_close((slope(1.0), slope(9.0)), (0.6, 0.0))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_centralize(axis):
    g = {"w": jnp.arange(6.0).reshape(2, 3), "b": jnp.ones(3), "s": jnp.ones(())}
    out = apply(gradtx.centralize(axis), g)
    chex.assert_trees_all_close(out["w"].mean(1 if axis == 0 else 0), jnp.zeros(2 if axis == 0 else 3), atol=1e-6)
    chex.assert_trees_all_equal((out["b"], out["s"]), (g["b"], g["s"]))


def test_noise_has_the_variance_asked_for():
    zeros = jnp.zeros(20000)
    tx = gradtx.add_noise(4.0, 1.0, key=1)
    state = tx.init(zeros)
    for t in (1, 2, 3):
        u, state = tx.update(zeros, state)
        chex.assert_trees_all_close(jnp.var(u), 4.0 / t, rtol=0.05)
        chex.assert_trees_all_close(jnp.mean(u), 0.0, atol=0.05)


def test_noise_is_the_same_for_the_same_key_and_scales_with_eta():
    g = {"a": jnp.zeros(5), "b": jnp.zeros(5)}
    one, four = apply(gradtx.add_noise(1.0, 0.5, key=7), g), apply(gradtx.add_noise(4.0, 0.5, key=jax.random.key(7)), g)
    chex.assert_trees_all_close(jax.tree.map(lambda x: 2 * x, one), four)
    assert not np.allclose(one["a"], one["b"])
    assert not np.allclose(one["a"], apply(gradtx.add_noise(1.0, 0.5, key=8), g)["a"])
    old = apply(gradtx.add_noise(1.0, 0.5, key=jax.random.PRNGKey(7)), g)
    chex.assert_trees_all_close(one, old)
    chex.assert_trees_all_close(one, apply(gradtx.add_noise(1.0, 0.5, key=np.asarray(jax.random.PRNGKey(7))), g))


def test_scales():
    g = jnp.array([1.0, -2.0])
    chex.assert_trees_all_equal(apply(gradtx.scale(-0.5), g), -0.5 * g)
    chex.assert_trees_all_equal(apply(gradtx.scale_by_lr(0.5), g), -0.5 * g)
    chex.assert_trees_all_equal(apply(gradtx.identity(), g), g)
    chex.assert_trees_all_equal(apply(gradtx.set_to_zero(), jnp.array([jnp.nan, jnp.inf])), jnp.zeros(2))
    counting = gradtx.scale_by_schedule(lambda step: step.astype(jnp.float32) + 1)
    state = counting.init(g)
    for t in range(1, 4):
        u, state = counting.update(g, state)
        chex.assert_trees_all_equal(u, t * g)
    assert state.count == 3


def test_decay():
    params, g = jnp.array([2.0, -4.0]), jnp.array([1.0, 1.0])
    chex.assert_trees_all_close(apply(gradtx.add_decayed_weights(0.5), g, params), jnp.array([2.0, -1.0]))
    independent = gradtx.add_independent_decay(0.5, learning_rate=0.1, peak=0.2)
    chex.assert_trees_all_close(apply(independent, g, params), jnp.array([0.5, 2.0]))
