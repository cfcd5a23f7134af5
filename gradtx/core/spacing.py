"""Numbers on the grid of a narrower dtype, computed in float32: rounded to it, and how far apart it is."""

from typing import Any

import jax
import jax.numpy as jnp

from gradtx.core.typing import Array, DType

SMALLEST = 2.0**-126  # of float32's normal numbers: devices take those below for 0


def spacing(x: Array, dtype: DType) -> Array:
    """How far apart numbers of a dtype are in the octave of `x`, which is in float32."""
    kind = jnp.finfo(dtype)
    return jnp.maximum(octave(jnp.abs(x)) * 2.0**-kind.nmant, max(float(kind.smallest_subnormal), SMALLEST))


def rounded(x: Array, dtype: DType, noise: Array | None = None) -> Array:
    """`x`, float32, on the grid of a narrower dtype, where the largest stands for what is beyond.

    To the nearest, of two the even one, as everywhere; with `noise`, uniform in [0, 1), to one of the two around, such
    that it is `x` on average. It is no conversion to the dtype and back, which XLA may leave out.
    """
    kind = jnp.finfo(dtype)
    if noise is None and kind.nexp == jnp.finfo(jnp.float32).nexp:
        found = jax.lax.reduce_precision(x, kind.nexp, kind.nmant)
    else:
        apart = spacing(x, dtype)
        found = whole(x / apart, noise) * apart
    return jnp.where(jnp.isfinite(x), within(found, dtype), x)


def within(x: Array, dtype: DType) -> Array:
    """`x`, with the largest number of a dtype in place of what is beyond."""
    most = float(jnp.finfo(dtype).max)
    return jnp.clip(x, -most, most)


def whole(x: Array, noise: Array | None = None) -> Array:
    """A whole number next to `x`: the nearest, or with `noise` one of the two around it, at random."""
    if noise is None:
        return jnp.round(x)
    below = jnp.floor(x)
    return below + jnp.where(noise < x - below, 1.0, 0.0)


def octave(x: Array) -> Array:
    """The largest power of two that is not above a positive number; of 0 that is 0, of infinity 2^127."""
    power = jnp.minimum(jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=0), 2.0**127)
    return jnp.where(power > x, power / 2, power)


@jax.custom_jvp
def moving_as(value: Array, x: Array) -> Array:
    """`value`, with the derivatives of `x`, of which it is the rounded form."""
    del x
    return value


@moving_as.defjvp
def _moving_as_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    return primals[0], tangents[1]
