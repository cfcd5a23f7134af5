"""What a step may give: for each number the least and the greatest that rounding allows, in float64 NumPy.

A comparison of numbers that rounding could exchange is undecided, and a choice by it gives the hull of both.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

NAMES = ("float16", "bfloat16", "float32", "float64")
# The rounding of an operation, that of a function of a library, the least number that is computed with, the largest.
INFO = {name: jnp.finfo(name) for name in NAMES}
EPS = {name: float(INFO[name].eps) for name in NAMES}
LIBRARY = {"float16": 2.0, "bfloat16": 2.0, "float32": 16.0, "float64": 32.0}
LEAST = {name: float(INFO[name].tiny) for name in NAMES} | {"float16": float(INFO["float16"].smallest_subnormal)}
MOST = {name: float(INFO[name].max) for name in NAMES}


class Interval(NamedTuple):
    """Any number from `low` to `high`, of a dtype; where both are infinite, NaN too."""

    low: np.ndarray
    high: np.ndarray
    dtype: str

    @classmethod
    def exactly(cls, x) -> "Interval":
        wide = np.asarray(x).astype(np.float64)
        return cls(wide, wide, np.asarray(x).dtype.name)

    def contains(self, x) -> np.ndarray:
        x = np.asarray(x).astype(np.float64)
        return self.anything() | ((self.low <= x) & (x <= self.high))

    def anything(self) -> np.ndarray:
        return np.isneginf(self.low) & np.isposinf(self.high)

    def is_tight(self) -> np.ndarray:
        """Whether it says something: of a number, that it is within a tenth."""
        size = np.maximum(np.abs(self.low), np.abs(self.high))
        with np.errstate(invalid="ignore"):
            return (self.low == self.high) | (self.high - self.low <= 0.1 * size)


def hull(parts: list[np.ndarray], dtype: str, ulps: float = 0.0) -> Interval:
    """From the least to the greatest, rounded; anything, where one is NaN."""
    low, high = np.minimum.reduce(parts), np.maximum.reduce(parts)
    low, high = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
    if dtype == "bool" or not ulps:
        return Interval(low, high, dtype)
    doubt = [np.where(np.isinf(x), 0.0, ulps * EPS[dtype] * np.abs(x) + LEAST[dtype]) for x in (low, high)]
    low, high = low - doubt[0], high + doubt[1]
    most = MOST[dtype] * (1 - EPS[dtype])
    return Interval(
        np.where(low < -most, -np.inf, np.minimum(low, most)),
        np.where(high > most, np.inf, np.maximum(high, -most)),
        dtype,
    )


def rising(f: Callable, x: Interval, ulps: float | None = None) -> Interval:
    """A function that never falls."""
    return hull([f(x.low), f(x.high)], x.dtype, LIBRARY[x.dtype] if ulps is None else ulps)


def corners(f: Callable, x: Interval, y: Interval, ulps: float = 1.0) -> Interval:
    """A function that rises or falls in each argument."""
    return hull([f(a, b) for a in (x.low, x.high) for b in (y.low, y.high)], x.dtype, ulps)


def where(doubtful, x: Interval) -> Interval:
    """Anything, where it is doubtful."""
    least, most = (0.0, 1.0) if x.dtype == "bool" else (-np.inf, np.inf)
    return Interval(np.where(doubtful, least, x.low), np.where(doubtful, most, x.high), x.dtype)


def small(x: Interval) -> np.ndarray:
    """Whether 0 may be in it, or what counts as 0."""
    return (x.low < LEAST[x.dtype]) & (x.high > -LEAST[x.dtype])


def absolute(x: Interval) -> Interval:
    low = np.where((x.low <= 0) & (x.high >= 0), 0.0, np.minimum(np.abs(x.low), np.abs(x.high)))
    return Interval(low, np.maximum(np.abs(x.low), np.abs(x.high)), x.dtype)


def truth(yes, no) -> Interval:
    return Interval(np.where(yes, 1.0, 0.0), np.where(no, 0.0, 1.0), "bool")


def less(x: Interval, y: Interval) -> Interval:
    return truth(y.low - x.high > LEAST[x.dtype], x.low >= y.high)


def equal(x: Interval, y: Interval) -> Interval:
    apart = (y.low - x.high > LEAST[x.dtype]) | (x.low - y.high > LEAST[x.dtype])
    return truth((x.low == x.high) & (y.low == y.high) & (x.low == y.low), apart)


def invert(x: Interval) -> Interval:
    return Interval(1 - x.high, 1 - x.low, "bool")


def select(which: Interval, no: Interval, yes: Interval) -> Interval:
    low = np.where(which.low == 1, yes.low, np.where(which.high == 0, no.low, np.minimum(no.low, yes.low)))
    high = np.where(which.low == 1, yes.high, np.where(which.high == 0, no.high, np.maximum(no.high, yes.high)))
    return Interval(low, high, no.dtype)


def cast(x: Interval, dtype: str) -> Interval:
    if dtype == "bool":
        return truth((x.low > LEAST[x.dtype]) | (x.high < -LEAST[x.dtype]), (x.low == 0) & (x.high == 0))
    exact = x.dtype in ("bool", dtype) or (dtype in ("float32", "float64") and EPS[dtype] < EPS[x.dtype])
    return hull([x.low, x.high], dtype, 0.0 if exact else 1.0)


def sign(x: Interval) -> Interval:
    least = LEAST[x.dtype]
    low = np.where(x.low < 0, -1.0, np.where(x.low > least, 1.0, 0.0))
    return Interval(low, np.where(x.high > 0, 1.0, np.where(x.high < -least, -1.0, 0.0)), x.dtype)


def power(x: Interval, y: Interval) -> Interval:
    """Of a base that is not negative."""
    return where(x.low < LEAST[x.dtype], corners(np.power, x, y, LIBRARY[x.dtype] * 2))


def times(x: Interval, y: Interval) -> Interval:
    return corners(np.multiply, x, y)


def over(x: Interval, y: Interval) -> Interval:
    return where(small(y), corners(np.divide, x, y, 3.0))


def over_zero(x: Interval, zero: float) -> Interval:
    """An infinity, whose sign is the product of both."""
    known = ~small(x) & np.isfinite(x.low) & np.isfinite(x.high)
    infinity = np.copysign(np.inf, np.copysign(1.0, x.low) * np.copysign(1.0, zero))
    return Interval(np.where(known, infinity, -np.inf), np.where(known, infinity, np.inf), x.dtype)


def angle(y: Interval, x: Interval) -> Interval:
    found = corners(np.arctan2, y, x, LIBRARY[x.dtype])
    return where((x.low <= LEAST[x.dtype]) & small(y), found)


def total(x: Interval) -> Interval:
    """The sum of all elements."""
    doubt = x.low.size * EPS[x.dtype] * np.sum(np.maximum(np.abs(x.low), np.abs(x.high)))
    return hull([np.sum(x.low) - doubt, np.sum(x.high) + doubt], x.dtype, 1.0)
