"""Codecs as the native machine knows them: numbers by code, and where the next code begins, computed from the codec."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh

from gradtx.core.codecs.coded import Codec, Coding
from gradtx.core.codecs.equations import Blocks, Octaves
from gradtx.core.codecs.grid import below, rounded
from gradtx.native.operations import CODEC, MOST_SPAN, SHORT

Numbers = np.ndarray[Any, Any]
FINEST = 8  # bits of a float's mantissa, at most, by which a code is looked up
ONE, LEAST = 0x3F800000, 0x00800000  # the bits of 1.0, and of the least number that is not taken for 0


class Table(NamedTuple):
    """A codec: its record, in the order of CODEC and with places from 0 on, and its numbers, of int32."""

    record: tuple[int, ...]
    numbers: bytes


def together(tables: Sequence[Table]) -> tuple[list[int], Numbers]:
    """The records of tables that stand one behind the other, and the numbers of all."""
    records: list[int] = []
    size = 0
    for x in tables:
        moved = {"values": size, "entries": size + 256}
        records += [number + moved.get(name, 0) for name, number in zip(CODEC, x.record, strict=True)]
        size += len(x.numbers) // 4
    return records, np.frombuffer(b"".join(x.numbers for x in tables), np.int32)


def scales_shape(x: Table, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of the scales of a leaf."""
    *rows, row = shape or (1,)
    block = x.record[0]
    return (*rows, -(-row // block) if block > 0 else 1)


def fits(tables: Sequence[Table], shape: tuple[int, ...]) -> bool:
    """Whether the machine can code the numbers of a leaf together that share scales of these."""
    row, count = shape[-1] if shape else 1, int(np.prod(shape))
    blocks = [row if b < 0 else min(b, row) for b in (x.record[0] for x in tables) if b]
    most = max([1, *blocks])
    nested = row <= SHORT or most == row or not any(most % b for b in blocks)
    return count > 0 and nested and most <= MOST_SPAN and row < 2**32


@lru_cache(maxsize=64)
def table(codec: Codec, positive: bool, random: bool) -> Table | None:
    """What the machine is to know of a codec, or None where it cannot do what that does.

    Args:
        codec: the codec.
        positive: whether it is that of a slot that is never negative.
        random: whether it rounds at random.
    """
    coding: Coding = codec.build()
    # Compiled, as steps are: rounding may be another operation by operation.
    nowhere = jax.sharding.use_abstract_mesh(AbstractMesh((), ()))
    with jax.ensure_compile_time_eval(), nowhere, jax.default_device(jax.local_devices(backend="cpu")[0]):
        if isinstance(coding.form, Octaves):
            return _octaves(coding, coding.form, positive, random)
        return _blocks(coding.form, positive, random) if isinstance(coding.form, Blocks) else None


def _octaves(coding: Coding, form: Octaves, positive: bool, random: bool) -> Table | None:
    lowest, last, nan = (of[positive] for of in (form.lowest, form.last, form.nan))
    if lowest < -126 or lowest + last // form.steps > 126:  # what is not normal is not computed with
        return None
    codes = np.arange(256, dtype=np.uint8).view(np.uint8 if positive else np.int8)
    values = jax.jit(lambda codes: coding.decode({"codes": codes}, positive, 256))(codes)
    return _made(positive, random, values, nan=nan % 256, low=lowest, steps=form.steps, last=last)


def _blocks(form: Blocks, positive: bool, random: bool) -> Table | None:
    grid = form.grids[positive]
    byte = lambda codes: (codes - grid.low).astype(jnp.uint8)
    nearest = below if random else rounded
    code = jax.jit(lambda x: byte(nearest(grid, jnp.clip(x, 0 if positive else -1, 1))))
    values = jax.jit(lambda codes: grid.value(codes.astype(jnp.float32) + grid.low))(np.arange(256, dtype=np.uint8))
    found = _buckets(lambda bits: np.asarray(code(bits.view(np.float32))), positive)
    if found is None:
        return None
    lowest, shift, entries = found
    nan = int(code(np.full(1, np.nan, np.float32))[0])
    looked_up = dict(nan=nan, least=form.least * positive, lowest=lowest, shift=shift)
    looked_up |= dict(buckets=entries.size // (1 if positive else 2))
    return _made(positive, random, values, entries, block=form.block or -1, **looked_up)


def _made(positive: bool, random: bool, values: Any, entries: Any = (), **fields: int) -> Table:
    given = dict(random=int(random), mirrored=int(not positive)) | fields
    numbers = np.concatenate([np.asarray(values, np.float32).view(np.int32), np.asarray(entries, np.int32)])
    return Table(tuple(given.get(name, 0) for name in CODEC), numbers.tobytes())


def _buckets(code: Callable[[Numbers], Numbers], positive: bool) -> tuple[int, int, Numbers] | None:
    """Codes by the first bits of numbers from 0 to 1, and of those from 0 to -1 behind.

    In a bucket, of numbers alike in their first bits, the code may change once; an entry is the code below, and the
    later bits from which on it is the next: one more, or for negative numbers one less.

    Args:
        code: that of floats, given as their bits; it rises with the float.
        positive: whether there are no negative ones.

    Returns:
        The first bits of the first bucket, below which all numbers have one code; how many bits follow; the entries.
    """
    size = ONE >> 23 - FINEST  # of all calls, so that the function is compiled once
    signs = [0] if positive else [0, 1 << 31]
    of = [lambda xs, s=s: code((np.resize(xs, size) | s).astype(np.uint32))[: xs.size].astype(int) for s in signs]
    changes = [_changes(x) for x in of]
    # What is less than 0 may have another code than 0 at once: 0, of any sign, is looked up with what is more.
    known = [at[(at > LEAST) | (s == 0)] for s, at in zip(signs, changes, strict=True) if at is not None]
    for shift in range(22, 22 - FINEST, -1):
        if len(known) == len(signs) and all(np.unique(at >> shift).size == at.size for at in known):
            break
    else:
        return None
    lowest = max(0, (min(int(at[0]) for at in known) >> shift) - 1)
    count = (ONE >> shift) - lowest + 1
    entries: list[Numbers] = []
    for x, at in zip(of, known, strict=True):
        later = np.full(count, 1 << shift)
        later[(at >> shift) - lowest] = at & ((1 << shift) - 1)
        before = x(np.maximum((lowest + np.arange(count)) << shift, 1) - 1)
        entries.append((before << 24 | later).astype(np.uint32).view(np.int32))
    return lowest, shift, np.concatenate(entries)


def _changes(code: Callable[[Numbers], Numbers]) -> Numbers | None:
    """The bits of each number from 0 to 1 from which on there is another code; None where they are too near."""
    ends = np.arange(0, ONE + 1, 1 << 23 - FINEST)
    low, high = ends[:-1], ends[1:]
    steps = np.abs(code(high) - code(low))
    if steps.max() > 1:
        return None
    low, high = low[steps == 1], high[steps == 1]
    after = code(high)
    while (high - low).max(initial=0) > 1:
        middle = (low + high) // 2
        changed = code(middle) == after
        low, high = np.where(changed, low, middle), np.where(changed, middle, high)
    return high
