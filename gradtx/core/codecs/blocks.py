"""Codes in blocks along the last axis, each with a scale of its own."""

from functools import partial
from typing import Annotated, Any, Literal, cast

import jax.numpy as jnp

from gradtx.core.arguments import Accept, Interval, OneOf
from gradtx.core.codecs import maps
from gradtx.core.codecs.coded import Arrays, Coding, Rounding, codec
from gradtx.core.codecs.equations import Blocks
from gradtx.core.codecs.grid import Grid, rounded
from gradtx.core.typing import Array, DType

Block = Annotated[int, Interval("[1, inf)", integer=True, static=True)]
Size = Annotated[int, Interval("[0, inf)", integer=True, static=True)]
How = Annotated[Rounding, OneOf("nearest", "stochastic")]


class IsFloat8(Accept):
    """A floating-point dtype of 8 bits in which numbers ascend as their bits do."""

    dynamic = False
    wanted = "a floating-point dtype of 8 bits, such as float8_e4m3fn"

    def convert(self, where: str, name: str, x: Any) -> Any:
        dtype = jnp.dtype(x)
        if dtype.itemsize != 1 or not jnp.issubdtype(dtype, jnp.floating) or dtype.name == "float8_e8m0fnu":
            raise self.refusal(where, name, x)
        return dtype


Map = Annotated[Literal["dynamic", "companded"], OneOf("dynamic", "companded")]


@codec
def int8(
    block: Block = 256, *, map: Map = "dynamic", rounding: How = "nearest", smallest: Size = 4096
) -> Coding:  # fmt: skip
    """Codes of 8 bits for numbers over the largest magnitude of their block.

        x = scale value(code)            scale: the largest |x| in the block

    Blocks lie along the last axis, and a row's last block may be shorter: what is cut over devices along other axes
    stays cut. With 4 bytes of scale a block, 256 numbers take 260 bytes.

    What is more than 0 in a slot that is never negative stays that, at least the smallest number: a rule that divides
    by its root would be thrown far by a 0.

    Args:
        block: how many numbers share a scale.
        map: `"dynamic"`: seven decades, finer where numbers are larger; -1 has no code, so that the largest magnitude
            of a block, where it is negative, becomes 0.993 of itself. `"companded"`: 2 |y| / (1 + |y|) in equal steps,
            the square root for a slot that is never negative; meant for blocks of 32.
        rounding: to the nearest code, or at random to one of the two around, such that it is right on average: by the
            step, the slot and the place, so that runs repeat.
        smallest: arrays of fewer numbers stay as they are.

    Source: Dettmers et al. 2022, arXiv:2110.02861; FlashOptim, arXiv:2602.23349; differs: both round to 0 there.
    """
    grid = partial(maps.dynamic, 7) if map == "dynamic" else maps.companded
    return _never_zero(_in_blocks(grid(signed=True), grid(signed=False), block, rounding, smallest))


@codec
def int4(block: Block = 128, *, rounding: How = "nearest", smallest: Size = 4096) -> Coding:
    """Codes of 4 bits, two to a byte, for numbers over the largest magnitude of their block.

    Three decades, finer where numbers are larger; for a slot that is never negative 1/16, 2/16, ..., 1, since what is
    divided by its root must not be 0.

    Args:
        block: how many numbers share a scale.
        rounding: as in `int8`.
        smallest: arrays of fewer numbers stay as they are.

    Source: Li, Chen & Zhu 2023, arXiv:2309.01507.
    """
    return _in_pairs(_in_blocks(maps.dynamic(3, signed=True), maps.steps(16), block, rounding, smallest))


@codec
def float8(
    dtype: Annotated[DType, IsFloat8()] = "float8_e4m3fn", *, rounding: How = "nearest", smallest: Size = 4096
) -> Coding:
    """Floating-point numbers of 8 bits, over the largest magnitude of their row: alone, their range is too small.

    A row is all of the last axis. Of a slot that is never negative the root is kept so, and what is more than 0 in it
    stays that. In place of the name of a codec, `stored` takes the name of the dtype.

    Args:
        dtype: one of JAX's dtypes of 8 bits that has a sign and zero.
        rounding: as in `int8`.
        smallest: arrays of fewer numbers stay as they are.

    Source: Micikevicius et al. 2022, arXiv:2209.05433.
    """
    signed, positive = maps.floats(dtype, signed=True), maps.floats(dtype, signed=False)
    return _never_zero(_in_blocks(signed, positive, None, rounding, smallest))


