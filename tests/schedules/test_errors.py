"""Arguments that make no sense are refused where they are given, with name, got and wanted."""

from collections.abc import Callable
from math import nan
from typing import Any

import pytest

from gradtx.schedules.cosine import cosine_decay_schedule, sgdr_schedule, warmup_cosine_decay_schedule
from gradtx.schedules.exponential import exponential_decay, inverse_time_decay
from gradtx.schedules.inverse_sqrt import rsqrt_cooldown_schedule
from gradtx.schedules.join import join_schedules, warmup
from gradtx.schedules.onecycle import linear_onecycle_schedule
from gradtx.schedules.piecewise import piecewise_constant_schedule, piecewise_interpolate_schedule
from gradtx.schedules.polynomial import constant_schedule, linear_schedule, polynomial_schedule
from gradtx.schedules.wsd import wsd_schedule

one: Any = constant_schedule(1.0)
half_way: Any = {2.5: 1.0}
word: Any = "fast"
ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: constant_schedule(nan), ValueError, r"constant_schedule: value must be in \(-inf, inf\), got nan"),
    (lambda: constant_schedule(word), TypeError, "constant_schedule: value must be a number in .*, got 'fast'"),
    (lambda: linear_schedule(1, 0, -1), ValueError, r"linear_schedule: transition_steps must be in \[0, inf\), got -1"),
    (lambda: linear_schedule(1, 0, 5, -1), ValueError, "linear_schedule: transition_begin must be in .*, got -1"),
    (lambda: polynomial_schedule(1, 0, 0, 5), ValueError, r"polynomial_schedule: power must be in \(0, inf\), got 0"),
    (lambda: exponential_decay(1, 0, 0.5), ValueError, r"exponential_decay: transition_steps must be in \(0, inf\)"),
    (lambda: exponential_decay(1, 5, 0), ValueError, r"exponential_decay: decay_rate must be in \(0, inf\), got 0"),
    (lambda: inverse_time_decay(1, 5, -1), ValueError, "inverse_time_decay: decay_rate must be in .*, got -1"),
    (lambda: cosine_decay_schedule(1, -5), ValueError, "cosine_decay_schedule: decay_steps must be in .*, got -5"),
    (
        lambda: warmup_cosine_decay_schedule(0, 1, 10, 9),
        ValueError,
        "warmup_cosine_decay_schedule: warmup_steps must not exceed decay_steps, got warmup_steps=10, decay_steps=9",
    ),
    (lambda: sgdr_schedule([]), ValueError, "sgdr_schedule: cosine_kwargs must have at least one cycle, got none"),
    (lambda: sgdr_schedule([one]), TypeError, r"sgdr_schedule: cosine_kwargs\[0\] must be a warmup_cosine_decay_sched"),
    (
        lambda: sgdr_schedule([dict(init_value=0.0, peak_value=1.0, warmup_steps=-1, decay_steps=5)]),
        ValueError,
        r"sgdr_schedule: cosine_kwargs\[0\]: warmup_cosine_decay_schedule: warmup_steps must be in .*, got -1",
    ),
    (lambda: sgdr_schedule([dict(peak=1.0)]), TypeError, r"sgdr_schedule: cosine_kwargs\[0\]: .*missing.*init_value"),
    (
        lambda: linear_onecycle_schedule(10, 1.0, 0.9, 0.5),
        ValueError,
        "linear_onecycle_schedule: pct_start must not exceed pct_final",
    ),
    (lambda: linear_onecycle_schedule(10, 1.0, 1.5), ValueError, r"pct_start must be in \[0, 1\], got 1.5"),
    (lambda: join_schedules([one], [3]), ValueError, "join_schedules: .*got 1 boundaries and 1 schedules"),
    (lambda: join_schedules([], []), ValueError, "join_schedules: .*got 0 boundaries and 0 schedules"),
    (
        lambda: join_schedules([one] * 3, [20, 10]),
        ValueError,
        r"join_schedules: boundaries\[0\] must not exceed boundaries\[1\], got boundaries\[0\]=20, boundaries\[1\]=10",
    ),
    (lambda: join_schedules([one] * 2, [-1]), ValueError, r"join_schedules: boundaries\[0\] must be in .*, got -1"),
    (lambda: join_schedules([one, word], [3]), TypeError, r"join_schedules: schedules\[1\] must be a schedule or a"),
    (lambda: join_schedules(one, [3]), TypeError, "join_schedules: schedules must be a sequence"),
    (lambda: warmup(word, 3), TypeError, "warmup: schedule must be a schedule or a function of the step, got 'fast'"),
    (lambda: warmup(one, -3), ValueError, "warmup: warmup_steps must be in .*, got -3"),
    (
        lambda: piecewise_constant_schedule(1.0, {10: -0.5}),
        ValueError,
        r"piecewise_constant_schedule: boundaries_and_scales\[10\] must be in \[0, inf\), got -0.5",
    ),
    (lambda: piecewise_constant_schedule(1.0, half_way), TypeError, "each step of boundaries_and_scales must be a w"),
    (lambda: piecewise_constant_schedule(1.0, {-2: 1.0}), ValueError, "each step of boundaries_and_scales must be in"),
    (lambda: piecewise_constant_schedule(1.0, word), TypeError, "boundaries_and_scales must be a dictionary from step"),
    (
        lambda: piecewise_interpolate_schedule("cubic", 1.0),
        ValueError,
        "piecewise_interpolate_schedule: interpolate_type must be one of 'linear', 'cosine', got 'cubic'",
    ),
    (
        lambda: rsqrt_cooldown_schedule(0, 1, 10, 30, 20),
        ValueError,
        "rsqrt_cooldown_schedule: cooldown_steps must not exceed total_steps",
    ),
    (lambda: rsqrt_cooldown_schedule(0, 1, 30, 5, 20), ValueError, "warmup_steps must not exceed total_steps"),
    (lambda: wsd_schedule(0, 1, 5, 5, 5, decay="sqrt"), ValueError, "wsd_schedule: decay must be one of 'linear', '1-"),
    (lambda: wsd_schedule(0, 1, 5, -5, 5), ValueError, "wsd_schedule: stable_steps must be in .*, got -5"),
]


@pytest.mark.parametrize(("build", "kind", "message"), ERRORS, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_refused(build: Callable[[], Any], kind: type[Exception], message: str):
    with pytest.raises(kind, match=message):
        build()
