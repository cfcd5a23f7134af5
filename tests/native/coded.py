"""Slots in codes among those of random steps, and what codes may be, given what the numbers may be."""

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import gradtx
from gradtx.core.codecs.coded import Coded, encoded
from tests.native import intervals as iv
from tests.native.intervals import Interval
from tests.native.operations import cast_held

CODECS = {
    "int8": gradtx.int8(32, smallest=0),
    "companded": gradtx.int8(64, map="companded", rounding="stochastic", smallest=0),
    "log8": gradtx.log8(smallest=0),
    "octaves": gradtx.log8(2.0, rounding="nearest", smallest=0),
}


def kept(x: jax.Array, name: str, positive: bool) -> Any:
    """An array in codes."""
    return encoded(x, CODECS[name], positive=positive, counts=False)


@lru_cache
def grid(kind):
    """The numbers of all codes, over their scales."""
    some = kept(jnp.zeros(256), next(name for name, codec in CODECS.items() if codec == kind.codec), kind.positive)
    every = np.arange(256, dtype=np.uint8).view(some.arrays["codes"].dtype)
    arrays = {name: jnp.asarray(every) if name == "codes" else jnp.ones_like(x) for name, x in some.arrays.items()}
    values = np.asarray(Coded(arrays, some.kind).decoded(), np.float64)
    return np.unique(values[np.isfinite(values)])


def around(values, x):
    """The next of the numbers that are not above and not below, or the last."""
    below = values[np.maximum(np.searchsorted(values, x.low, "right") - 1, 0)]
    return Interval(below, values[np.minimum(np.searchsorted(values, x.high), values.size - 1)], x.dtype)


def in_blocks(f, x, block):
    """What a function says of the blocks along the last axis, each as often as the block has numbers."""
    (*rows, row), ends = x.shape, range(0, x.shape[-1], block)
    parts = [np.broadcast_to(f(x[..., k : k + block]), (*rows, min(block, row - k))) for k in ends]
    return np.concatenate(parts, -1)


def coded(x, like):
    """What is read again where numbers are kept as another array is, rounded to the nearest code or at random."""
    x, values = cast_held(x, "float32"), grid(like.kind)
    doubtful, found = ~(np.isfinite(x.low) & np.isfinite(x.high)), around(values, x)
    if "scales" in like.arrays:
        most = lambda y: in_blocks(lambda z: z.max(-1, keepdims=True), y, like.codec.build().form.block)
        size = iv.absolute(x)
        scale = Interval(most(size.low), most(size.high), x.dtype)
        found, doubtful = iv.times(scale, around(values, iv.over(x, scale))), most(doubtful)
        # What may be over 0, or over next to nothing, is within its block's largest magnitude.
        end = lambda sign, y: np.where(iv.small(scale), sign * scale.high, y)
        found = Interval(end(-1, found.low), end(1, found.high), x.dtype)
    return iv.cast(iv.where(doubtful, found), like.dtype.name)