def _never_zero(coding: Coding) -> Coding:
    """A coding whose first code is 0, which only 0 has in slots that are never negative: they may be divided by."""

    def encode(x: Array, positive: bool, noise: Array | None) -> dict[str, Array]:
        arrays = coding.encode(x, positive, noise)
        codes = arrays["codes"]
        return arrays | {"codes": jnp.where(x > 0, jnp.maximum(codes, 1), codes) if positive else codes}

    return coding._replace(encode=encode, form=cast(Blocks, coding.form)._replace(least=1))


def _in_blocks(signed: Grid, positive: Grid, block: int | None, rounding: Rounding, smallest: int) -> Coding:
    """Codes on a grid from -1 or 0 to 1, over each block's scale; without `block` a row is one."""

    def encode(x: Array, is_positive: bool, noise: Array | None) -> dict[str, Array]:
        row, grid = jnp.atleast_1d(x), positive if is_positive else signed
        scales = jnp.max(jnp.abs(_blocks(row, block)), axis=-1, initial=0)
        spread = _spread(scales, row.shape[-1], block)
        part = jnp.clip(jnp.where(spread > 0, row / spread, 0), 0 if is_positive else -1, 1)
        codes = rounded(grid, part, noise if noise is None else jnp.atleast_1d(noise)) - grid.low
        return {"codes": codes.astype(jnp.uint8).reshape(x.shape), "scales": scales}

    def decode(arrays: Arrays, is_positive: bool, last: int | None) -> Array:
        codes, grid = jnp.atleast_1d(arrays["codes"]), positive if is_positive else signed
        found = grid.value(codes.astype(jnp.float32) + grid.low)
        found = found * _spread(arrays["scales"], codes.shape[-1], block)
        return found.reshape(arrays["codes"].shape)

    return Coding(encode, decode, rounding, smallest, Blocks((signed, positive), block))


def _blocks(x: Array, block: int | None) -> Array:
    """The blocks of each row along a new last axis, the last one filled up with zeros."""
    *lead, n = x.shape
    if block is None or block >= n:
        return x.reshape(*lead, 1, n)
    short = -n % block
    filled = jnp.pad(x, [(0, 0)] * len(lead) + [(0, short)]) if short else x
    return filled.reshape(*lead, -1, block)


def _spread(scales: Array, n: int, block: int | None) -> Array:
    """The scale of each number of rows of `n`."""
    *lead, blocks = scales.shape
    if blocks <= 1:
        return jnp.broadcast_to(scales, (*lead, n)) if blocks else jnp.zeros((*lead, n), scales.dtype)
    block = block or n
    each = jnp.broadcast_to(scales[..., None], (*lead, blocks, block)).reshape(*lead, blocks * block)
    return each[..., :n]


def _in_pairs(coding: Coding) -> Coding:
    """The codes of 4 bits of a codec, two in a byte: the first in its upper half."""

    def encode(x: Array, positive: bool, noise: Array | None) -> dict[str, Array]:
        arrays = coding.encode(x, positive, noise)
        codes = jnp.atleast_1d(arrays["codes"])
        if codes.shape[-1] % 2:
            codes = jnp.pad(codes, [(0, 0)] * (codes.ndim - 1) + [(0, 1)])
        pairs = codes[..., 0::2] << 4 | codes[..., 1::2]
        return arrays | {"codes": pairs if x.ndim else pairs.reshape(())}

    def decode(arrays: Arrays, positive: bool, last: int | None) -> Array:
        pairs = jnp.atleast_1d(arrays["codes"])
        *lead, pairs_a_row = pairs.shape
        codes = jnp.stack([pairs >> 4, pairs & 15], axis=-1).reshape(*lead, 2 * pairs_a_row)
        codes = codes[..., : 1 if last is None else last]
        return coding.decode(dict(arrays) | {"codes": codes if last is not None else codes.reshape(())}, positive, last)

    return coding._replace(encode=encode, decode=decode, form=None)
