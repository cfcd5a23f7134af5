"""Random calls of the handler, whole and broken: `python -m tests.native.fuzz SEED COUNT`.

A whole call must run, and a broken one either run or be refused. One that runs writes its results and nothing else, and
gives the same where its arrays share no memory and the results held something else; one that is refused writes nothing.
Whatever else happens ends this process.
"""

import ctypes
import random
import sys
from collections import Counter
from dataclasses import replace

import numpy as np

from gradtx.native import load
from gradtx.native.operations import CODEC, CODES, MOST_REGISTERS, NAMED
from tests.native.broken import break_it
from tests.native.frames import Buffer, Call, Pool, buffer, numbers

BYTES = {2: 1, 4: 4, 6: 1, 10: 2, 11: 4, 12: 8, 16: 2}
GUARD, WIDTH = 64, 8
"""Bytes around every array; and for each element, so that an array has room for any dtype."""

MAPPED = [op for op in CODES if op not in ("store", "store_held", "sum", "decode", "encode")]
TABLES = 2000
SHAPES = [(), (1, 1), (5,), (3, 47), (2, 300), (2, 2, 129), (40, 7), (1, 512), (1, 40_000)]


class Arrays:
    """All memory of a call, in one piece, so that whatever is written where nothing should be is seen."""

    def __init__(self, rng, sizes):
        self.starts, at = [], GUARD
        for size in sizes:
            self.starts.append(at)
            at += (size * WIDTH + 2 * GUARD) // GUARD * GUARD
        self.memory = np.frombuffer(rng.randbytes(at + GUARD), np.uint8).copy()
        self.offset = -self.memory.ctypes.data % GUARD

    def address(self, k):
        return self.memory.ctypes.data + self.starts[k] - GUARD + self.offset

    def numbers(self, k, kind, count):
        """The elements of an array, to be set."""
        start = self.address(k) - self.memory.ctypes.data
        return self.memory[start : start + count * np.dtype(kind).itemsize].view(kind)


def whole(rng):
    """A call that can be run, and its memory."""
    compute = rng.choice(["float32", "float32", "float64"])
    kinds = ["float16", "bfloat16", "float32", compute, compute] + (["float64"] if compute == "float64" else [])
    total = rng.random() < 0.15
    inputs, outputs = rng.randint(1, 4), 0 if total else rng.randint(1, 3)
    registers, leaves, scalars = rng.choice([4, 5, MOST_REGISTERS]), rng.randint(1, 3), rng.randint(1, 6)
    codecs = [] if total else [a_codec(rng) for _ in range(rng.choice([0, 0, 1, 2]))]
    coded = [streams_of(rng, codecs, k) for k in range(len(codecs))]
    flat = [x for xs in coded for x in xs]
    numbers_of = lambda n: [(rng.choice(kinds), 0) for _ in range(n)]
    streams = [*numbers_of(inputs), *flat, *numbers_of(outputs), *flat]  # the type and the role of each
    inputs, outputs = inputs + len(flat), outputs + len(flat)
    types, roles = [kind for kind, _ in streams], [role for _, role in streams]
    sizes = [0, 1, 5, 127, 128, 129, 300, 40_000 if rng.random() < 0.05 else 16]
    shapes = [rng.choice(SHAPES[:-1] if rng.random() < 0.95 else SHAPES) for _ in range(leaves)]
    shapes = shapes if codecs else [(rng.choice(sizes),) for _ in range(leaves)]
    shape_of = lambda leaf, k: scales_shape(codecs, roles[k], shapes[leaf])
    counts = [[int(np.prod(shape_of(leaf, k))) for k in range(len(types))] for leaf in range(leaves)]
    given = rng.randint(scalars, scalars + 9)
    result = [1] if total else [TABLES] if codecs else []
    arrays = Arrays(rng, [given, *(n for column in counts for n in column), *result])
    arrays.numbers(0, compute, given)[:] = [rng.choice([0.0, 0.5, -2.0, 1e30, np.nan, 1.0]) for _ in range(given)]

    shared = {}  # from an output to the input whose memory it takes over
    for k in range(inputs, inputs + outputs):
        same = [j for j in range(inputs) if streams[j] == streams[k] and j not in shared.values()]
        if roles[k]:
            same = [inputs + k - len(types)]
        if same and rng.random() < 0.5:
            shared[k] = rng.choice(same)
    place = lambda leaf, k: arrays.address(1 + leaf * len(types) + shared.get(k, k))
    stream = lambda leaf, k: buffer(types[k], place(leaf, k), list(shape_of(leaf, k)))
    arguments = [stream(i, k) for i in range(leaves) for k in range(inputs)]
    results = [stream(i, k) for i in range(leaves) for k in range(inputs, inputs + outputs)]
    if total:
        results = [buffer(compute, arrays.address(len(arrays.starts) - 1), [])]
    if codecs:
        arguments.append(buffer("int32", arrays.address(len(arrays.starts) - 1), [TABLES]))
    code = program(rng, streams, inputs, codecs, shared, compute, registers, scalars)
    attributes = dict(
        code=numbers(code),
        reads=numbers([rng.randrange(given) for _ in range(leaves * scalars)]),
        sizes=numbers([inputs, outputs, registers, leaves, len(codecs)]),
        streams=numbers([*roles, *(x for codec in codecs for x in codec)]),
    )
    return Call([buffer(compute, arrays.address(0), [given]), *arguments], results, attributes), arrays


