"""One card per schedule: a value, and the same formula in plain Python floats, typed from its source."""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, exp, floor, log, pi, sqrt

import jax
import jax.numpy as jnp

from gradtx.core.schedule import Schedule
from gradtx.schedules.ademamix import ademamix_alpha_schedule, ademamix_b3_schedule
from gradtx.schedules.cosine import cosine_decay_schedule, sgdr_schedule, warmup_cosine_decay_schedule
from gradtx.schedules.exponential import exponential_decay, inverse_time_decay, warmup_exponential_decay_schedule
from gradtx.schedules.inverse_sqrt import inverse_sqrt_schedule, rsqrt_cooldown_schedule
from gradtx.schedules.join import join_schedules, warmup
from gradtx.schedules.onecycle import cosine_onecycle_schedule, linear_onecycle_schedule
from gradtx.schedules.piecewise import piecewise_constant_schedule, piecewise_interpolate_schedule
from gradtx.schedules.polynomial import (
    constant_schedule,
    linear_schedule,
    polynomial_schedule,
    warmup_constant_schedule,
)
from gradtx.schedules.wsd import powercool_schedule, wsd_schedule


@dataclass(frozen=True)
class Card:
    """A schedule under test: the value, its oracle, the steps where its formula changes, and what tells it apart."""

    schedule: Schedule
    oracle: Callable[[int], float]
    bounds: tuple[int, ...] = ()
    label: str = ""

    @property
    def id(self) -> str:
        """The card's name in test reports."""
        return self.schedule.name + (f"-{self.label}" if self.label else "")

    @property
    def steps(self) -> list[int]:
        """Step 0, each bound and its neighbours, one step in between, and far beyond the end."""
        around = {b + d for b in self.bounds for d in (-1, 0, 1)} | {0, 1, 13, 1000}
        return sorted(step for step in around if step >= 0)


def line(t: float, a: float, b: float, start: float, end: float) -> float:
    """From `start` at step a to `end` at step b."""
    return end if t >= b else start if t <= a else start + (end - start) * (t - a) / (b - a)


def half_cosine(t: float, a: float, b: float, start: float, end: float, exponent: float = 1.0) -> float:
    """From `start` at step a to `end` at step b along a cosine."""
    return end if t >= b else end + (start - end) * (0.5 * (1 + cos(pi * (t - a) / (b - a)))) ** exponent


def warmup_cosine(t: int, init: float, peak: float, up: int, total: int, end: float, exponent: float) -> float:
    return line(t, 0, up, init, peak) if t < up else half_cosine(t, up, total, peak, end, exponent)


def steps_of(t: int, table: dict[int, float]) -> float:
    """The last entry of the table at or before t."""
    return [value for step, value in table.items() if step <= t][-1]


def exponential(t: int, begin: int, every: int, rate: float, whole: bool) -> float:
    n = max(t - begin, 0) / every
    return rate ** (floor(n) if whole else n)


def reciprocal(step: jax.Array) -> jax.Array:
    """A plain function of the step, as a user writes one."""
    return 1 / (jnp.asarray(step, float) + 1)


def sgdr(t: int) -> float:
    if t < 20:
        return warmup_cosine(t, 0.0, 1.0, 5, 20, 0.1, 1.0)
    return warmup_cosine(t - 20, 0.1, 0.5, 0, 30, 0.0, 2.0)


def wsd(t: int, left: Callable[[float], float]) -> float:
    if t < 30:
        return line(t, 0, 10, 0.2, 2.0)
    x = min((t - 30) / 8, 1.0)
    return 0.5 + 1.5 * left(x)


def rsqrt(t: int) -> float:
    value = 0.1 + 0.9 * t / 10 if t < 10 else 1 / sqrt(1 + (t - 10) / 50)
    return value * max(min(1.0, (100 - t) / 20), 0.0)


CYCLE = dict(init_value=0.0, peak_value=1.0, warmup_steps=5, decay_steps=20, end_value=0.1)


def half_life_line(t: int, start: float, end: float, steps: int) -> float:
    """AdEMAMix's b3: 1 / log b3 goes in a line from that of `start` to that of `end`."""
    s = min((t + 1) / steps, 1)
    return exp(1 / ((1 - s) / log(start) + s / log(end)))


