"""Codes without a scale: a logarithm, in equal steps within each octave."""

from math import frexp
from typing import Annotated

import jax
import jax.numpy as jnp

from gradtx.core.arguments import Interval
from gradtx.core.codecs.blocks import How, Size
from gradtx.core.codecs.coded import Arrays, Coding, codec
from gradtx.core.spacing import octave
from gradtx.core.typing import Array

STEPS = 4  # in an octave: floats of two bits of mantissa
NAN = {True: 255, False: -128}  # the code of what is no number, by whether a slot is never negative
LAST = {True: 254, False: 127}  # that of the largest magnitude; 0 is that of 0, and numbers below it have codes below 0


@codec
def log8(
    largest: Annotated[float, Interval("[1e-20, 1e10]", static=True)] = 256.0, *, rounding: How = "stochastic",
    smallest: Size = 4096,
) -> Coding:  # fmt: skip
    """Codes of 8 bits without any scale, of numbers up to a largest one: four to an octave.

        |x| = 2^e (1 + m/4)              m = 0, 1, 2, 3

    Each number is coded by itself, so that a step is one pass over memory on every device, and arrays may be cut over
    devices in any way. Signed numbers have 31 octaves, from 256 down to 1.2e-7 by default, and what is smaller becomes
    0 or that, at random; a slot that is never negative has 63, up to the square of the largest, and no more than 0 in
    it becomes 0. Larger numbers become the largest, and what is not finite becomes NaN.

    Neighbours are 1/8 to 1/4 apart: rounded to the nearest, an average that moves less in a step never moves.

    Args:
        largest: the power of two above all magnitudes of signed slots, such as averages of gradients; another number
            counts as the next one.
        rounding: as in `int8`.
        smallest: arrays of fewer numbers stay as they are.

    Source: minifloats with stochastic rounding, as in Wang et al. 2018, arXiv:1812.08011; differs: no sign bit where
        none is needed.
    """
    mantissa, exponent = frexp(largest)
    top = exponent - (mantissa == 0.5)

    def lowest(positive: bool) -> int:
        """The exponent of the code 1."""
        return (2 if positive else 1) * top - (LAST[positive] - 1) // STEPS

    def encode(x: Array, positive: bool, noise: Array | None) -> dict[str, Array]:
        part, low = jnp.abs(x), lowest(positive)
        up = jnp.float32(0.5) if noise is None else noise
        normal = jnp.maximum(part, 2.0**low)
        power = octave(normal)
        code = jnp.floor(normal / power * STEPS + up) + jnp.round(jnp.log2(power) - low) * STEPS + (1 - STEPS)
        below = jnp.where(part > 0, 1.0, 0.0) if positive else jnp.floor(part * 2.0**-low + up)
        code = jnp.where(part < 2.0**low, below, jnp.minimum(code, LAST[positive]))
        code = code if positive else jnp.where(x < 0, -code, code)
        # In floats up to here: XLA for TPUs makes two kernels of what has whole numbers in between.
        return {"codes": jnp.where(part < jnp.inf, code, NAN[positive]).astype(jnp.uint8 if positive else jnp.int8)}

    def decode(arrays: Arrays, positive: bool, last: int | None) -> Array:
        code = arrays["codes"].astype(jnp.int32)
        k = jnp.abs(code)
        bits = (k - 1 << 21) + (lowest(positive) + 127 << 23)
        found = jnp.where(k == 0, 0.0, jax.lax.bitcast_convert_type(bits, jnp.float32))
        return jnp.where(code == NAN[positive], jnp.nan, jnp.where(code < 0, -found, found))

    return Coding(encode, decode, rounding, smallest)
