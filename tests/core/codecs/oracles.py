"""Codecs in NumPy, float64, typed from the papers: grids as plain lists of numbers, and rounding by looking at all."""

import numpy as np


def dynamic(bits, *, signed):
    """Dettmers et al.: the middles of equal cells of [.1, 1], ever fewer in lower decades; and 0 and 1."""
    values = [0.0, 1.0]
    for i in range(bits - 1):
        edges = np.linspace(0.1, 1, (2**i if signed else 2 ** (i + 1)) + 1)
        middles = (edges[:-1] + edges[1:]) / 2 * 10.0 ** (i - (bits - 2))
        values += [*middles, *-middles] if signed else [*middles]
    return np.sort(values)


def companded(*, signed):
    """FlashOptim: z = 2x / (1 + |x|) in steps of 1/127, or the root of x in steps of 1/255."""
    if not signed:
        return (np.arange(256) / 255) ** 2
    z = np.arange(-127, 128) / 127
    return z / (2 - np.abs(z))


def linear(bits):
    """Li et al.: equal steps to 1, without 0."""
    return np.arange(1, 2**bits + 1) / 2**bits


def logarithm(*, signed):
    """Four to an octave: signed from 2^-23 to 384, others from 2^-47 to 81,920; and 0."""
    numbers = [2.0**e * (1 + m / 4) for e in range(-23 if signed else -47, 17) for m in range(4)]
    numbers = np.array([0.0, *numbers[: 127 if signed else 254]])
    return np.union1d(-numbers, numbers) if signed else numbers


def nearest(values, x):
    """The nearest of some numbers to each; of two, the one of less magnitude."""
    by_size = np.asarray(values)[np.argsort(np.abs(values), kind="stable")]
    return by_size[np.abs(by_size - np.asarray(x, np.float64)[..., None]).argmin(-1)]


def in_blocks(x, block):
    """The slices of the rows of an array that are its blocks."""
    rows = np.atleast_1d(np.asarray(x, np.float64))
    for place in np.ndindex(rows.shape[:-1]):
        for k in range(0, rows.shape[-1], block):
            yield (*place, slice(k, k + block))


def kept(values, x, block):
    """What becomes of an array whose blocks are kept over their largest magnitudes."""
    rows = np.atleast_1d(np.asarray(x, np.float64))
    found = np.zeros_like(rows)
    for at in in_blocks(x, block):
        scale = np.abs(rows[at]).max()
        found[at] = scale * nearest(values, rows[at] / scale) if scale else 0
    return found.reshape(np.shape(x))


def octaves(*, signed):
    """Powers of two down from 1, 7 with a sign or 14 without, which start at 2; and 0."""
    numbers = np.array([0.0, *(2.0**e for e in (range(-6, 1) if signed else range(-12, 2)))])
    return np.union1d(-numbers, numbers) if signed else numbers


def scale(rows):
    """The least powers of two that are not below the magnitudes of rows."""
    return 2.0 ** np.ceil(np.log2(np.abs(rows).max(axis=-1, keepdims=True)))