CARDS = [
    Card(ademamix_alpha_schedule(5.0, 20), lambda t: 5 * min((t + 1) / 20, 1), (19,)),
    Card(ademamix_b3_schedule(0.9, 0.999, 20), lambda t: half_life_line(t, 0.9, 0.999, 20), (19,)),
    Card(constant_schedule(0.3), lambda t: 0.3),
    Card(linear_schedule(1.0, 0.1, 20, 5), lambda t: line(t, 5, 25, 1.0, 0.1), (5, 25)),
    Card(linear_schedule(1.0, 0.1, 0, 5), lambda t: 1.0 if t < 5 else 0.1, (5,), "instant"),
    Card(
        polynomial_schedule(1.0, 0.1, 2.5, 20, 5),
        lambda t: 0.9 * (1 - min(max(t - 5, 0), 20) / 20) ** 2.5 + 0.1,
        (5, 25),
    ),
    Card(polynomial_schedule(1.0, 0.1, 0.5, 0), lambda t: 0.1, label="instant"),
    Card(polynomial_schedule(1, 3, 0.5, 20), lambda t: 3 - 2 * sqrt(1 - min(t, 20) / 20), (20,), "root"),
    Card(warmup_constant_schedule(0.1, 2.0, 10), lambda t: line(t, 0, 10, 0.1, 2.0), (10,)),
    Card(warmup_constant_schedule(0.1, 2.0, 0), lambda t: 2.0, label="instant"),
    Card(exponential_decay(2.0, 7, 0.5), lambda t: 2 * 0.5 ** (t / 7), (7, 14)),
    Card(
        exponential_decay(2.0, 7, 0.5, 3, staircase=True),
        lambda t: 2 * exponential(t, 3, 7, 0.5, True),
        (3, 10, 17, 24),
        "staircase",
    ),
    Card(exponential_decay(2.0, 7, 0.5, end_value=0.7), lambda t: max(2 * 0.5 ** (t / 7), 0.7), (10, 11), "floor"),
    Card(exponential_decay(2.0, 7, 1.1, 3, end_value=5), lambda t: min(2 * 1.1 ** (max(t - 3, 0) / 7), 5), (70,), "up"),
    Card(inverse_time_decay(2.0, 7, 0.5), lambda t: 2 / (1 + 0.5 * t / 7), (7,)),
    Card(inverse_time_decay(2.0, 7, 0.5, staircase=True), lambda t: 2 / (1 + 0.5 * (t // 7)), (7, 14, 21), "staircase"),
    Card(
        warmup_exponential_decay_schedule(0.1, 2.0, 10, 7, 0.5, 4, end_value=0.3),
        lambda t: line(t, 0, 10, 0.1, 2.0) if t < 10 else max(2 * exponential(t, 14, 7, 0.5, False), 0.3),
        (10, 14, 33, 34),
    ),
    Card(
        warmup_exponential_decay_schedule(0.1, 2.0, 0, 7, 0.5, staircase=True),
        lambda t: 2 * 0.5 ** (t // 7),
        (7, 14),
        "cold",
    ),
    Card(cosine_decay_schedule(2.0, 40, 0.1, 1.5), lambda t: 2 * half_cosine(t, 0, 40, 1, 0.1, 1.5), (20, 40)),
    Card(cosine_decay_schedule(2.0, 0, 0.1, 0.5), lambda t: 0.2, label="instant"),
    Card(
        warmup_cosine_decay_schedule(0.1, 2.0, 10, 40, 0.3, 1.5),
        lambda t: warmup_cosine(t, 0.1, 2.0, 10, 40, 0.3, 1.5),
        (10, 25, 40),
    ),
    Card(
        warmup_cosine_decay_schedule(0.1, 0.0, 0, 40, 0.3),
        lambda t: warmup_cosine(t, 0.1, 0.0, 0, 40, 0.3, 1.0),
        (40,),
        "cold-from-zero",
    ),
    Card(
        warmup_cosine_decay_schedule(0.1, 2.0, 10, 10, 0.3),
        lambda t: line(t, 0, 10, 0.1, 2.0) if t < 10 else 0.3,
        (10,),
        "no-decay",
    ),
    Card(
        sgdr_schedule((CYCLE, dict(init_value=0.1, peak_value=0.5, warmup_steps=0, decay_steps=30, exponent=2.0))),
        sgdr,
        (5, 20, 35, 50),
    ),
    Card(
        piecewise_constant_schedule(2.0, {20: 0.5, 10: 0.1, 30: 0}),
        lambda t: steps_of(t, {0: 2.0, 10: 0.2, 20: 0.1, 30: 0.0}),
        (10, 20, 30),
    ),
    Card(piecewise_constant_schedule(2.0), lambda t: 2.0, label="alone"),
    Card(
        piecewise_interpolate_schedule("linear", 2.0, {10: 0.1, 30: 5}),
        lambda t: line(t, 0, 10, 2.0, 0.2) if t < 10 else line(t, 10, 30, 0.2, 1.0),
        (10, 30),
    ),
    Card(
        piecewise_interpolate_schedule("cosine", 2.0, {0: 0.5, 10: 0.1, 30: 5}),
        lambda t: half_cosine(t, 0, 10, 1.0, 0.1) if t < 10 else half_cosine(t, 10, 30, 0.1, 0.5),
        (10, 30),
        "cosine",
    ),
    Card(
        linear_onecycle_schedule(20, 2.0, 0.25, 0.75, 10.0, 50.0),
        lambda t: (
            line(t, 0, 5, 0.2, 2.0) if t < 5 else line(t, 5, 15, 2.0, 0.2) if t < 15 else line(t, 15, 20, 0.2, 0.004)
        ),
        (5, 15, 20),
    ),
    Card(linear_onecycle_schedule(0, 2.0, 0.25, 0.75, 10.0, 50.0), lambda t: 0.004, label="instant"),
    Card(
        cosine_onecycle_schedule(20, 2.0, 0.3, 10.0, 50.0),
        lambda t: half_cosine(t, 0, 6, 0.2, 2.0) if t < 6 else half_cosine(t, 6, 20, 2.0, 0.004),
        (6, 20),
    ),
    Card(
        join_schedules([linear_schedule(0.0, 1.0, 10), reciprocal, constant_schedule(0.5)], [10, 30]),
        lambda t: line(t, 0, 10, 0, 1) if t < 10 else 1 / (t - 9) if t < 30 else 0.5,
        (10, 30),
    ),
    Card(
        join_schedules([constant_schedule(1.0), constant_schedule(2.0), constant_schedule(3.0)], [10, 10]),
        lambda t: 1.0 if t < 10 else 3.0,
        (10,),
        "skip",
    ),
    Card(
        warmup(exponential_decay(2.0, 7, 0.5), 10, 0.1),
        lambda t: line(t, 0, 10, 0.1, 2.0) if t < 10 else 2 * 0.5 ** ((t - 10) / 7),
        (10,),
    ),
    Card(warmup(cosine_decay_schedule(2.0, 40), 0), lambda t: half_cosine(t, 0, 40, 2.0, 0.0), (40,), "none"),
    Card(
        inverse_sqrt_schedule(0.1, 2.0, 10),
        lambda t: line(t, 0, 10, 0.1, 2.0) if t < 10 else 2 * sqrt(10 / t),
        (10,),
    ),
    Card(inverse_sqrt_schedule(2.0, 2.0, 0), lambda t: 2 / sqrt(max(t, 1)), label="cold"),
    Card(rsqrt_cooldown_schedule(0.1, 1.0, 10, 20, 100, 50), rsqrt, (10, 80, 100)),
    Card(
        rsqrt_cooldown_schedule(0.1, 1.0, 0, 0, 100, 50),
        lambda t: 1 / sqrt(1 + t / 50) if t < 100 else 0.0,
        (100,),
        "dead-stop",
    ),
    Card(wsd_schedule(0.2, 2.0, 10, 20, 8, 0.5), lambda t: wsd(t, lambda x: 1 - x), (10, 30, 38)),
    Card(
        wsd_schedule(0.2, 2.0, 10, 20, 8, 0.5, decay="1-sqrt"),
        lambda t: wsd(t, lambda x: 1 - sqrt(x)),
        (30, 38),
        "sqrt",
    ),
    Card(
        wsd_schedule(0.2, 2.0, 10, 20, 8, 0.5, decay="cosine"),
        lambda t: wsd(t, lambda x: (1 + cos(pi * x)) / 2),
        (30, 38),
        "cosine",
    ),
    Card(
        wsd_schedule(0.2, 2.0, 0, 0, 0, 0.5, decay="1-sqrt"),
        lambda t: 0.5,
        label="instant",
    ),
    Card(powercool_schedule(2.0, 0.01, 150), lambda t: min(2.0, 0.01 * max(150 - t, 0) ** 1.2), (67, 150)),
]
