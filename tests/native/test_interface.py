"""The library without JAX around it: XLA's structs as it knows them, buffers at odd places, a pool that never helps."""

import ctypes
import shutil
import subprocess
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int32, c_int64, c_size_t, c_void_p
from pathlib import Path

import jax
import numpy as np
import pytest

import gradtx.native
from gradtx.native import load
from gradtx.native.program import OPS
from tests.native.support import needs_native

FIELDS = {
    "Buffer": ("XLA_FFI_Buffer", dict(type="dtype", data="data", rank="rank", dims="dims")),
    "Buffers": ("XLA_FFI_Args", dict(count="size", types="types", items="args")),
    "Attributes": ("XLA_FFI_Attrs", dict(count="size", types="types", names="names", items="attrs")),
    "Array": ("XLA_FFI_Array", dict(type="dtype", count="size", data="data")),
    "Frame": (
        "XLA_FFI_CallFrame",
        dict(api="api", context="ctx", stage="stage", arguments="args", results="rets", attributes="attrs"),
    ),
    "Metadata": ("XLA_FFI_Metadata", dict(version="api_version", traits="traits", state_type="state_type_id")),
    "ErrorArguments": ("XLA_FFI_Error_Create_Args", dict(message="message", code="errc")),
    "ErrorDestroyArguments": ("XLA_FFI_Error_Destroy_Args", dict(error="error")),
    "ScheduleArguments": ("XLA_FFI_ThreadPool_Schedule_Args", dict(context="ctx", task="task", data="data")),
    "ThreadsArguments": ("XLA_FFI_ThreadPool_NumThreads_Args", dict(context="ctx", threads="num_threads")),
    "Api": (
        "XLA_FFI_Api",
        dict(
            make_error="XLA_FFI_Error_Create",
            destroy_error="XLA_FFI_Error_Destroy",
            schedule="XLA_FFI_ThreadPool_Schedule",
            threads="XLA_FFI_ThreadPool_NumThreads",
        ),
    ),
}


def test_the_structs_lie_as_in_the_headers_of_this_jaxlib(tmp_path):
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    same = "static_assert(offsetof(gradtx::ffi::{}, {}) == offsetof({}, {}));"
    checks = [same.format(ours, x, theirs, y) for ours, (theirs, fields) in FIELDS.items() for x, y in fields.items()]
    kinds = [f"static_assert(gradtx::ffi::k{t} == XLA_FFI_DataType_{t});" for t in ("F16", "F32", "F64", "BF16")]
    kinds.append("static_assert(gradtx::ffi::kMetadata == XLA_FFI_Extension_Metadata);")
    source = tmp_path / "check.cc"
    source.write_text("\n".join(['#include "xla/ffi/api/c_api.h"', '#include "ffi.h"', *checks, *kinds]))
    include = [f"-I{jax.ffi.include_dir()}", f"-I{Path(gradtx.native.__file__).parent}"]
    built = subprocess.run(
        [compiler, "-std=c++17", "-fsyntax-only", *include, str(source)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr


def struct(name, **fields):
    return type(name, (Structure,), {"_fields_": list(fields.items())})


HEAD = dict(size=c_size_t, extension=c_void_p)
Buffer = struct("Buffer", **HEAD, type=c_int32, data=c_void_p, rank=c_int64, dims=POINTER(c_int64))
Buffers = struct("Buffers", **HEAD, count=c_int64, types=c_void_p, items=POINTER(c_void_p))
Array = struct("Array", type=c_int32, count=c_size_t, data=c_void_p)
Attributes = struct("Attributes", **HEAD, count=c_int64, types=c_void_p, names=c_void_p, items=POINTER(c_void_p))
Error = struct("Error", **HEAD, message=c_char_p, code=c_int32)
Threads = struct("Threads", **HEAD, context=c_void_p, threads=POINTER(c_int64))
MAKE, COUNT = CFUNCTYPE(c_void_p, POINTER(Error)), CFUNCTYPE(c_void_p, POINTER(Threads))
ANY = CFUNCTYPE(c_void_p, c_void_p)
Api = struct(
    "Api",
    head=c_void_p * 6,
    make_error=MAKE,
    message=c_void_p,
    destroy=ANY,
    others=c_void_p * 8,
    schedule=ANY,
    threads=COUNT,
)
FRAME = dict(api=POINTER(Api), context=c_void_p, stage=c_int32)
Frame = struct("Frame", **HEAD, **FRAME, arguments=Buffers, results=Buffers, attributes=Attributes)


def call(arrays, results, code, scalars, sizes):
    """One call of the handler, as XLA would make it; the messages of its errors, and how often it asked for help."""
    told, asked = [], []

    def count(threads):
        threads[0].threads[0] = 4

    api = Api(
        make_error=MAKE(lambda error: told.append(error[0].message)),
        destroy=ANY(lambda _: None),
        schedule=ANY(asked.append),  # and then the task is never run
        threads=COUNT(count),
    )
    alive = []

    def pointers(xs):
        alive.append((c_void_p * len(xs))(*(ctypes.addressof(x) for x in xs)))
        alive.extend(xs)
        return alive[-1 - len(xs)]

    def buffers(xs):
        dims = [(c_int64 * 1)(x.size) for x in xs]
        alive.extend(dims)
        types = {"float32": 11, "float64": 12}
        made = [
            Buffer(type=types[x.dtype.name], data=x.ctypes.data, rank=1, dims=d) for x, d in zip(xs, dims, strict=True)
        ]
        return Buffers(count=len(xs), items=pointers(made))

    numbers = [np.array(x, np.int32).ravel() for x in (code, range(len(scalars)), sizes)]
    attributes = [Array(type=4, count=x.size, data=x.ctypes.data) for x in numbers]
    frame = Frame(
        api=ctypes.pointer(api),
        arguments=buffers([np.array(scalars, np.float32), *arrays]),
        results=buffers(results),
        attributes=Attributes(count=3, items=pointers(attributes)),
    )
    path = next(path for path in load._places() if path.exists())
    ctypes.CDLL(str(path)).gradtx_step(ctypes.byref(frame))
    return told, asked


BLEND = [[OPS.index("blend"), 2, 0, 1, 0, 0, 1, 0, 0]]


@needs_native
@pytest.mark.parametrize("offset", [0, 1, 3])
def test_buffers_at_odd_addresses_and_a_pool_that_never_helps(offset):
    n = 2**17 + 3
    memory = [np.random.default_rng(k).standard_normal(n + 8).astype(np.float32) for k in range(3)]
    x, y, z = (m[offset + k : offset + k + n] for k, m in enumerate(memory))
    told, asked = call([x, y], [z], BLEND, [2.0, -0.5], [2, 1, 0, 1])
    assert (told, len(asked)) == ([], 3)
    np.testing.assert_allclose(z, 2 * x - 0.5 * y, rtol=1e-6, atol=1e-6)
    beyond = np.random.default_rng(2).standard_normal(n + 8).astype(np.float32)
    at = offset + 2
    np.testing.assert_array_equal([*memory[2][:at], *memory[2][at + n :]], [*beyond[:at], *beyond[at + n :]])


@needs_native
def test_programs_beyond_the_machine_are_refused():
    x = np.zeros(4, np.float32)
    told, _ = call([x, x], [x], BLEND, [1.0, 1.0], [2, 1, 100, 1])
    assert told == [b"gradtx: a program that the native step cannot run"]
