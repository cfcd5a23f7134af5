"""The grids of codes that are relative to a scale: numbers from -1 or 0 to 1."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.core.codecs.grid import Grid
from gradtx.core.typing import Array, DType


def mirrored(grid: Grid, low: int | None = None) -> Grid:
    """A grid of numbers from 0 on, with their negatives: all of them, or down to the code `low`."""

    def value(code: Array) -> Array:
        found = grid.value(jnp.abs(code))
        return jnp.where(code < 0, -found, found)

    def nearly(x: Array) -> Array:
        code = grid.nearly(jnp.abs(x))
        return jnp.where(x < 0, -code, code)

    return grid._replace(low=-grid.high if low is None else low, value=value, nearly=nearly)


@lru_cache(maxsize=16)
def dynamic(decades: int, *, signed: bool) -> Grid:
    """Decades, each of more equal cells than the one below, that stand for their middles; and 0 and 1.

    In the decade from 10^(i - decades) on there are 2^i cells, for non-negative numbers twice as many. So the code of a
    number, as that of a floating-point one, is its decade's first and the cell. Of negative numbers -1 has no code.

    Source: Dettmers et al. 2022, arXiv:2110.02861, and its code.
    """
    twice = 0 if signed else 1
    last = 2 ** (decades + twice) - twice  # the code of 1

    def value(code: Array) -> Array:
        k = code + twice
        decade = _among(k, [2 ** (i + twice) for i in range(1, decades)])
        cells = _of(decade, [2.0 ** (i + twice) for i in range(decades)])
        found = (1 + 9 * ((k + 0.5) / cells - 1)) * _of(decade, [10.0 ** (i - decades) for i in range(decades)])
        return jnp.where(code <= 0, 0.0, jnp.where(code >= last, 1.0, found)).astype(jnp.float32)

    def nearly(x: Array) -> Array:
        decade = _among(x, [10.0 ** (i - decades) for i in range(1, decades)])
        cells = _of(decade, [2.0 ** (i + twice) for i in range(decades)])
        part = (x * _of(decade, [10.0 ** (decades - i) for i in range(decades)]) - 1) / 9
        inside = jnp.clip(jnp.floor(part * cells - 0.5), -1, cells - 1)
        return jnp.where(x >= 1, float(last), cells + inside - twice)

    grid = Grid(0, last, value, nearly)
    return mirrored(grid, 1 - last) if signed else grid


@lru_cache(maxsize=16)
def companded(*, signed: bool) -> Grid:
    """2 |x| / (1 + |x|), or the square root of non-negative numbers, in equal steps.

    Source: FlashOptim, arXiv:2602.23349.
    """
    if not signed:
        return Grid(0, 255, lambda code: (code / 255.0) ** 2, lambda x: jnp.floor(255 * jnp.sqrt(x)), halfway=True)
    part = lambda code: code / 127.0
    value = lambda code: part(code) / (2 - part(code))
    return mirrored(Grid(0, 127, value, lambda x: jnp.floor(127 * (2 * x / (1 + x))), halfway=True))


@lru_cache(maxsize=16)
def steps(number: int) -> Grid:
    """Equal steps to 1, without 0: what is divided by these numbers stays finite."""
    return Grid(0, number - 1, lambda code: (code + 1) / number, lambda x: jnp.floor(x * number) - 1)


@lru_cache(maxsize=16)
def floats(dtype: DType, *, signed: bool) -> Grid:
    """The numbers of a dtype of 8 bits over its largest one; where they have no sign, the squares of these.

    So these have twice the octaves, as averages of squares want.
    """
    kind = jnp.finfo(dtype)
    last, largest = int(np.asarray(kind.max).view(np.uint8)), float(kind.max)

    def value(code: Array) -> Array:
        number = jax.lax.bitcast_convert_type(code.astype(jnp.uint8), kind.dtype).astype(jnp.float32) / largest
        return number if signed else number**2

    def nearly(x: Array) -> Array:
        number = (x if signed else jnp.sqrt(x)) * largest
        return jax.lax.bitcast_convert_type(number.astype(kind.dtype), jnp.uint8).astype(jnp.float32)

    grid = Grid(0, last, value, nearly)
    return mirrored(grid) if signed else grid


def _among(x: Array, bounds: list[float]) -> Array:
    """How many of some bounds are not above each number."""
    found = jnp.zeros(x.shape, jnp.int32)
    for bound in bounds:
        found = found + (x >= bound).astype(jnp.int32)
    return found


def _of(place: Array, numbers: list[float]) -> Array:
    """The number at each place of a short list, by comparisons: a program that looks it up does not fuse."""
    found = jnp.full(place.shape, numbers[0], jnp.float32)
    for k, number in enumerate(numbers[1:], 1):
        found = jnp.where(place >= k, jnp.float32(number), found)
    return found
