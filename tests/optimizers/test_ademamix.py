"""AdEMAMix: one step by hand, long memory, the warm-up schedules, agreement with Optax, errors."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import make_grads, make_params, train


def test_one_step_by_hand():
    g = jnp.array([2.0])
    tx = gradtx.scale_by_ademamix(0.9, 0.99, 0.999, 5.0, 0.0, eps_root=1e-30)
    u, state = tx.update(g, tx.init(g))
    np.testing.assert_allclose(u, (2 + 5 * 0.001 * 2) / 2, rtol=1e-5)  # m1 and nu debiased, m2 not
    np.testing.assert_allclose([state.m1[0], state.m2[0], state.nu[0]], [0.2, 0.002, 0.04], rtol=1e-4)


def test_simplified_sums_gradients():
    g = jnp.array([2.0])
    tx = gradtx.scale_by_simplified_ademamix(0.5, alpha=3.0, eps=1e-12)
    u, state = tx.update(g, tx.init(g))
    np.testing.assert_allclose(u, 1 + 3, rtol=1e-5)
    _, state = tx.update(g, state)
    np.testing.assert_allclose(state.m, 0.5 * 2 + 2)


def test_without_slow_average_it_is_adam():
    params, grads = make_params(), make_grads(10)
    ours = train(gradtx.ademamix(0.1, alpha=0.0), params, grads)[2]
    chex.assert_trees_all_close(ours, train(gradtx.adam(0.1), params, grads)[2], rtol=1e-6)


def test_alpha_warms_up_in_a_line():
    alpha = gradtx.ademamix_alpha_schedule(8.0, 4)
    np.testing.assert_allclose(alpha(jnp.arange(6)), [2, 4, 6, 8, 8, 8])


def test_half_life_of_b3_warms_up_in_a_line():
    b3 = gradtx.ademamix_b3_schedule(0.9, 0.9999, 1000)(jnp.array([0, 249, 499, 999, 5000]))
    half_life = np.log(0.5) / np.log(np.asarray(b3, np.float64))
    low, high = np.log(0.5) / np.log([0.9, 0.9999])
    np.testing.assert_allclose(half_life, low + (high - low) * np.array([0.001, 0.25, 0.5, 1, 1]), rtol=2e-3)


def test_agrees_with_optax():
    contrib = pytest.importorskip("optax").contrib
    params, grads = make_params(), make_grads(20)
    pairs = [
        (gradtx.ademamix(0.1, b3=0.99), contrib.ademamix(0.1, b3=0.99)),
        (gradtx.simplified_ademamix(0.01, alpha=2.0), contrib.simplified_ademamix(0.01, alpha=2.0)),
    ]
    for ours, theirs in pairs:
        with jax.numpy_dtype_promotion("standard"):
            expected = train(theirs, params, grads)[2]
        chex.assert_trees_all_close(train(ours, params, grads)[2], expected, rtol=1e-5, atol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match=r"ademamix: b3 must be in \[0, 1\), got 1.0"):
        gradtx.ademamix(0.1, b3=1.0)
    with pytest.raises(ValueError, match="eps and eps_root must not both be 0"):
        gradtx.scale_by_simplified_ademamix(eps=0.0)
    with pytest.raises(ValueError, match=r"ademamix_b3_schedule: init_value must be in \(0, 1\)"):
        gradtx.ademamix_b3_schedule(0.0, 0.9999, 10)
