"""Schedules end, and meet the values they are given for some step, to the last bit of float32: a zero is zero."""

import jax
import numpy as np
import pytest

import gradtx

LENGTHS = [1, 2, 3, 7, 10, 30, 77, 100, 999, 1000, 12_345, 100_000]


def knots_of(n):
    """Schedules of length n, each with values that it must have at some steps."""
    third, half = n // 3, n // 2
    cosine = dict(init_value=0.1, peak_value=0.7, warmup_steps=third, decay_steps=n, end_value=0.03)
    last = 0.1 / 25 / 1e4
    yield gradtx.linear_schedule(0.7, 0.03, n, third), {0: 0.7, third: 0.7, third + n: 0.03, 3 * n: 0.03}
    yield gradtx.polynomial_schedule(0.7, 0.03, 1.7, n, third), {0: 0.7, third + n: 0.03, 3 * n: 0.03}
    yield gradtx.warmup_constant_schedule(0.1, 0.7, n), {0: 0.1, n: 0.7, n + 1: 0.7}
    yield gradtx.cosine_decay_schedule(0.7, n), {0: 0.7, n: 0.0, n + 1: 0.0}
    yield gradtx.warmup_cosine_decay_schedule(**cosine), {third: 0.7, n: 0.03, 2 * n: 0.03}
    yield gradtx.warmup_cosine_decay_schedule(**cosine | {"warmup_steps": 0.3 * n}), {0: 0.1, n: 0.03}
    yield gradtx.sgdr_schedule([cosine, cosine]), {third: 0.7, n + third: 0.7, 2 * n: 0.03}
    yield gradtx.linear_onecycle_schedule(n, 0.1), {0: 0.1 / 25, n: last, n + 1: last}
    yield gradtx.linear_onecycle_schedule(n, 0.1, final_div_factor=1e8), {n: 0.1 / 25 / 1e8}
    yield gradtx.linear_onecycle_schedule(2 * half, 0.1, 0.5, 1.0), {half: 0.1, 2 * half: last}
    yield gradtx.cosine_onecycle_schedule(n, 0.1), {0: 0.1 / 25, n: last, n + 1: last}
    yield gradtx.cosine_onecycle_schedule(2 * half, 0.1, 0.5), {half: 0.1, 2 * half: last}
    yield gradtx.piecewise_interpolate_schedule("linear", 0.7, {n: 0.5, 2 * n: 0.3}), {0: 0.7, n: 0.35, 2 * n: 0.105}
    yield gradtx.piecewise_interpolate_schedule("cosine", 0.7, {n: 0.5, 2 * n: 0.3}), {0: 0.7, n: 0.35, 2 * n: 0.105}
    for decay in ("linear", "1-sqrt", "cosine"):
        wsd = gradtx.wsd_schedule(0.1, 0.7, third, half, n, 0.03, decay=decay)
        yield wsd, {third: 0.7, third + half: 0.7, third + half + n: 0.03, 5 * n: 0.03}
    yield gradtx.powercool_schedule(0.7, 0.01, n), {n: 0.0, n + 1: 0.0}
    yield gradtx.rsqrt_cooldown_schedule(0.1, 0.7, third, half, 2 * n), {third: 0.7, 2 * n: 0.0}
    yield gradtx.inverse_sqrt_schedule(0.1, 0.7, n), {0: 0.1, n: 0.7}
    yield gradtx.exponential_decay(0.7, n, 0.5, third, end_value=0.6), {0: 0.7, third: 0.7, third + n: 0.6}
    yield gradtx.warmup_exponential_decay_schedule(0.1, 0.7, third, n, 0.5), {third: 0.7}
    yield gradtx.ademamix_alpha_schedule(5.1, n), {n - 1: 5.1, 2 * n: 5.1}
    yield gradtx.ademamix_b3_schedule(0.9, 0.9999, n), {n - 1: 0.9999, 2 * n: 0.9999}
    yield gradtx.warmup(gradtx.constant_schedule(0.7), n, 0.1), {0: 0.1, n: 0.7}
    parts = [gradtx.linear_schedule(0.1, 0.7, third), gradtx.cosine_decay_schedule(0.7, n)]
    yield gradtx.join_schedules(parts, [third]), {third: 0.7, third + n: 0.0}


@pytest.mark.parametrize("n", LENGTHS)
def test_knots_are_met(n):
    run = jax.jit(lambda schedule, step: schedule(step))
    for schedule, knots in knots_of(n):
        traced = (lambda step, schedule=schedule: run(schedule, step)) if n in (2, 77) else schedule
        for call in {schedule, traced}:
            got = [call(step) for step in knots]
            np.testing.assert_allclose(got, list(knots.values()), rtol=3e-7, atol=0, err_msg=str(schedule))
