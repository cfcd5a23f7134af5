"""Rounding at random: right on average, to neighbours alone, other at each step, the same again, however it is cut."""

from functools import partial
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import gradtx
from gradtx.core.codecs import coded
from gradtx.core.codecs.coded import is_coded, seed_of
from gradtx.core.leafwise import leafwise
from gradtx.core.slots import Slot

CODECS = {
    "int8": gradtx.int8(4096, rounding="stochastic", smallest=0),
    "companded": gradtx.int8(4096, map="companded", rounding="stochastic", smallest=0),
    "int4": gradtx.int4(4096, rounding="stochastic", smallest=0),
    "float8": gradtx.float8(rounding="stochastic", smallest=0),
    "log8": gradtx.log8(smallest=0),
    "log4": gradtx.log4(smallest=0),
}
encoded: Any = coded.encoded
STEPS, PLACES = 64, 2048
every_codec = pytest.mark.parametrize("name", CODECS)
every_sign = pytest.mark.parametrize("positive", [False, True], ids=["signed", "positive"])


@partial(jax.jit, static_argnums=(1, 2, 3))
def runs(x, name, positive, counts=False):
    """An array, kept anew at each step."""
    first = encoded(x, CODECS[name], positive=positive, counts=counts)

    def step(kept, t):
        kept = kept.again(x, None if counts else seed_of(t, "nu"))
        return kept, kept.decoded()

    return jax.lax.scan(step, first, jnp.arange(1, STEPS + 1))[1]


@every_sign
@every_codec
def test_it_is_right_on_average_and_varies_as_it_must(name, positive):
    """Of n draws of variance v the mean is right to 5 sqrt(v / n); by the step, or by a count of its own."""
    x = 0.2345 if positive else -0.2345
    row = jnp.full(PLACES, x).at[0].set(1.0)
    found = np.asarray(runs(row, name, positive, counts=positive), np.float64)[:, 1:]
    low, high = np.unique(found)
    assert low < x < high, "the two neighbours, and nothing else"
    variance = (high - x) * (x - low)
    assert found.mean() == pytest.approx(x, abs=5 * np.sqrt(variance / found.size))
    assert found.var() == pytest.approx(variance, rel=0.05)
    # Draws that hung together, over the places of a step or the steps of a place, would show in the spread of means.
    for axis in (0, 1):
        spread = found.mean(axis=axis).var() * found.shape[axis] / variance
        assert spread == pytest.approx(1, abs=5 * np.sqrt(2 / found.shape[1 - axis]))


@every_codec
def test_what_has_a_code_keeps_it(name):
    row = jnp.asarray([1.0, 0.0, 0.5, -0.25])
    once = encoded(row, CODECS[name]).decoded()
    found = runs(jnp.where(jnp.arange(4) == 0, 1.0, once), name, False)
    np.testing.assert_array_equal(found, jnp.broadcast_to(found[0], found.shape))


@every_codec
def test_the_same_step_is_rounded_the_same(name):
    x = jnp.sin(jnp.arange(100.0)).reshape(4, 25)
    one, two = np.asarray(runs(x, name, False)), np.asarray(runs(x, name, False))
    np.testing.assert_array_equal(one, two)
    assert (one[0] != one[1]).mean() > 0.1
    first = encoded(x, CODECS[name], counts=False)
    again = jax.jit(lambda kept, t, slot: kept.again(x, seed_of(t, slot)).decoded(), static_argnums=2)
    np.testing.assert_array_equal(again(first, 1, "nu"), one[0])
    assert (again(first, 1, "mu") != one[0]).mean() > 0.1, "another slot"


@every_codec
@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit], ids=lambda kind: kind.name)
def test_it_is_the_same_however_it_is_cut(name, kind):
    x = jnp.sin(jnp.arange(8 * 64.0)).reshape(8, 64)
    wanted = np.asarray(runs(x, name, False))
    lying = NamedSharding(jax.make_mesh((8,), ("x",), axis_types=(kind,)), P("x"))
    found = runs(jax.device_put(x, lying), name, False)
    np.testing.assert_array_equal(found, wanted)


class MeanState(NamedTuple):
    mean: Slot


def half_rule(g, s):
    return s.mean, s._replace(mean=g)


mine = gradtx.transformation(lambda: leafwise(half_rule, MeanState))
pair = gradtx.GradientTransformation(
    lambda params: MeanState(jax.tree.map(jnp.zeros_like, params)), lambda g, s, params=None: (s.mean, MeanState(g))
)


@pytest.mark.parametrize("tx", [mine(), pair], ids=["rule", "pair"])
def test_a_state_that_counts_no_steps(tx):
    """It is rounded by a count of its own; else one noise would be a bias that never averages out."""
    tx = gradtx.stored(tx, gradtx.log8(smallest=0))
    g = {"a": jnp.full((4, 16), 0.2345), "b": jnp.full((4, 16), 0.2345)}

    @jax.jit
    def run(state):
        def step(state, _):
            updates, state = tx.update(g, state)
            return state, updates

        return jax.lax.scan(step, state, length=400)

    state = tx.init(g)
    assert all(map(is_coded, jax.tree.leaves(state, is_leaf=is_coded)))
    after, seen = run(state)
    assert after.mean["a"].arrays["count"] == after.mean["b"].arrays["count"]
    for x in seen.values():
        assert np.asarray(x[1:]).mean() == pytest.approx(0.2345, rel=2e-3)
        np.testing.assert_allclose(np.asarray(x[1:]).mean(axis=0), 0.2345, rtol=0.03)
    chex.assert_trees_all_equal(run(state), (after, seen))


def test_complex_parts_are_rounded_apart():
    x = jnp.full((64, 64), 0.2345 + 0.2345j, jnp.complex64)
    found = encoded(x, gradtx.log8(smallest=0)).again(x, seed_of(1, "mu"))
    assert (found.dtype, found.shape) == (jnp.complex64, (64, 64))
    y: Any = np.asarray(found.decoded())
    assert 0.3 < (y.real == y.imag).mean() < 0.7
    assert y.mean() == pytest.approx(0.2345 + 0.2345j, rel=0.01)
