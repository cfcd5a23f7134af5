"""Averages, their debiasing at any count, and roots and quotients with finite derivatives."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradtx.core import averages

DECAYS = [0.0, 1e-9, 0.5, 0.9, 0.999, 0.99999, 1 - 2.0**-20]
COUNTS = [1, 2, 3, 10, 1000, 10**6, 10**9]


def exact(decay, count):
    """1 - decay^count in double precision, from the decay that the caller gave."""
    return 1.0 if decay == 0 else -math.expm1(count * math.log1p(decay - 1))


@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jit"])
def test_missing_weight_is_exact_to_rounding(decay, jitted):
    function = jax.jit(averages.missing_weight) if jitted else averages.missing_weight
    for count in COUNTS:
        # Under jit a decay is a float32; its distance from 1 is what that float32 has.
        given = float(np.float32(decay)) if jitted else decay
        got = function(decay, jnp.float32(count))
        chex.assert_trees_all_close(np.float64(got), exact(given, count), rtol=4e-7)
        with jax.enable_x64(True):
            got = function(decay, jnp.float64(count))
            chex.assert_trees_all_close(np.float64(got), exact(decay, count), rtol=1e-13)


def test_the_plain_power_is_not_that_exact():
    """What `missing_weight` is for: the cancellation that it avoids is real."""
    plain = 1 - jnp.float32(0.99999) ** jnp.float32(3)
    assert abs(float(plain) / exact(0.99999, 3) - 1) > 1e-3


def test_missing_weight_has_a_derivative_everywhere():
    with jax.enable_x64(True):
        for decay in (0.0, 0.5, 0.999):
            for count in (1.0, 2.0, 5.0):
                got = jax.grad(averages.missing_weight)(decay, jnp.float64(count))
                chex.assert_trees_all_close(got, -count * decay ** (count - 1), rtol=1e-12)


def test_debias_undoes_the_zero_start():
    average = jnp.zeros(3)
    for t in range(1, 6):
        average = averages.ema(average, jnp.array([1.0, -2.0, 0.0]), 0.9)
        out = averages.debias(average, 0.9, jnp.int32(t))
        chex.assert_trees_all_close(out, jnp.array([1.0, -2.0, 0.0]), rtol=1e-6)
    chex.assert_trees_all_equal(averages.debias(average, 0.9, jnp.int32(2**31 - 1)), average)


def test_sqrt():
    x = jnp.array([0.0, 4.0, 1e-30])
    chex.assert_trees_all_equal(averages.sqrt(x), jnp.sqrt(x))
    root = jax.grad(averages.sqrt)
    assert root(0.0) == 0
    chex.assert_trees_all_close(root(4.0), 0.25)
    assert jax.grad(root)(0.0) == 0
    chex.assert_trees_all_close(jax.grad(root)(4.0), -1 / 32)
    assert jax.jvp(averages.sqrt, (0.0,), (1.0,))[1] == 0


def test_safe_divide():
    x, y = jnp.array([1.0, 0.0, 3.0]), jnp.array([0.0, 0.0, 2.0])
    chex.assert_trees_all_equal(averages.safe_divide(x, y), jnp.array([0.0, 0.0, 1.5]))
    for argnum in (0, 1):
        slope = jax.grad(lambda *a: averages.safe_divide(*a).sum(), argnums=argnum)(x, y)
        chex.assert_trees_all_close(slope, jnp.array([[0, 0, 0.5], [0, 0, -0.75]])[argnum])


def test_abs_sq():
    z = jnp.array([3 + 4j, -2j])
    chex.assert_trees_all_close(averages.abs_sq(z), jnp.array([25.0, 4.0]))
    assert averages.abs_sq(z).dtype == jnp.float32
    chex.assert_trees_all_close(averages.abs_sq(jnp.array([-3.0])), jnp.array([9.0]))


@pytest.mark.parametrize("axis", [None, 1, (0, 2)])
def test_mean_of_squares(axis):
    x = np.random.default_rng(0).standard_normal((3, 4, 5))
    for given in (x, x + 1j * x[::-1]):
        found = averages.mean_sq(jnp.asarray(given, jnp.complex64 if np.iscomplexobj(given) else jnp.float32), axis)
        np.testing.assert_allclose(found, np.mean(np.abs(given) ** 2, axis), rtol=1e-6)
    kept = averages.mean_sq(jnp.asarray(x, jnp.float32), axis, keepdims=True)
    np.testing.assert_allclose(kept, np.mean(x**2, axis, keepdims=True), rtol=1e-6)
    largest = jnp.full((3, 4, 5), jnp.finfo(jnp.float32).max ** 0.5 * 0.999)
    assert jnp.all(jnp.isfinite(averages.mean_sq(largest, axis)))
    assert averages.mean_sq(jnp.zeros((0,))) == 0
