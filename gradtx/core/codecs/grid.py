"""Grids of the numbers that a code can stand for, and rounding to them."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gradtx.core.typing import Array


class Grid(NamedTuple):
    """Numbers in ascending order, by whole numbers from `low` to `high`, which are float32 here.

    `nearly` may be off by one, and rounding makes up for that: only `value` is exact.
    """

    low: int
    high: int
    value: Callable[[Array], Array]  # the number of a code
    nearly: Callable[[Array], Array]  # the code of the largest number that is not above a given one
    halfway: bool = False  # whether the middle between two numbers is that between their codes, which `value` gives


def below(grid: Grid, x: Array) -> Array:
    """The code of the largest number of a grid that is not above `x`; at most the last but one."""
    code = jnp.clip(grid.nearly(x), grid.low, grid.high - 1)
    code = jnp.where(grid.value(code) > x, code - 1, code)
    code = jnp.where(grid.value(code + 1) <= x, code + 1, code)
    return jnp.clip(code, grid.low, grid.high - 1)


def rounded(grid: Grid, x: Array, noise: Array | None = None) -> Array:
    """The codes of a grid's numbers next to `x`: the nearest, where two are the one of less magnitude.

    With `noise`, uniform in [0, 1), one of the two around it, at random, such that it is `x` on average. What lies
    outside of the grid goes to its end.
    """
    code = below(grid, x)
    lower, upper = grid.value(code), grid.value(code + 1)
    if noise is not None:
        up = noise * (upper - lower) < x - lower
    elif grid.halfway:
        up = x >= grid.value(code + 0.5)
    else:
        up = jnp.where(x < 0, upper - x <= x - lower, upper - x < x - lower)
    return jnp.where(up, code + 1, code)


def noise(shape: tuple[int, ...], seed: Array, salt: Array | None = None) -> Array:
    """Numbers in [0, 1), float32, that depend on a seed, on where they stand, and on a salt there, and on nothing else.

    Each is made of its indices alone, so that an array may be cut over devices in any way. Arrays of one shape are to
    have salts: they would have one noise, which XLA might keep in memory for all.
    """
    bits = jnp.broadcast_to(_mixed(seed.astype(jnp.uint32)), shape)
    bits = bits if salt is None else bits + salt.astype(jnp.uint32)
    for axis in range(len(shape)):
        place = jax.lax.broadcasted_iota(jnp.uint32, shape, axis)
        bits = bits * jnp.uint32(0x9E3779B1) + place
    return (_mixed(bits) >> 8).astype(jnp.float32) * jnp.float32(2.0**-24)


def _mixed(x: Array) -> Array:
    """A hash of 32 bits, in which every bit depends on all (Wellons' lowbias32)."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)
