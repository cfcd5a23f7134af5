"""Adafactor: one step by hand, memory, exactness on rank one, offsets, agreement with Optax, errors."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import at, make_grads, make_params, train


def test_one_step_by_hand():
    # At t = 1 b2 is 0: r = row means of g^2 = (2.5, 12.5), c = column means = (5, 10), mean r = 7.5.
    g = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    tx = gradtx.scale_by_factored_rms(min_dim_size_to_factor=2)
    u, state = tx.update(g, tx.init(g), g)
    np.testing.assert_allclose(u, g / np.sqrt(np.outer([2.5, 12.5], [5.0, 10.0]) / 7.5), rtol=1e-6)
    np.testing.assert_allclose(state.v_row, [2.5, 12.5], rtol=1e-6)
    np.testing.assert_allclose(state.v_col, [5.0, 10.0], rtol=1e-6)


def test_keeps_rows_and_columns_only():
    params = {"w": jnp.zeros((300, 200)), "small": jnp.zeros((300, 100)), "b": jnp.zeros(500)}
    state = gradtx.scale_by_factored_rms().init(params)
    assert (state.v_row["w"].shape, state.v_col["w"].shape, state.v["w"]) == ((200,), (300,), ())
    assert (state.v_row["small"], state.v_col["b"]) == ((), ())
    assert (state.v["small"].shape, state.v["b"].shape) == ((300, 100), (500,))


def test_factored_equals_whole_where_squares_have_rank_one():
    rng = np.random.default_rng(0)
    g = jnp.asarray(np.outer(rng.standard_normal(4), rng.standard_normal(3)), jnp.float32)
    factored, whole = (gradtx.scale_by_factored_rms(f, min_dim_size_to_factor=2) for f in (True, False))
    for tx in (factored, whole):
        u, _ = tx.update(g, tx.init(g), g)
        np.testing.assert_allclose(u, jnp.sign(g), rtol=1e-5)


def test_offset_forgets_until_it_is_reached():
    grads, params = make_grads(5), make_params()
    tx = gradtx.adafactor(0.1, decay_offset=3, multiply_by_parameter_scale=False, clipping_threshold=None)
    _, _, updates = train(tx, params, grads)
    early = jax.tree.map(lambda x: x[:4], (updates, grads))
    chex.assert_trees_all_close(early[0], jax.tree.map(lambda g: -0.1 * jnp.sign(g), early[1]), rtol=1e-5)
    assert not np.allclose(np.abs(updates["vector"][4]), 0.1)


def test_cap_keeps_the_average_moving():
    g = jnp.ones(3)
    tx = gradtx.scale_by_factored_rms(max_b2=0.5)
    state = tx.init(g)
    for _ in range(100):
        _, state = tx.update(g, state, g)
    u, _ = tx.update(10 * g, state, g)
    np.testing.assert_allclose(u, 10 / np.sqrt(0.5 + 50), rtol=1e-4)


def test_relative_step_follows_the_parameter():
    params = {"w": 100 * jnp.ones((2, 2)), "zero": jnp.zeros(3)}
    tx = gradtx.adafactor()
    updates, _ = tx.update(jax.tree.map(jnp.ones_like, params), tx.init(params), params)
    np.testing.assert_allclose(updates["w"], -1.0, rtol=1e-6)
    np.testing.assert_allclose(updates["zero"], -1e-5, rtol=1e-6)


@pytest.mark.parametrize("factored", [True, False])
def test_agrees_with_optax(factored):
    optax = pytest.importorskip("optax")
    kwargs: dict[str, Any] = dict(min_dim_size_to_factor=2, factored=factored, momentum=0.9)
    params, grads = make_params(), make_grads(20)
    ours = train(gradtx.adafactor(0.1, **kwargs), params, grads)
    theirs = train(optax.adafactor(0.1, **kwargs), params, grads)
    chex.assert_trees_all_close(ours[2], theirs[2], rtol=1e-5, atol=1e-6)


def test_decay_is_multiplied_by_the_learning_rate():
    params = make_params()
    zero = jax.tree.map(jnp.zeros_like, params)
    tx = gradtx.adafactor(0.1, weight_decay=0.5)
    updates, _ = tx.update(zero, tx.init(params), params)
    chex.assert_trees_all_close(updates, jax.tree.map(lambda p: -0.05 * p, params), rtol=1e-6)


def test_errors():
    with pytest.raises(ValueError, match=r"adafactor: min_dim_size_to_factor must be in \[1, inf\), got 0"):
        gradtx.adafactor(0.1, 0)
    with pytest.raises(ValueError, match="scale_by_param_block_rms needs params"):
        tx = gradtx.adafactor(0.1)
        tx.update(make_params(), tx.init(make_params()))
    with pytest.raises(ValueError, match=r"max_b2 must be in \[0, 1\]"):
        gradtx.scale_by_factored_rms(max_b2=1.5)


def test_block_rms_is_finite_for_large_blocks():
    g = jnp.full(5000, 1e18)
    for tx in (gradtx.clip_by_block_rms(1.0), gradtx.scale_by_factored_rms()):
        u, _ = tx.update(g, tx.init(g), g)
        np.testing.assert_allclose(u, 1.0, rtol=1e-3)
    assert at(g, 0) == 1e18
