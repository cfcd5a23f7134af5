"""Every schedule is its formula, and a value: printed, compared, hashed, jitted, stacked and differentiated."""

import importlib
import pkgutil
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx.schedules
from gradtx.core.schedule import Schedule
from gradtx.core.values import Maker
from gradtx.schedules.cosine import warmup_cosine_decay_schedule
from gradtx.schedules.exponential import exponential_decay
from gradtx.schedules.join import join_schedules, warmup
from gradtx.schedules.polynomial import constant_schedule
from tests.schedules.cards import CARDS, Card, reciprocal

FILES = pkgutil.iter_modules(gradtx.schedules.__path__, "gradtx.schedules.")
MODULES = [importlib.import_module(file.name) for file in FILES]
MAKERS = {name: x for module in MODULES for name, x in vars(module).items() if isinstance(x, Maker)}
cards = pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)


def in_floats(schedule: Schedule) -> Schedule:
    """Every leaf as an array of the default float."""
    return jax.tree.map(lambda x: jnp.asarray(x, float), schedule)


def scaled(schedule: Schedule, factor: float) -> Schedule:
    """Every leaf as an array of the default float, times a factor."""
    return jax.tree.map(lambda x: x * factor, in_floats(schedule))


def test_every_schedule_has_a_card():
    assert {card.schedule.name for card in CARDS} == set(MAKERS)


@cards
@pytest.mark.parametrize("x64", [True, False])
def test_formula(card: Card, x64: bool):
    with jax.enable_x64(x64):
        got = [card.schedule(step) for step in card.steps]
        wanted = np.array([card.oracle(step) for step in card.steps])
        assert all(x.dtype == jnp.result_type(float) and x.shape == () for x in got)
        tolerance = (1e-12 if x64 else 1e-6) * np.abs(wanted).max()
        np.testing.assert_allclose(np.array(got), wanted, rtol=0, atol=tolerance)


@cards
def test_array_of_steps_jitted_with_traced_leaves(card: Card):
    steps = jnp.arange(60).reshape(3, 20)
    wanted = [[card.oracle(int(t)) for t in row] for row in np.asarray(steps)]
    run = jax.jit(lambda schedules, steps: [schedule(steps) for schedule in schedules])
    for got in run((card.schedule, in_floats(card.schedule)), steps):
        assert got.shape == steps.shape
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())


@cards
def test_equal_hashed_printed(card: Card):
    rebuilt = jax.tree.unflatten(jax.tree.structure(card.schedule), jax.tree.leaves(card.schedule))
    assert rebuilt == card.schedule and hash(rebuilt) == hash(card.schedule) and repr(rebuilt) == repr(card.schedule)
    again = eval(repr(card.schedule), {**MAKERS, "Schedule": Schedule, "reciprocal": reciprocal})
    assert again == card.schedule and hash(again) == hash(card.schedule)
    if jax.tree.leaves(card.schedule):
        assert jax.tree.map(lambda x: x + 1, card.schedule) != card.schedule


@cards
def test_one_trace_for_all_leaves(card: Card):
    traces: list[Schedule] = []
    run = jax.jit(lambda schedule, step: traces.append(schedule) or schedule(step))
    for k in range(3):
        run.eval_shape(scaled(card.schedule, 1 + 0.01 * k), jnp.asarray(k, jnp.int32))
    assert len(traces) == 1


@cards
def test_stacked_equals_separate(card: Card):
    values = [scaled(card.schedule, 1 + 0.05 * k) for k in range(3)]
    steps = jnp.array(card.steps)
    stacked = jax.tree.map(lambda *xs: jnp.stack(xs), *values)
    run = lambda schedule: schedule(steps)
    got, wanted = jax.jit(lambda stacked, values: (jax.vmap(run)(stacked), [*map(run, values)]))(stacked, values)
    chex.assert_trees_all_close(list(got), wanted, rtol=2e-6, atol=1e-7)


@cards
def test_gradients_are_finite(card: Card):
    slopes: Any = jax.jit(jax.vmap(jax.grad(lambda schedule, step: schedule(step)), (None, 0)))
    for leaf in jax.tree.leaves(slopes(in_floats(card.schedule), jnp.array(card.steps))):
        assert np.all(np.isfinite(leaf))


def test_gradient_is_the_slope():
    """By hand: d/d peak is (1 + cos(pi/3)) / 2 a third down, d/d warmup_steps is -peak t / warmup_steps^2 going up."""
    schedule = in_floats(warmup_cosine_decay_schedule(0.0, 2.0, 10, 40))
    slope = jax.grad(lambda schedule, step: schedule(step))
    assert slope(schedule, 20).peak_value == pytest.approx(0.75)
    assert slope(schedule, 4).warmup_steps == pytest.approx(-2.0 * 4 / 100)


def test_sweep_over_warmup_length():
    lengths = jnp.array([0.0, 5.0, 10.0])
    values = jax.vmap(lambda n: warmup(constant_schedule(1.0), n)(4))(lengths)
    np.testing.assert_allclose(values, [1.0, 0.8, 0.4], rtol=1e-6)


@pytest.mark.parametrize("every", [3, 7, 10, 49])
def test_stairs_are_at_whole_multiples(every: int):
    steps = np.arange(2000)
    schedule = exponential_decay(1.0, every, 2.0 ** (1 / 64), staircase=True)
    for run in (jax.jit(schedule), lambda t: jax.jit(lambda s, t: s(t))(schedule, t)):
        got = np.log2(np.asarray(run(jnp.asarray(steps)), np.float64)) * 64
        np.testing.assert_array_equal(np.round(got), steps // every)


def test_nested_functions_see_whole_steps_and_nested_leaves_have_paths():
    seen: list[Any] = []
    joined = join_schedules((constant_schedule(0.5), lambda t: seen.append(t.dtype) or t * t), (3,))
    assert joined(5) == 4 and set(seen) == {jnp.dtype("int32")}
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(joined)]
    assert paths == [".schedules[0].value", ".boundaries[0]"]


def test_half_precision_leaves_do_not_lower_the_dtype():
    schedule = jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), join_schedules([constant_schedule(1.0)] * 2, [300]))
    assert schedule(299).dtype == jnp.float32
