"""ZClip and AutoClip: spikes shrink, the history is not spoiled by them."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx


def run(tx, norms):
    """The norms that gradients of these norms leave with, and the last state."""
    state = tx.init({"w": jnp.zeros(4)})
    out = []
    for norm in norms:
        updates, state = tx.update({"w": jnp.full(4, norm / 2)}, state)
        out.append(float(jnp.linalg.norm(updates["w"])))
    return np.array(out), state


def test_zclip_by_hand():
    # After norms 1 and 3: mean 2, variance 1. A norm of 7 has z = 5 > 2: it is brought to 2 + 4 / 5.
    out, state = run(gradtx.zclip(2.0, 0.5, float("inf"), warmup_steps=2, eps=1e-9), [1.0, 3.0, 7.0])
    np.testing.assert_allclose(out, [1.0, 3.0, 2.8], rtol=1e-6)
    np.testing.assert_allclose(state.mean, 2.4, rtol=1e-6)
    np.testing.assert_allclose(state.var, 0.5 * 1.0 + 0.5 * 0.4**2, rtol=1e-6)


def test_zclip_brings_a_greater_spike_lower():
    quiet = [1.0, 1.1, 0.9, 1.0, 1.05]
    after = [run(gradtx.zclip(max_norm=10.0, warmup_steps=5), [*quiet, spike])[0][-1] for spike in (2.0, 20.0, 200.0)]
    assert 1.2 > after[0] > after[1] > after[2] > 1.0


@pytest.mark.parametrize("bad", [np.inf, np.nan])
@pytest.mark.parametrize("when", [1, 4])
def test_zclip_does_not_count_a_norm_that_is_not_finite(bad, when):
    norms = [1.0, 1.2, 0.8, 1.0, 1.1, 1.0]
    norms[when] = bad
    out, state = run(gradtx.zclip(warmup_steps=3), norms)
    chex.assert_tree_all_finite(state)
    assert 0.8 < out[-1] <= 1.0


def test_zclip_limits_the_norm_from_the_first_step():
    np.testing.assert_allclose(run(gradtx.zclip(max_norm=0.5), [3.0])[0], [0.5], rtol=1e-6)


def test_autoclip_by_hand():
    # Percentile 50 of {1}, {1, 3}, {1, 3, 8} and, with a history of three, {3, 8, 2}.
    out, state = run(gradtx.autoclip(50.0, history=3), [1.0, 3.0, 8.0, 2.0])
    np.testing.assert_allclose(out, [1.0, 2.0, 3.0, 2.0], rtol=1e-6)
    np.testing.assert_allclose(np.sort(state.norms), [2.0, 3.0, 8.0], rtol=1e-6)


def test_autoclip_agrees_with_numpy_percentiles():
    norms = np.random.default_rng(0).gamma(2.0, size=30)
    out, _ = run(gradtx.autoclip(17.0, history=100), norms)
    limits = [np.percentile(norms[: i + 1], 17.0) for i in range(30)]
    np.testing.assert_allclose(out, np.minimum(norms, limits), rtol=1e-5)


def test_autoclip_survives_an_infinite_norm():
    out, state = run(gradtx.autoclip(50.0, history=5), [1.0, 2.0, np.inf, 1.0])
    chex.assert_tree_all_finite(state)
    np.testing.assert_allclose(out[-1], 1.0, rtol=1e-6)


def test_errors():
    with pytest.raises(ValueError, match=r"zclip: z_threshold must be in \(0, inf\), got 0"):
        gradtx.zclip(0)
    with pytest.raises(ValueError, match=r"zclip: warmup_steps must be in \[1, inf\), got 0"):
        gradtx.zclip(warmup_steps=0)
    with pytest.raises(ValueError, match=r"autoclip: percentile must be in \[0, 100\], got 101"):
        gradtx.autoclip(101)
