"""Codes that are a logarithm against the list of their numbers."""

from functools import partial
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core.codecs import coded, peaks
from gradtx.core.codecs.peaks import with_peaks
from gradtx.core.rules import keep_type
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


def test_the_least_numbers_that_are_squared_are_normal():
    assert kept([1e-42, 2.0**-126, 2.0**-70], True, 1e-20).tolist() == [0, 2.0**-126, 2.0**-70]


LOG4: Any = gradtx.log4(rounding="nearest", smallest=0)


@partial(jax.jit, static_argnums=1)
def in_4_bits(x, positive=False):
    """A first array, and each that takes its place in steps."""
    first = coded.encoded(x[0], LOG4, positive=positive)

    def step(kept, y):
        (again,) = with_peaks([y], [kept])
        kept = keep_type(again, kept)
        return kept, kept.decoded()

    return first, jax.lax.scan(step, first, x[1:])[1]


def rows_of(positive, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.choice([-1.0, 1.0], (5, 3, 40)) * 10.0 ** (rng.uniform(-3, 0, (5, 3, 40)) + [[4], [0], [-9]])
    return (np.abs(x) if positive else x).astype(np.float32)


@every_sign
def test_of_4_bits_every_number_comes_back(positive):
    values = oracles.octaves(signed=not positive)
    assert len(values) == 15
    for scale in (2.0**-100, 1.0, 2.0**40):
        x = np.asarray(np.union1d(values[values <= 1], [0]) * scale, np.float32)
        np.testing.assert_array_equal(in_4_bits(x[None], positive)[0].decoded(), x)


@every_sign
def test_of_4_bits_the_nearest_over_the_rows_largest_of_the_step_before(positive):
    """To the first step, the array's own; a row that was outgrown has its end, once."""
    x, values = rows_of(positive), oracles.octaves(signed=not positive)
    x[3, 1] *= 100
    first, found = in_4_bits(x, positive)
    scales = oracles.scale(np.float64(x))
    for k, (got, scale) in enumerate(zip([first.decoded(), *found], [scales[0], *scales], strict=False)):
        part = x[k] / scale
        wanted = scale * np.sign(part) * nearest_up(values[values >= 0], np.abs(part))
        np.testing.assert_array_equal(got, wanted)
    assert np.abs(found[2, 1]).max() == scales[2, 1] * values.max() < np.abs(x[3, 1]).max() / 4


def nearest_up(values, x):
    """The nearest of ascending numbers, of two the greater; what is never negative becomes 0 only if it is."""
    found = values[::-1][np.abs(values[::-1] - x[..., None]).argmin(-1)]
    return np.where((x > 0) & (len(values) > 8), np.maximum(found, values[1]), found)


def test_of_4_bits_ties_go_up():
    x = jnp.asarray([[1.0, 0.75, -0.75, 0.7499, 1 / 128, -1 / 128, 1 / 129]])
    np.testing.assert_array_equal(in_4_bits(x)[0].decoded(), [1, 1, -1, 0.5, 1 / 64, -1 / 64, 0])
    np.testing.assert_array_equal(in_4_bits(x[:, [0, 1, 3]], True)[0].decoded(), [1, 1, 0.5])


@every_sign
def test_of_4_bits_rows_of_zeros_and_what_is_not_finite_keep_their_scale(positive):
    x = np.ones((5, 2, 3), np.float32)
    x[1] = 0
    x[3, 0, 1], x[3, 1, 1] = np.nan, np.inf
    first, found = in_4_bits(x, positive)
    wanted = x[1:].copy()
    wanted[2, 1, 1] = np.nan
    np.testing.assert_array_equal(found, wanted)
    names = {name: (y.shape, y.dtype.name) for name, y in first.arrays.items()}
    assert names == {
        "codes": ((2, 3), "uint4" if positive else "int4"), "scales": ((2, 1), "float32"), "next": ((2, 1), "float32"),
    }  # fmt: skip


@every_sign
def test_of_4_bits_far_from_1(positive):
    """Rows that began at zero take a step to find their scale; none is so far off that its numbers are lost."""
    x = np.broadcast_to(np.array([[3e38], [2.0**90], [2.0**-80], [1e-37]], np.float32), (4, 4, 2)).copy()
    x[0] = 0
    found = np.asarray(in_4_bits(x, positive)[1])
    assert (found[0, :3] > 0).all() and (found[0] <= 2.0**-99).all()
    np.testing.assert_array_equal(found[1:, 1:3], x[2:, 1:3])
    np.testing.assert_array_equal(found[1:, 0], 2.0**126)
    np.testing.assert_array_equal(found[1:, 3], 2.0 ** (-100 - (12 if positive else 6)) * positive)


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0), (0, 3), (2, 3, 4)], ids=str)
def test_of_4_bits_shapes(shape):
    x = jnp.full((2, *shape), 0.5)
    first, found = in_4_bits(x)
    assert (first.shape, first.dtype, found.shape) == (shape, jnp.float32, (1, *shape))
    np.testing.assert_array_equal(first.decoded(), x[0])
    np.testing.assert_array_equal(found, x[1:])


@pytest.mark.parametrize("shape", [(4, 6), (7,), ()], ids=str)
def test_the_peaks_of_several_slots_are_one_reduction_on_a_gpu(shape):
    """And the same, whatever takes them: here on the CPU, and by the program for CUDA."""
    arrays = [jnp.sin(jnp.arange(k, k + np.prod(shape, dtype=int))).reshape(shape) for k in (1.0, 2.0)]
    apart, together = (f(*map(jnp.abs, map(jnp.atleast_1d, arrays))) for f in (peaks._apart, peaks._together))
    chex.assert_trees_all_equal(together, apart)
    state = [coded.encoded(x, LOG4) for x in arrays]
    chex.assert_trees_all_equal([x.peaks for x in with_peaks(arrays, state)], apart)
    step = jax.jit(lambda new, old: [x.peaks for x in with_peaks(new, old)])
    for platform, reductions in (("cuda", 1), ("cpu", 2)):
        text = step.trace(arrays, state).lower(lowering_platforms=(platform,)).as_text()
        assert text.count("stablehlo.reduce(") == reductions
