"""Codes that are a logarithm, in equal steps within each octave: without a scale, or with a power of two a row."""

from math import frexp
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from gradtx.core.arguments import Interval
from gradtx.core.codecs.blocks import How, Size
from gradtx.core.codecs.coded import Arrays, Coding, codec
from gradtx.core.codecs.equations import Octaves
from gradtx.core.spacing import octave
from gradtx.core.typing import Array

LEAST, MOST = 2.0**-100, 2.0**126  # scales of rows: between these, what is made of them is no subnormal number


class Codes(NamedTuple):
    """Which codes there are: 0 is that of 0, 1 that of the least magnitude, numbers below 0 have codes below 0."""

    dtype: Any
    steps: int  # in an octave, a power of two: floats of so many values of the mantissa
    last: int  # that of the largest magnitude
    nan: int  # that of what is no number
    positive: bool  # whether no number is negative

    @property
    def octaves(self) -> int:
        """How many octaves are between the least magnitude and the largest, rounded down."""
        return (self.last - 1) // self.steps


EIGHT = {False: Codes(jnp.int8, 4, 127, -128, False), True: Codes(jnp.uint8, 4, 254, 255, True)}
FOUR = {False: Codes(jnp.int4, 1, 7, -8, False), True: Codes(jnp.uint4, 1, 14, 15, True)}


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
    # Squares go down to float32's least normal number.
    lowest = lambda positive: max((2 if positive else 1) * top - EIGHT[positive].octaves, -126)

    def encode(x: Array, positive: bool, noise: Array | None) -> dict[str, Array]:
        return {"codes": _codes(EIGHT[positive], x, lowest(positive), noise)}

    def decode(arrays: Arrays, positive: bool, last: int | None) -> Array:
        return _numbers(EIGHT[positive], arrays["codes"], lowest(positive))

    signed, positive = EIGHT[False], EIGHT[True]
    lows, last, nan = (lowest(False), lowest(True)), (signed.last, positive.last), (signed.nan, positive.nan)
    form = Octaves(signed.steps, lows, last, nan)
    return Coding(encode, decode, rounding, smallest, form)


@codec
def log4(*, rounding: How = "stochastic", smallest: Size = 4096) -> Coding:
    """Codes of 4 bits, one to an octave, over a power of two for each row that follows the row from step to step.

        |x| = s 2^(c - 7)                c = 1, ..., 7;  of a slot that is never negative s 2^(c - 14), to c = 14

    A row is all of the last axis, and s is the least power of two that is not below its magnitudes *before* the last
    step; for a slot that is never negative, twice that. So a step is one pass over memory on an accelerator, as with
    `log8`. What has outgrown s becomes s, once: the first step after a start at zero is hardly remembered. A row of
    zeros keeps its s. Signed numbers below the least become 0 or that, at random; no more than 0 in a slot that is
    never negative becomes 0. What is not finite becomes NaN.

    Codes are an array of JAX's int4 or uint4, two to a byte in memory, which decodes slowly on a CPU. Beside them are
    8 bytes a row: its s, and that for the next step. Where a state is set rather than stepped, as by `restore`, both
    are the row's own.

    Args:
        rounding: as in `int8`; to the nearest code, an average that moves by less than a third in a step never moves.
        smallest: arrays of fewer numbers stay as they are.

    Source: powers of two with stochastic rounding, as in Chmiel et al. 2021, arXiv:2112.10769; differs: no sign, and
        twice the octaves, where none is needed, and the scale is that of the step before.
    """

    def late(x: Array, positive: bool, noise: Array | None, before: Arrays, peaks: Array) -> dict[str, Array]:
        kind, scales = FOUR[positive], before["next"]
        codes = _codes(kind, x, -kind.octaves, noise, scales if x.ndim else scales.reshape(()))
        return {"codes": codes, "scales": scales, "next": _scales(peaks, positive, scales)}

    def encode(x: Array, positive: bool, noise: Array | None) -> dict[str, Array]:
        peaks = jnp.max(jnp.abs(jnp.atleast_1d(x)), axis=-1, keepdims=True, initial=0)
        return late(x, positive, noise, {"next": _scales(peaks, positive, jnp.full_like(peaks, LEAST))}, peaks)

    def decode(arrays: Arrays, positive: bool, last: int | None) -> Array:
        kind, codes, scales = FOUR[positive], arrays["codes"], arrays["scales"]
        return _numbers(kind, codes, -kind.octaves) * (scales if codes.ndim else scales.reshape(()))

    return Coding(encode, decode, rounding, smallest, late=late)


def _codes(kind: Codes, x: Array, low: int, noise: Array | None, scales: Array | None = None) -> Array:
    """The codes of numbers, over their scales, of which 1 stands for 2^low."""
    part, up = jnp.abs(x) if scales is None else jnp.abs(x) / scales, jnp.float32(0.5) if noise is None else noise
    normal = jnp.clip(part, 2.0**low, 2.0 ** (low + kind.octaves + 1))  # over a scale it may be infinite
    power = octave(normal)
    code = jnp.floor(normal / power * kind.steps + up) + jnp.round(jnp.log2(power) - low) * kind.steps
    below = jnp.where(x > 0, 1.0, 0.0) if kind.positive else jnp.floor(part * 2.0**-low + up)
    code = jnp.where(part < 2.0**low, below, jnp.minimum(code + (1 - kind.steps), kind.last))
    code = code if kind.positive else jnp.where(x < 0, -code, code)
    # In floats up to here: XLA for TPUs makes two kernels of what has whole numbers in between.
    return jnp.where(jnp.abs(x) < jnp.inf, code, kind.nan).astype(kind.dtype)


def _numbers(kind: Codes, codes: Array, low: int) -> Array:
    """The numbers of codes, of which 1 stands for 2^low."""
    code = codes.astype(jnp.int32)
    k = jnp.abs(code)
    bits = (k - 1 << 24 - kind.steps.bit_length()) + (low + 127 << 23)
    found = jnp.where(k == 0, 0.0, jax.lax.bitcast_convert_type(bits, jnp.float32))
    return jnp.where(code == kind.nan, jnp.nan, jnp.where(code < 0, -found, found))


def _scales(peaks: Array, positive: bool, else_: Array) -> Array:
    """The least powers of two that are not below some magnitudes, or twice these; where these say nothing, others."""
    bits = jax.lax.bitcast_convert_type(jnp.clip(peaks, LEAST, MOST), jnp.int32)
    power = jax.lax.bitcast_convert_type(bits + 0x7FFFFF & 0x7F800000, jnp.float32)
    return jnp.where((peaks > 0) & (peaks < jnp.inf), jnp.minimum(power * (2 if positive else 1), MOST), else_)
