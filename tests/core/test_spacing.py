"""Rounding to the grid of a narrower dtype, against ml_dtypes' conversions and by its distribution."""

import chex
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from gradtx.core.spacing import moving_as, octave, rounded, spacing

DTYPES = {
    "bfloat16": ml_dtypes.bfloat16,
    "float16": np.float16,
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8_e5m2": ml_dtypes.float8_e5m2,
}
EDGES = [0.0, -0.0, 1.0, -1.0, 1.00390625, -1.00390625, 1.01171875, 0.99609375, 255.5, 2.0, 1.9999999, 440.0]
EDGES += [2.0**-14 * 0.7, 2.0**-24, 2.0**-24 * 1.5, 2.0**-100]


@pytest.mark.parametrize("name", DTYPES)
def test_the_nearest_is_that_of_a_conversion(name):
    top = min(float(jnp.finfo(name).max), 1e30)
    rng = np.random.default_rng(0)
    x = (rng.normal(size=4000) * 10.0 ** rng.uniform(-6, np.log10(top) - 1, 4000)).astype(np.float32)
    x = np.concatenate([np.clip(x, -top, top), np.float32([e for e in EDGES if abs(e) <= top])])
    np.testing.assert_array_equal(rounded(jnp.asarray(x), name), x.astype(DTYPES[name]).astype(np.float32))


@pytest.mark.parametrize("name", DTYPES)
def test_at_random_it_is_one_of_two_neighbours_and_right_on_average(name):
    top = float(jnp.finfo(name).max)
    x = jnp.asarray([0.3, -0.3, 1.0003, 0.99999, -1.7, 1e-3, 5e-6, 0.6 * min(top, 1e9)], jnp.float32)
    noise = (jnp.arange(4096, dtype=jnp.float32) + 0.5) / 4096
    found = np.asarray(jax.vmap(lambda n: rounded(x, name, jnp.full(x.shape, n)))(noise))
    assert (found == found.astype(DTYPES[name]).astype(np.float32)).all()
    apart = np.asarray(spacing(x, name))
    assert (np.abs(found - x) < apart).all()
    assert (np.abs(found.mean(0) - x) <= apart / 4096).all()
    # A number of the grid stays, whatever the noise.
    there = rounded(x, name)
    chex.assert_trees_all_equal(rounded(there, name, jnp.full(x.shape, 0.0)), there)
    chex.assert_trees_all_equal(rounded(there, name, jnp.full(x.shape, 1 - 2.0**-24)), there)


@pytest.mark.parametrize("noise", [None, 0.3])
def test_what_is_beyond_becomes_the_largest_and_what_is_not_finite_stays(noise):
    x = jnp.asarray([1e6, -1e6, jnp.inf, -jnp.inf, jnp.nan], jnp.float32)
    found = rounded(x, "float16", noise if noise is None else jnp.full(x.shape, noise))
    np.testing.assert_array_equal(found, [65504, -65504, np.inf, -np.inf, np.nan])


def test_octaves_are_exact():
    x = np.float32(2.0) ** np.arange(-126, 128, dtype=np.float32)
    chex.assert_trees_all_equal(octave(jnp.asarray(x)), jnp.asarray(x))
    chex.assert_trees_all_equal(octave(jnp.asarray(np.nextafter(x, np.float32(np.inf)))), jnp.asarray(x))
    chex.assert_trees_all_equal(octave(jnp.asarray(np.nextafter(x[1:], np.float32(0)))), jnp.asarray(x[:-1]))
    chex.assert_trees_all_equal(octave(jnp.asarray(x * np.float32(1.75))), jnp.asarray(x))
    assert octave(jnp.float32(0)) == 0


def test_rounded_numbers_have_the_derivatives_of_what_they_round():
    f = lambda x: moving_as(rounded(x, "bfloat16"), x) ** 2
    assert jax.grad(f)(jnp.float32(1.001)) == 2 * rounded(jnp.float32(1.001), "bfloat16")
