"""What `kept` keeps, by its formulas: against NumPy's and ml_dtypes' numbers, and by its distribution."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.wrappers.keeping import BF16, KEEPINGS, RATE, draw, run


def bits(x):
    """The bits of float32 numbers."""
    return np.asarray(x, np.float32).view(np.uint32)


def floats(x):
    return np.asarray(x, np.uint32).view(np.float32)


def test_sixteen_bits_more_are_float32_to_the_bit():
    p, grads = draw(30)
    full = p.astype(np.float32)
    for g in grads:
        full = full - RATE * g
    new, state = run(gradtx.residual(16), p, grads)
    np.testing.assert_array_equal(gradtx.full_params(new, state), full)
    # The parameter is the upper half of the bits, one more if the lower half is at least its middle.
    upper = (bits(full) + 0x8000) & 0xFFFF0000
    np.testing.assert_array_equal(np.asarray(new).astype(np.float32), floats(upper))
    inward = bits(full).astype(np.int64) - upper.astype(np.int64)
    np.testing.assert_array_equal(np.sign(np.asarray(state.residual)) * np.sign(full), np.sign(inward))


def test_eight_bits_more_are_float32_rounded_to_them():
    p, grads = draw(10)
    full = p.astype(np.float32)
    for g in grads:
        x = bits(full - RATE * g)
        full = floats((x + 0x7F + ((x >> 8) & 1)) & 0xFFFFFF00)  # to the nearest, of two the even one
    new, state = run(gradtx.residual(rounding="nearest"), p, grads)
    np.testing.assert_array_equal(gradtx.full_params(new, state), full)
    assert state.residual.dtype == jnp.int8


def test_compensated_sums_are_kahans():
    p, grads = draw(20)
    theta, c = p, np.zeros_like(p)
    for g in grads:
        x = theta.astype(np.float32) + c.astype(np.float32) - RATE * g
        theta = x.astype(BF16)
        c = (x - theta.astype(np.float32)).astype(BF16)
    new, state = run(gradtx.kahan(rounding="nearest"), p, grads)
    np.testing.assert_array_equal(new, theta)
    np.testing.assert_array_equal(state.compensation, c)


@pytest.mark.parametrize("keeping", [gradtx.master(), gradtx.kahan("float32")], ids=["master", "kahan-float32"])
def test_masters_are_float32(keeping):
    p, grads = draw(20)
    full = p.astype(np.float32)
    for g in grads:
        full = full - RATE * g
    new, state = run(keeping, p, grads)
    np.testing.assert_allclose(gradtx.full_params(new, state), full, rtol=3e-7)
    np.testing.assert_array_equal(new, np.asarray(gradtx.full_params(new, state)).astype(BF16))


def test_at_random_parameters_go_to_a_neighbour_and_are_right_on_average():
    p, grads = jnp.full(200_000, 1, jnp.bfloat16), [jnp.full(200_000, -0.1)]
    new, _ = run(gradtx.stochastic(), p, grads)  # to 1.001, an eighth on the way to 1.0078125
    values, counts = np.unique(np.asarray(new).astype(np.float32), return_counts=True)
    np.testing.assert_array_equal(values, [1, 1.0078125])
    share = 0.001 / 0.0078125
    assert abs(counts[1] / 200_000 - share) < 4 * np.sqrt(share * (1 - share) / 200_000)
    other, _ = run(gradtx.stochastic(1), p, grads)
    chex.assert_trees_all_equal(run(gradtx.stochastic(), p, grads)[0], new)
    assert 0.2 < float(jnp.mean(other != new)) < 0.25  # as two of such draws differ


def test_a_key_is_a_seed_or_a_key():
    p, grads = jnp.full(1000, 1, jnp.bfloat16), [jnp.full(1000, -0.1)]
    by_seed, by_key = run(gradtx.stochastic(3), p, grads)[0], run(gradtx.stochastic(jax.random.key(3)), p, grads)[0]
    chex.assert_trees_all_equal(by_seed, by_key)


@pytest.mark.parametrize("keeping", [None, *KEEPINGS.values()], ids=["plain", *KEEPINGS])
def test_a_decay_below_the_spacing(keeping):
    """1 under a decay of 1e-6 a step: 0.9802 after 20,000 steps, for a plain bfloat16 exactly 1."""
    tx = gradtx.adamw(1e-4, weight_decay=0.01)
    tx = tx if keeping is None else gradtx.kept(tx, keeping)
    p = jnp.ones(1000, jnp.bfloat16)
    step = lambda _, c: gradtx.step(tx, *c, jnp.zeros_like(c[0]))
    p, state = jax.jit(lambda c: jax.lax.fori_loop(0, 20_000, step, c))((p, tx.init(p)))
    mean = float(jnp.mean(gradtx.full_params(p, state).astype(jnp.float32)))
    np.testing.assert_allclose(mean, 1 if keeping is None else np.exp(-0.02), atol=0 if keeping is None else 1e-3)
