"""Optax's schedules: its numbers, its leniency, and its types."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx.compat.optax as optax
from tests.support import compilations

CYCLE = {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 2, "decay_steps": 8, "end_value": 0.1}

SCHEDULES = {
    "constant": lambda ox: ox.constant_schedule(0.3),
    "linear": lambda ox: ox.linear_schedule(1.0, 0.1, 10, 3),
    "linear(0 steps)": lambda ox: ox.linear_schedule(1.0, 0.1, 0),
    "linear(begin < 0)": lambda ox: ox.linear_schedule(1.0, 0.1, 10, -4),
    "polynomial": lambda ox: ox.polynomial_schedule(1.0, 0.1, 0.5, 10, 2),
    "polynomial(-1 steps)": lambda ox: ox.polynomial_schedule(1.0, 0.1, 2, -1),
    "exponential": lambda ox: ox.exponential_decay(1.0, 7, 0.5, 3),
    "exponential(staircase)": lambda ox: ox.exponential_decay(1.0, 4, 2.0, staircase=True, end_value=3.0),
    "exponential(0 steps)": lambda ox: ox.exponential_decay(1.0, 0, 0.5),
    "exponential(rate 0)": lambda ox: ox.exponential_decay(1.0, 7, 0),
    "exponential(rate < 0)": lambda ox: ox.exponential_decay(1.0, 5, -0.5, -2, True),
    "cosine": lambda ox: ox.cosine_decay_schedule(2.0, 10, 0.1, 1.5),
    "warmup_constant": lambda ox: ox.warmup_constant_schedule(0.1, 1.0, 5),
    "warmup_constant(0 steps)": lambda ox: ox.warmup_constant_schedule(0.1, 1.0, 0),
    "warmup_cosine": lambda ox: ox.warmup_cosine_decay_schedule(0.1, 1.0, 5, 20, 0.05, 1.5),
    "warmup_cosine(peak 0)": lambda ox: ox.warmup_cosine_decay_schedule(0.3, 0.0, 5, 20, 0.1),
    "warmup_exponential": lambda ox: ox.warmup_exponential_decay_schedule(0.1, 1.0, 5, 4, 0.5, 3, True, 0.2),
    "piecewise_constant": lambda ox: ox.piecewise_constant_schedule(0.1, {10: 0.1, 5: 0.5}),
    "piecewise_constant(no steps)": lambda ox: ox.piecewise_constant_schedule(0.1),
    "piecewise_linear": lambda ox: ox.piecewise_interpolate_schedule("linear", 1.0, {0: 0.5, 5: 0.5, 12: 0.2}),
    "piecewise_cosine": lambda ox: ox.piecewise_interpolate_schedule("cosine", 1.0, {5: 0.5, 10: 0.1}),
    "linear_onecycle": lambda ox: ox.linear_onecycle_schedule(17, 1.0, 0.31, 0.77, 10.0, 100.0),
    "linear_onecycle(short)": lambda ox: ox.linear_onecycle_schedule(1, 1.0),
    "cosine_onecycle": lambda ox: ox.cosine_onecycle_schedule(17, 2.0, 0.31, 10.0, 100.0),
    "sgdr": lambda ox: ox.sgdr_schedule(CYCLE | {"peak_value": peak} for peak in (1.0, 0.5)),
    "join": lambda ox: ox.join_schedules(
        [lambda step: 2 * jnp.asarray(step, jnp.float32), ox.linear_schedule(1.0, 0.0, 4)], [6]
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_equal_optax(name):
    theirs = pytest.importorskip("optax")
    ours, wanted = SCHEDULES[name](optax), SCHEDULES[name](theirs)
    for step in (0, 1, 3, 4, 5, 6, 8, 9, 12, 13, 16, 17, 25, jnp.int32(7)):
        with jax.numpy_dtype_promotion("standard"):
            value = wanted(step)
        np.testing.assert_allclose(ours(step), value, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["linear", "cosine", "piecewise_linear", "sgdr"])
def test_jittable_on_ints(name):
    schedule = SCHEDULES[name](optax)
    np.testing.assert_allclose(jax.jit(schedule)(7), schedule(7), rtol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: optax.cosine_decay_schedule(1.0, 0),
        lambda: optax.warmup_cosine_decay_schedule(0.0, 1.0, 5, 5),
        lambda: optax.warmup_cosine_decay_schedule(0.0, 1.0, 5, 3),
        lambda: optax.linear_onecycle_schedule(0, 1.0),
        lambda: optax.cosine_onecycle_schedule(-1, 1.0),
        lambda: optax.piecewise_constant_schedule(1.0, {3: -1.0}),
        lambda: optax.piecewise_interpolate_schedule("linear", 1.0, {3: -1.0}),
        lambda: optax.piecewise_interpolate_schedule("root", 1.0, {3: 0.1}),
    ],
)
def test_errors(make):
    with pytest.raises(ValueError, match="must"):
        make()


def test_a_schedule_does_not_widen_16_bits():
    g = jnp.ones(2, jnp.bfloat16)
    assert (optax.linear_schedule(1.0, 0.1, 10)(3) * g).dtype == jnp.bfloat16
    assert (optax.cosine_decay_schedule(1.0, 10)(jnp.int32(3)) * g).dtype == jnp.bfloat16
    assert optax.constant_schedule(5)(100) == 5


def test_functions_get_whole_steps_since_their_boundary():
    table = jnp.array([10.0, 20.0, 30.0])
    schedule = optax.join_schedules([optax.constant_schedule(0.0), lambda step: table[step]], [4])
    np.testing.assert_array_equal([schedule(jnp.int32(step)) for step in (3, 4, 5, 6)], [0, 10, 20, 30])


def test_traced_values():
    value = jax.jit(lambda x: optax.linear_schedule(x, 0.0, 10)(jnp.int32(5)))(2.0)
    np.testing.assert_allclose(value, 1.0)


def test_wrapped_schedule():
    schedule = optax.schedules.WrappedSchedule(optax.linear_schedule(1.0, 0.0, 4))
    state = schedule.init()
    np.testing.assert_array_equal(state, jnp.int32(0))
    for step in range(3):
        np.testing.assert_allclose(schedule(state, value=1.0), 1 - step / 4)
        state = schedule.update(state, value=1.0)
    assert type(state).__name__ == "WrappedScheduleState"
    assert state._fields == ("count",)


def test_a_call_with_a_number_is_two_programs_for_all_numbers():
    """The schedule's, and what makes its result as weak as the number."""
    optax.cosine_decay_schedule(0.1, 10)(3)
    assert compilations(lambda: [optax.cosine_decay_schedule(0.2 + k, 10)(k) for k in range(3)]) == 0
    jax.clear_caches()
    assert compilations(lambda: optax.cosine_decay_schedule(0.1, 10)(3)) == 2
