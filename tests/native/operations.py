"""The operations of random steps: as JAX has them, and on intervals."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.native import intervals as iv
from tests.native.intervals import Interval

negative = lambda x: Interval(-x.high, -x.low, x.dtype)


class Op(NamedTuple):
    """An operation on values of one dtype (or of booleans): as JAX has it, and on intervals."""

    operands: str  # f: of the dtype, b: a boolean, s: a number of the dtype, c: a constant
    jax: Callable[..., Any]
    interval: Callable[..., Interval]
    gives: str = "f"


def powers(k: int) -> Op:
    def interval(x):
        size = iv.absolute(x)
        ends = [size.low**k, size.high**k]
        if k % 2:
            ends = [np.sign(x.low) * np.abs(x.low) ** k, np.sign(x.high) * np.abs(x.high) ** k]
        return iv.hull(ends, x.dtype, 2.0 * k)

    return Op("f", lambda x: lax.integer_pow(x, k), interval)


def held(x: Interval, most: float) -> Interval:
    """Between -most and most; infinities stay, so anything where there may be one."""
    doubtful = np.isinf(x.low) | np.isinf(x.high)
    return iv.where(doubtful, Interval(np.clip(x.low, -most, most), np.clip(x.high, -most, most), x.dtype))


def cast_held(x: Interval, dtype: str) -> Interval:
    return iv.cast(held(x, iv.MOST[dtype]) if iv.MOST[dtype] < iv.MOST[x.dtype] else x, dtype)


def saturated(x):
    return jnp.where(jnp.isfinite(x), jnp.clip(x, jnp.asarray(-2.0, x.dtype), jnp.asarray(2.0, x.dtype)), x)


RATIO = lambda x, y, s, t: (x / s) / (jnp.sqrt(jnp.abs(y) / t + jnp.asarray(0.1, y.dtype)) + jnp.asarray(0.01, y.dtype))


def ratio(x, y, s, t):
    point = lambda c: Interval.exactly(np.asarray(c).astype(jnp.dtype(x.dtype)))
    root = iv.rising(np.sqrt, added(iv.over(iv.absolute(y), t), point(0.1)))
    return iv.over(iv.over(x, s), added(root, point(0.01)))


added = lambda x, y: iv.corners(np.add, x, y)
exact = lambda f: lambda x, y: iv.corners(f, x, y, 0.0)
either = lambda f: lambda x, y: Interval(f(x.low, y.low), f(x.high, y.high), "bool")
root = lambda x: iv.rising(np.sqrt, iv.absolute(x))


def clamped(least, x, most):
    return exact(np.minimum)(exact(np.maximum)(x, least), most)


def finite(x):
    return iv.truth(np.isfinite(x.low) & np.isfinite(x.high), np.isinf(x.low) & (x.low == x.high))


OPS = {
    "add": Op("ff", lax.add, added), "sub": Op("ff", lax.sub, lambda x, y: added(x, negative(y))),
    "mul": Op("ff", lax.mul, iv.times), "div": Op("ff", lax.div, iv.over), "scale": Op("fs", lax.mul, iv.times),
    "shift": Op("fs", lax.add, added), "minus": Op("sf", lax.sub, lambda x, y: added(x, negative(y))),
    "shrink": Op("fs", lax.div, iv.over), "max": Op("ff", lax.max, exact(np.maximum)),
    "min": Op("fs", lax.min, exact(np.minimum)), "pow": Op("ff", lambda x, y: lax.pow(jnp.abs(x), y),
                                                           lambda x, y: iv.power(iv.absolute(x), y)),
    "atan2": Op("ff", lax.atan2, iv.angle), "neg": Op("f", lax.neg, negative), "abs": Op("f", lax.abs, iv.absolute),
    "sign": Op("f", lax.sign, iv.sign), "sqrt": Op("f", lambda x: lax.sqrt(jnp.abs(x)), root),
    "rsqrt": Op("f", lambda x: lax.rsqrt(jnp.abs(x)),
                lambda x: iv.over(Interval.exactly(np.asarray(1, x.dtype)), root(x))),
    "cbrt": Op("f", lax.cbrt, lambda x: iv.where(iv.small(x), iv.rising(np.cbrt, x))),
    "exp": Op("f", lax.exp, lambda x: iv.rising(np.exp, x, 64.0)),
    "tanh": Op("f", lax.tanh, lambda x: iv.rising(np.tanh, x)),
    "expm1": Op("f", lax.expm1, lambda x: iv.rising(np.expm1, x, 64.0)),
    "log": Op("f", lambda x: lax.log(jnp.abs(x)),
              lambda x: iv.where(iv.small(x), iv.rising(np.log, iv.absolute(x)))),
    "log1p": Op("f", lambda x: lax.log1p(jnp.abs(x)), lambda x: iv.rising(np.log1p, iv.absolute(x))),
    "atan": Op("f", lax.atan, lambda x: iv.rising(np.arctan, x)), "square": Op("f", lax.square, powers(2).interval),
    "cube": powers(3), "fourth": powers(4), "fifth": powers(5),
    "copy": Op("f", lambda x: lax.copy_p.bind(x), lambda x: x), "rev": Op("f", lambda x: lax.rev(x, (0,)),
                                                    lambda x: Interval(x.low[::-1], x.high[::-1], x.dtype)),
    "clamp": Op("sfs", lambda s, x, t: lax.clamp(s, x, t), clamped),
    "clamp_full": Op("sff", lambda s, x, t: lax.clamp(s, jnp.full_like(x, 0.75), t),
                     lambda s, x, t: clamped(s, Interval(*[np.full_like(x.low, 0.75)] * 2, x.dtype), t)),
    "saturate": Op("f", saturated, lambda x: held(x, 2.0)),
    "blend": Op("fsfs", lambda x, s, y, t: s * x + t * y, lambda x, s, y, t: added(iv.times(s, x), iv.times(t, y))),
    "blend_square": Op("fsfs", lambda x, s, y, t: s * x + t * (y * y),
                       lambda x, s, y, t: added(iv.times(s, x), iv.times(t, powers(2).interval(y)))),
    "mul_add": Op("fsf", lambda x, s, y: s * x + y, lambda x, s, y: added(iv.times(s, x), y)),
    "ratio_root": Op("ffss", RATIO, ratio),
    "over_zero": Op("f", lambda x: x / jnp.asarray(0.0, x.dtype), lambda x: iv.over_zero(x, 0.0)),
    "over_minus_zero": Op("f", lambda x: x / jnp.asarray(-0.0, x.dtype), lambda x: iv.over_zero(x, -0.0)),
    "lt": Op("ff", lax.lt, iv.less, "b"), "gt": Op("fs", lax.gt, lambda x, y: iv.less(y, x), "b"),
    "ge": Op("ff", lax.ge, lambda x, y: iv.invert(iv.less(x, y)), "b"),
    "le": Op("fs", lax.le, lambda x, y: iv.invert(iv.less(y, x)), "b"),
    "eq": Op("ff", lax.eq, iv.equal, "b"), "ne": Op("fs", lax.ne, lambda x, y: iv.invert(iv.equal(x, y)), "b"),
    "is_finite": Op("f", lax.is_finite, finite, "b"),
    "and": Op("bb", lax.bitwise_and, either(np.minimum), "b"), "or": Op("bb", lax.bitwise_or, either(np.maximum), "b"),
    "not": Op("b", lax.bitwise_not, iv.invert, "b"),
    "select": Op("bff", lax.select_n, iv.select),
    "select_scalar": Op("bfs", lambda b, x, s: jnp.where(b, s, x), iv.select),
}  # fmt: skip
RARE = ("over_zero", "over_minus_zero", "rev", "fifth", "fourth", "clamp_full")
OFTEN = [op for op in OPS if op not in RARE] + ["and", "or", "not", "gt"]
OFTEN += 2 * ["blend", "blend_square", "mul_add", "ratio_root", "saturate"]