def a_codec(rng):
    """A codec that fits the tables, whatever these hold."""
    flag = lambda: rng.randint(0, 1)
    record = dict(random=flag(), mirrored=flag(), nan=rng.randrange(256), values=rng.randint(0, TABLES - 256))
    if flag():
        record |= dict(
            steps=rng.choice([1, 4, 64]), low=rng.choice([-126, -23, 0, 126]), last=rng.choice([1, 127, 255])
        )
    else:
        record |= dict(block=rng.choice([-1, 1, 32, 64]), shift=rng.randint(1, 23), least=flag())
        record["buckets"] = rng.randint(1, min(300, 2**31 >> record["shift"]))
        record["lowest"] = rng.randint(0, min(2**22, (2**31 >> record["shift"]) - record["buckets"]))
        record["entries"] = rng.randint(0, TABLES - record["buckets"] * (1 + record["mirrored"]))
    return [record.get(name, 0) for name in CODEC]


def streams_of(rng, codecs, k):
    """The type and the role of the arrays of a slot that a codec keeps."""
    return [(rng.choice(["uint8", "int8"]), 2 * k + 1), *([("float32", 2 * k + 2)] if codecs[k][0] else [])]


def scales_shape(codecs, role, shape):
    """The shape of a stream."""
    if role == 0 or role % 2:
        return shape
    block, (*rows, row) = codecs[role // 2 - 1][0], shape or (1,)
    return (*rows, 1 if block < 0 else -(-row // block))


def program(rng, held, inputs, codecs, shared, compute, registers, scalars):
    """Instructions that read what is there, and at last write every output."""
    types, roles = [None if role else kind for kind, role in held], [role for _, role in held]
    streams, code = len(types), []
    there = {k for k in range(inputs) if not roles[k]}
    kept = [k for k in range(inputs) if roles[k] % 2]
    scales = lambda k: k + 1 if codecs[roles[k] // 2][0] else 0
    readable = {k for k in there if types[k] == compute}
    temporary = range(streams, streams + registers)
    scalar = lambda: rng.randrange(scalars)

    def emit(op, to, *operands):
        fields = [*operands, *[0] * (3 - len(operands)), *(scalar() for _ in range(NAMED[op].scalars))]
        code.append([CODES[op], to, *fields, *[0] * (7 - len(fields))])

    def wrote(to):
        for gone in (there, readable):
            gone.discard(shared.get(to))
        if to >= streams or types[to] == compute:
            readable.add(to)

    def some():
        if not readable:
            to = rng.choice(temporary)
            emit("load", to, rng.choice(sorted(there)))
            wrote(to)
        return rng.choice(sorted(readable))

    for _ in range(rng.randint(0, 12)):
        to = rng.choice(temporary)
        op = rng.choice(MAPPED)
        if kept and rng.random() < 0.3:
            k = rng.choice(kept)
            emit("decode", to, k, scales(k))
            wrote(to)
            continue
        operands = [rng.choice(sorted(there))] if op == "load" else [some() for _ in range(NAMED[op].reads)]
        for k in rng.sample(range(len(operands)), rng.randint(0, NAMED[op].either)):
            operands[k] = -1 - scalar()
        emit(op, to, *operands)
        wrote(to)
    last = some() if streams == inputs else temporary[0]
    if streams > inputs:  # kept while outputs overwrite what it was made of
        emit("copy", last, some())
        wrote(last)
    for to in rng.sample(range(inputs, streams), streams - inputs):
        if roles[to]:
            continue
        direct = types[to] == compute and rng.random() < 0.5
        emit("neg" if direct else rng.choice(["store", "store_held"]), to, last)
        wrote(to)
    if streams == inputs:
        emit("sum", 0, last)
    for to in (k for k in range(inputs, streams) if roles[k] % 2):
        salt = next(k for k in kept if roles[k] == roles[to])
        random = codecs[roles[to] // 2][CODEC.index("random")]
        code.append([CODES["encode"], to, last, scales(to), salt * random, scalar(), scalar(), 0, 0])
    return code


def size(x):
    """The bytes of a whole array."""
    shape = (ctypes.c_int64 * x.rank).from_address(x.dims) if x.rank else []
    return int(np.prod(list(shape), initial=1)) * BYTES[x.type]


def moved(rng, x, copied):
    """An array in memory of its own, which holds what is there, or anything."""
    memory = np.frombuffer(rng.randbytes(size(x) + GUARD), np.uint8).copy()
    made = Buffer.from_buffer_copy(x)
    made.data, made.alive = memory.ctypes.data - memory.ctypes.data % -GUARD, (x, memory)
    if copied and size(x):
        ctypes.memmove(made.data, x.data, size(x))
    return made


def leaves(call):
    """The arrays of each leaf: what is read, and what is written."""
    inputs, outputs, _, count, _ = map(int, call.attributes["sizes"].alive[:5])
    for k in range(count):
        yield call.arguments[1 + k * inputs :][:inputs], call.results[k * outputs :][:outputs] if outputs else []


def are_apart(call):
    """Whether no leaf writes where another one has an array; the handler takes XLA's word for that."""
    span = lambda x: range(x.data or 0, (x.data or 0) + size(x))
    meet = lambda x, y: max(x.start, y.start) < min(x.stop, y.stop)
    own = [([span(x) for x in [*reads, *writes]], [span(x) for x in writes]) for reads, writes in leaves(call)]
    others = [
        ([span(call.arguments[0]), *([span(call.arguments[-1])] if call.attributes["sizes"].alive[4] else [])], [])
    ]
    others += own
    return not any(
        meet(x, y)
        for i, (_, writes) in enumerate(own)
        for x in writes
        for j, (all_, _) in enumerate(others)
        if j != i + 1
        for y in all_
    )


def run(call, arrays, rng, library):
    """What the handler says; ends the process where it does what it must not."""
    pool = Pool(rng.choice([None, -5, 0, 1, 4, 2**40]), rng.choice([None, "late", "now", "never"]))
    before, start = arrays.memory.copy(), arrays.memory.ctypes.data
    told, _ = call.make(library, pool)
    if told is not None:
        assert told.startswith("gradtx: a program that the native step cannot run: "), told
        np.testing.assert_array_equal(arrays.memory, before)
        return told
    after, elsewhere = arrays.memory.copy(), np.ones(before.size, bool)
    for x in call.results:
        elsewhere[(x.data or start) - start :][: size(x)] = False
    np.testing.assert_array_equal(after[elsewhere], before[elsewhere])
    if not are_apart(call):
        return None
    arrays.memory[:] = before
    arguments, results = (
        [moved(rng, x, copied) for x in xs] for xs, copied in ((call.arguments, True), (call.results, False))
    )
    apart = replace(call, arguments=arguments, results=results)  # gives the same where nothing shares memory
    assert apart.make(library, pool)[0] is None
    for x, y in zip(call.results, results, strict=True):
        found = after[(x.data or start) - start :][: size(x)]
        np.testing.assert_array_equal(np.frombuffer(ctypes.string_at(y.data, size(y)), np.uint8), found)
    return None


def main(seed, count):
    library, found = load.library(), Counter()
    for k in range(count):
        rng = random.Random(f"{seed}.{k}")
        print(f"{seed}.{k}", file=sys.stderr)
        call, arrays = whole(rng)
        if rng.random() < 0.1:
            assert run(call, arrays, rng, library) is None
            found["whole"] += 1
            continue
        for _ in range(rng.choice([1, 1, 2, 3])):
            break_it(rng, call)
        found[run(call, arrays, rng, library) or "ran"] += 1
    for told, times in found.most_common():
        print(times, told)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
