"""The library without JAX around it: XLA's structs as it knows them, buffers at odd places, a pool that never helps."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import gradtx.native
from gradtx.native import load
from gradtx.native.operations import CODES
from tests.native.frames import Call, Pool, buffer_of, numbers
from tests.native.support import needs_native, run

FIELDS = {
    "Buffer": ("XLA_FFI_Buffer", dict(type="dtype", data="data", rank="rank", dims="dims")),
    "Buffers": ("XLA_FFI_Args", dict(count="size", types="types", items="args")),
    "Attributes": ("XLA_FFI_Attrs", dict(count="size", types="types", names="names", items="attrs")),
    "Name": ("XLA_FFI_ByteSpan", dict(data="ptr", size="len")),
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
    dtypes = ("S8", "S32", "U8", "F16", "F32", "F64", "BF16")
    kinds = [f"static_assert(gradtx::ffi::k{t} == XLA_FFI_DataType_{t});" for t in dtypes]
    codes = dict(
        kMetadata="Extension_Metadata", kBuffer="ArgType_BUFFER", kArray="AttrType_ARRAY",
        kInvalid="Error_Code_INVALID_ARGUMENT", kExhausted="Error_Code_RESOURCE_EXHAUSTED",
    )  # fmt: skip
    kinds += [f"static_assert(gradtx::ffi::{ours} == XLA_FFI_{theirs});" for ours, theirs in codes.items()]
    kinds.append("static_assert(gradtx::ffi::kBuffer == XLA_FFI_RetType_BUFFER);")
    source = tmp_path / "check.cc"
    source.write_text("\n".join(['#include "xla/ffi/api/c_api.h"', '#include "ffi.h"', *checks, *kinds]))
    include = [f"-I{jax.ffi.include_dir()}", f"-I{Path(gradtx.native.__file__).parent}"]
    built = subprocess.run(
        [compiler, "-std=c++17", "-fsyntax-only", *include, str(source)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr


def call(arrays, results, code, scalars, sizes, pool):
    attributes = dict(code=numbers(code), reads=numbers(range(len(scalars))), sizes=numbers([*sizes, 0]))
    attributes["streams"] = numbers([0] * (sizes[0] + sizes[1]))
    given = np.array(scalars, np.float32)
    made = Call([buffer_of(x) for x in (given, *arrays)], [buffer_of(x) for x in results], attributes)
    return made.make(load.library(), pool)


BLEND = [[CODES["blend"], 2, 0, 1, 0, 0, 1, 0, 0]]


@needs_native
@pytest.mark.parametrize("offset", [0, 1, 3])
def test_buffers_at_odd_addresses_and_a_pool_that_helps_late(offset):
    n = 2**17 + 3
    memory = [np.random.default_rng(k).standard_normal(n + 8).astype(np.float32) for k in range(3)]
    x, y, z = (m[offset + k : offset + k + n] for k, m in enumerate(memory))
    assert call([x, y], [z], BLEND, [2.0, -0.5], [2, 1, 0, 1], Pool()) == (None, 3)
    np.testing.assert_allclose(z, 2 * x - 0.5 * y, rtol=1e-6, atol=1e-6)
    beyond = np.random.default_rng(2).standard_normal(n + 8).astype(np.float32)
    at = offset + 2
    np.testing.assert_array_equal([*memory[2][:at], *memory[2][at + n :]], [*beyond[:at], *beyond[at + n :]])


@needs_native
@pytest.mark.parametrize("pool", [Pool(threads=None), Pool(tasks=None), Pool(threads=-3), Pool(tasks="now")], ids=str)
def test_a_pool_that_fails_or_helps_at_once(pool):
    x = np.random.default_rng(0).standard_normal(2**17 + 3).astype(np.float32)
    z = np.zeros_like(x)
    assert call([x, x], [z], BLEND, [2.0, -0.5], [2, 1, 0, 1], pool)[0] is None
    np.testing.assert_allclose(z, 1.5 * x, rtol=1e-6, atol=1e-6)


@needs_native
def test_programs_beyond_the_machine_are_refused():
    x = np.zeros(4, np.float32)
    told, _ = call([x, x], [x], BLEND, [1.0, 1.0], [2, 1, 100, 1], Pool())
    assert told == "gradtx: a program that the native step cannot run: sizes beyond what there is"


LIMITED = """
    import resource
    from gradtx.native import load, streams
    from gradtx.native.operations import CODES
    from tests.native.frames import Call, Pool, buffer, buffer_of, numbers
    import numpy as np

    library, one, total = load.library(), np.ones(1, np.float32), np.zeros((), np.float32)
    attributes = dict(code=numbers([CODES["sum"], *[0] * 8]), reads=numbers([0]), sizes=numbers([1, 0, 0, 1, 0]))
    attributes["streams"] = numbers([0])
    vast = buffer("float32", one.ctypes.data, [2**45])  # of whose chunks there is no room for a list
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + 2**27, now + 2**27))
    print(Call([buffer_of(one), vast], [buffer_of(total)], attributes).make(library, Pool())[0])
    for threads in (1024, 1):
        try:
            print(len(streams.pass_seconds(8, threads=threads)))
        except RuntimeError as error:
            print(error)
"""


@needs_native
@pytest.mark.skipif(
    sys.platform != "linux" or "asan" in os.environ.get("LD_PRELOAD", ""), reason="memory is not limited"
)
def test_what_the_system_refuses_is_said():
    """Whatever C++ throws stays in the library; nothing is left behind that would keep the next call from running."""
    assert run(LIMITED).splitlines() == [
        "gradtx: no native step: std::bad_alloc",
        "pass_seconds: the system does not start 1024 threads",
        "10",
    ]
