"""Broken calls as a program can make them, through XLA: `python -m tests.native.malformed`; what each says, as JSON."""

import json

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.native.load import TARGET
from gradtx.native.operations import CODES

jax.config.update("jax_enable_x64", True)

LOST = object()
ONE = np.ones(1, np.float32)
F32, X = jax.ShapeDtypeStruct((8,), np.float32), np.arange(8, dtype=np.float32)


def code(op, to=2, x=0, y=1, z=0, s=0):
    return np.array([CODES[op], to, x, y, z, s, 0, 0, 0], np.int32)


ADD, STORE = code("add"), code("store", y=0)
UNKNOWN = lambda op: np.array([op, *ADD[1:]], np.int32)
STREAMS = np.zeros(3, np.int32)  # what they hold
SIZES = np.array([2, 1, 1, 1, 0], np.int32)
TWO = dict(sizes=np.array([2, 1, 1, 2, 0], np.int32), arrays=[X] * 4, results=[F32] * 2)  # leaves
# What differs from a call that adds two arrays: attributes, and `scalars`, `arrays`, `results`, `aliases`.
CASES = {
    "no leaves": dict(sizes=np.array([2, 1, 1, 0, 0], np.int32)),
    "negative leaves": dict(sizes=np.array([2, 1, 1, -1, 0], np.int32)),
    "leaves that are not there": dict(sizes=np.array([2, 1, 1, 2**31 - 1, 0], np.int32)),
    "no code": dict(code=LOST),
    "no reads": dict(reads=LOST),
    "no sizes": dict(sizes=LOST),
    "no streams": dict(streams=LOST),
    "more streams than there are": dict(streams=np.zeros(4, np.int32)),
    "a codec that is not there": dict(streams=np.array([1, 0, 0], np.int32)),
    "more codecs than streams": dict(sizes=np.array([2, 1, 1, 1, 4], np.int32)),
    "one attribute more": dict(more=np.zeros(3, np.int32)),
    "another name": dict(code=LOST, kode=ADD),
    "empty code": dict(code=ADD[:0]),
    "cut code": dict(code=ADD[:-1]),
    "short sizes": dict(sizes=SIZES[:2]),
    "long sizes": dict(sizes=np.array([2, 1, 1, 1, 0, 0], np.int32)),
    "no reads of a leaf": dict(reads=np.zeros(0, np.int32)),
    "sizes of int64": dict(sizes=SIZES.astype(np.int64)),
    "code of float32": dict(code=ADD.astype(np.float32)),
    "sizes of one number": dict(sizes=np.int32(2)),
    "sizes in words": dict(sizes="2111"),
    "sizes by name": dict(sizes=dict(inputs=np.int32(2), outputs=np.int32(1))),
    "too many registers": dict(sizes=np.array([2, 1, 25, 1, 0], np.int32)),
    "negative registers": dict(sizes=np.array([2, 1, -1, 1, 0], np.int32)),
    "negative inputs": dict(sizes=np.array([-2, 1, 1, 1, 0], np.int32)),
    "inputs that are not there": dict(sizes=np.array([3, 1, 1, 1, 0], np.int32)),
    "outputs that are not there": dict(sizes=np.array([2, 2, 1, 1, 0], np.int32)),
    "a register that is not there": dict(code=code("add", x=1000)),
    "a register of nobody": dict(code=code("add", x=3)),
    "a result that is not there": dict(code=code("add", to=2**31 - 1)),
    "a negative result": dict(code=code("add", to=-1)),
    "a result over an input": dict(code=code("add", to=0)),
    "a negative operand": dict(code=code("mul_add", y=-1)),
    "two scalars": dict(code=code("add", x=-1, y=-1)),
    "a scalar that is not there": dict(code=code("add", y=-2)),
    "a last operand that is not there": dict(code=code("select", z=99)),
    "a factor that is not there": dict(code=code("mul_add", s=1)),
    "a negative factor": dict(code=code("mul_add", s=-1)),
    "an operand too many": dict(code=code("neg")),
    "reads beyond": dict(reads=np.array([1], np.int32)),
    "negative reads": dict(reads=np.array([-1], np.int32)),
    "too many reads": dict(reads=np.zeros(65, np.int32)),
    "reads beyond, of the last leaf": TWO | dict(reads=np.array([0, 1], np.int32)),
    "negative reads of the last leaf": TWO | dict(reads=np.array([0, -1], np.int32)),
    "reads that the leaves cannot share": TWO | dict(reads=np.zeros(3, np.int32)),
    "scalars of float64": dict(scalars=np.zeros(1)),
    "scalars of int32": dict(scalars=np.zeros(1, np.int32)),
    "no scalars": dict(scalars=np.zeros(0, np.float32)),
    "an unknown operation": dict(code=UNKNOWN(len(CODES))),
    "an operation far out": dict(code=UNKNOWN(10**6)),
    "a negative operation": dict(code=UNKNOWN(-1)),
    "arrays of int32": dict(arrays=[X.astype(np.int32)] * 2),
    "arrays of bool": dict(arrays=[X > 1] * 2),
    "arrays of complex64": dict(arrays=[X.astype(np.complex64)] * 2),
    "arrays of bfloat16, not loaded": dict(arrays=[X.astype(jnp.bfloat16)] * 2),
    "an array of float64": dict(arrays=[X.astype(np.float64)] * 2, code=[code("load", 3, y=0), code("neg", 2, 3, 0)]),
    "a result of int32": dict(results=[jax.ShapeDtypeStruct((8,), np.int32)]),
    "a shorter array": dict(arrays=[X, X[:4]]),
    "a longer result": dict(results=[jax.ShapeDtypeStruct((9,), np.float32)]),
    "one array": dict(arrays=[X]),
    "three arrays": dict(arrays=[X] * 3),
    "two results": dict(results=[F32, F32]),
    "a result that is not computed": dict(code=code("neg", 3, y=0)),
    "a sum beside a result": dict(code=[ADD, code("sum", 0, y=0)]),
    "a sum of nothing": dict(
        sizes=np.array([2, 0, 1, 1, 0], np.int32),
        streams=STREAMS[:2],
        code=code("neg", 2, y=0),
        results=[jax.ShapeDtypeStruct((), np.float32)],
    ),
    "a sum of eight": dict(sizes=np.array([2, 0, 1, 1, 0], np.int32), streams=STREAMS[:2], code=code("sum", 0, y=0)),
    "a sum of float64": dict(
        sizes=np.array([2, 0, 1, 1, 0], np.int32),
        streams=STREAMS[:2],
        code=code("sum", 0, y=0),
        results=[jax.ShapeDtypeStruct((), np.float64)],
    ),
    "read after it was overwritten": dict(code=[STORE, code("add", 3, 0, 1), code("store", 2, 3, 0)], aliases={1: 0}),
}
WHOLE = {
    "as it is": {},
    "a scalar": dict(code=code("mul", y=-1)),
    "as many reads as there may be": dict(reads=np.zeros(64, np.int32)),
    "overwritten when it was read": dict(aliases={1: 0}),
    "the latest result": dict(code=[STORE, code("add", 2, 2, 1)], aliases={1: 0}),
    "each leaf's scalar": TWO
    | dict(code=code("mul", y=-1), scalars=np.array([3, 2], np.float32), reads=np.array([1, 0], np.int32)),
}


def outcome(scalars=ONE, arrays=(X, X), results=(F32,), aliases=None, **attributes):
    """What a call says, or the numbers that it gives."""
    attributes = dict(code=ADD, reads=np.zeros(1, np.int32), sizes=SIZES, streams=STREAMS) | attributes
    attributes = {k: np.concatenate(v) if isinstance(v, list) else v for k, v in attributes.items() if v is not LOST}
    call = jax.ffi.ffi_call(TARGET, list(results), input_output_aliases=aliases)
    try:
        return [np.asarray(x).tolist() for x in jax.jit(lambda *xs: call(*xs, **attributes))(scalars, *arrays)]
    except Exception as error:
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    print(json.dumps([{name: outcome(**case) for name, case in cases.items()} for cases in (CASES, WHOLE)]))
