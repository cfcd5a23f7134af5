"""Codes without a scale against the list of their numbers."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core.codecs import coded
from tests.core.codecs import oracles

every_sign = pytest.mark.parametrize("positive", [False, True], ids=["signed", "positive"])


@partial(jax.jit, static_argnums=(1, 2))
def _kept(x, positive, largest):
    codec = gradtx.log8(largest, rounding="nearest", smallest=0)
    found: Any = coded.encoded(x, codec, positive=positive)
    return found.decoded()


def kept(x, positive, largest=256.0):
    return np.asarray(_kept(jnp.asarray(x, jnp.float32), positive, largest))


@every_sign
def test_every_number_comes_back(positive):
    values = oracles.logarithm(signed=not positive)
    assert len(values) == 255
    np.testing.assert_array_equal(kept(values, positive), values)


@every_sign
def test_the_nearest(positive):
    rng = np.random.default_rng(0)
    x = np.float32(rng.choice([-1.0, 1.0], 4000) * 10.0 ** rng.uniform(-6, 2, 4000))
    x = np.abs(x) if positive else x
    np.testing.assert_array_equal(kept(x, positive), oracles.nearest(oracles.logarithm(signed=not positive), x))


@every_sign
def test_ties_go_up(positive):
    """In magnitude, also across an octave; and so from zero, where there are signs."""
    np.testing.assert_array_equal(kept([1.125, 1.375, 1.875, 0.9375], positive), [1.25, 1.5, 2, 1])
    below = np.nextafter(np.array([1.125, 1.875], np.float32), np.float32(0))
    np.testing.assert_array_equal(kept(below, positive), [1, 1.75])
    if not positive:
        np.testing.assert_array_equal(kept([-1.125, 2.0**-24, -(2.0**-24)], False), [-1.25, 2.0**-23, -(2.0**-23)])


def test_what_is_small():
    """Signed numbers become 0 or the least; what is never negative becomes 0 only if it is."""
    np.testing.assert_array_equal(kept([0, 2.0**-25, -(2.0**-25)], False), [0, 0, 0])
    np.testing.assert_array_equal(kept([0, 1e-20, 2.0**-47], True), [0, 2.0**-47, 2.0**-47])


@pytest.mark.parametrize(
    ("largest", "signed", "positive"),
    [(256.0, 384, 81920), (1.0, 1.5, 1.25), (100.0, 192, 20480), (2.0**-9, 1.5 / 512, 1.25 / 2**18)],
)
def test_what_is_large_becomes_the_largest(largest, signed, positive):
    np.testing.assert_allclose(kept([3e38, -3e38, largest], False, largest)[:2], [signed, -signed])
    assert kept([3e38], True, largest) == positive
    assert kept([largest], False, largest) == pytest.approx(largest, rel=1 / 8)
    assert kept([largest**2], True, largest) == pytest.approx(largest**2, rel=1 / 8)


@every_sign
def test_what_is_not_finite_is_no_number_alone(positive):
    found = kept([1.0, np.inf, np.nan, np.inf if positive else -np.inf, 2.0], positive)
    np.testing.assert_array_equal(found, [1, np.nan, np.nan, np.nan, 2])
