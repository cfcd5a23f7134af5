"""Where the library is not there, or not wanted, everything is as with it, but plain."""

import ctypes
import hashlib
import shutil
import subprocess
import sys
from contextlib import contextmanager
from urllib.parse import quote

import jax
import pytest

import gradtx
from gradtx.native import load, streams
from tests.copies import copied
from tests.native.support import ROOT, calls, needs_native, normal, run


def place():
    """Where the library is."""
    return next(path for path in load._places() if path.exists())


@contextmanager
def again():
    """Look for the library again, and at the end where it was."""
    forget()
    try:
        yield
    finally:
        forget()


def forget():
    load.library.cache_clear()
    load.why_not.cache_clear()


STEP = """
    import jax, jax.numpy as jnp, gradtx
    p, tx = {"w": jnp.arange(20.0)}, gradtx.adamw(0.1)
    print(f"@{gradtx.native.load.TARGET}" in jax.jit(gradtx.step).lower(tx, p, tx.init(p), p).as_text())
"""


WHY = """
    print(gradtx.native.why_not())
"""


@pytest.mark.slow
@needs_native
def test_the_environment_turns_it_off():
    assert [run(STEP, GRADTX_NATIVE=on) for on in ("0", "1")] == ["False", "True"]


@needs_native
def test_off_holds_within():
    params = {"w": normal((20,))}
    tx = gradtx.sgd(0.1)
    lower = lambda: jax.jit(lambda p: gradtx.step(tx, p, tx.init(p), p)).lower(params).as_text()
    with gradtx.native.off():
        assert calls(lower()) == 0
    assert calls(lower()) == 1


def test_a_missing_library_is_said_and_done_without(monkeypatch, tmp_path):
    monkeypatch.setattr(load, "_places", lambda: [tmp_path / load.LIBRARY])
    forget()
    try:
        assert not gradtx.native.available()
        assert "it was not built" in str(gradtx.native.why_not())
        params = {"w": normal((20,))}
        tx = gradtx.sgd(0.1)
        lowered = jax.jit(lambda p: gradtx.step(tx, p, tx.init(p), p)).lower(params)
        assert calls(lowered.as_text()) == 0
        (tmp_path / load.LIBRARY).write_text("no library")
        forget()
        assert "does not load" in str(gradtx.native.why_not())
        with pytest.raises(RuntimeError, match="does not load"):
            streams.pass_seconds(10)
    finally:
        monkeypatch.undo()
        forget()


SAVE = """
    import pickle, sys, jax, jax.numpy as jnp, gradtx
    from jax.experimental import serialize_executable
    p, tx = {"w": jnp.arange(20.0)}, gradtx.adamw(0.1)
    step = jax.jit(gradtx.step).lower(tx, p, tx.init(p), p).compile()
    assert gradtx.native.load.TARGET in step.as_text()
    with open(sys.argv[1], "wb") as file:
        pickle.dump((serialize_executable.serialize(step), jax.tree.leaves(step(tx, p, tx.init(p), p))), file)
"""
RUN = """
    import pickle, sys, jax, gradtx
    from jax.experimental import serialize_executable
    with open(sys.argv[1], "rb") as file:
        saved, wanted = pickle.load(file)
    step = serialize_executable.deserialize_and_load(*saved)
    p, tx = {"w": jax.numpy.arange(20.0)}, gradtx.adamw(0.1)
    found = jax.tree.leaves(step(tx, p, tx.init(p), p))
    print(all((x == y).all() for x, y in zip(found, wanted, strict=True)))
"""


@pytest.mark.slow
@needs_native
def test_a_saved_program_runs_where_gradtx_is_imported(tmp_path):
    # On one device, and compiled here: XLA does not save what it has itself loaded from a cache.
    alone = dict(XLA_FLAGS="", JAX_ENABLE_COMPILATION_CACHE="false")
    run(SAVE, tmp_path / "step", **alone)
    for on in ("0", "1"):
        assert run(RUN, tmp_path / "step", GRADTX_NATIVE=on, **alone) == "True"


def test_the_handler_answers_to_its_interface_only():
    assert load.TARGET.endswith(f"_{load.INTERFACE}")


OLDER = """
    extern "C" int gradtx_interface() { return %d; }
    extern "C" void* gradtx_step(void*) { __builtin_trap(); }
"""


@needs_native
def test_a_library_of_another_interface_is_not_registered(tmp_path, monkeypatch):
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    source, made = tmp_path / "older.cc", tmp_path / load.LIBRARY
    source.write_text(OLDER % (load.INTERFACE - 1))
    subprocess.run([compiler, "-shared", "-fPIC", str(source), "-o", str(made)], check=True)
    made.write_bytes(sealed(made.read_bytes()))
    registered = []
    monkeypatch.setattr(load, "_places", lambda: [made])
    monkeypatch.setattr(jax.ffi, "register_ffi_target", lambda *names, **_: registered.append(names))
    with again():
        assert "another version of gradtx" in str(gradtx.native.why_not())
    assert registered == []


def sealed(content):
    return content + load.SEAL + hashlib.sha256(content).hexdigest().encode()


CHANGES = {
    "cut in half": lambda x: x[: len(x) // 2],
    "one byte short": lambda x: x[:-1],
    "one byte long": lambda x: x + b"0",
    "empty": lambda x: b"",
    "a page of zeros": lambda x: x[:4096] + bytes(4096) + x[8192:],
    "one bit": lambda x: x[:70_000] + bytes([x[70_000] ^ 1]) + x[70_001:],
    "without its seal": lambda x: x[: -len(load.SEAL) - 64],
    "no library": lambda x: sealed(b"no library"),
    "half a library, sealed": lambda x: sealed(x[:64]),
}


@needs_native
@pytest.mark.skipif(sys.platform == "darwin", reason="the system checks libraries by their signatures")
@pytest.mark.parametrize("change", CHANGES)
def test_a_broken_library_is_said_and_done_without(change, tmp_path, monkeypatch):
    """In this process: one that is mapped would end it."""
    broken = tmp_path / load.LIBRARY
    broken.write_bytes(CHANGES[change](place().read_bytes()))
    monkeypatch.setattr(load, "_places", lambda: [broken])
    with again():
        assert str(gradtx.native.why_not()).startswith(f"{broken} does not load: ")


@pytest.mark.slow
@needs_native
@pytest.mark.parametrize("library", ["half", "none"])
def test_gradtx_without_a_library_steps_without_it(library, tmp_path):
    """In a copy of the package: what maps half a library is killed where it touches the other half."""
    environment = copied(tmp_path, "gradtx", without=["*.so"])
    if library == "half":
        content = place().read_bytes()
        (tmp_path / "gradtx" / "native" / load.LIBRARY).write_bytes(content[: len(content) // 2])
    stepped, why = run(STEP + WHY, cwd=tmp_path, **environment).splitlines()
    assert stepped == "False"
    assert ("was cut" if library == "half" else "is not there") in why


@needs_native
def test_a_folder_of_the_librarys_name(tmp_path, monkeypatch):
    (tmp_path / load.LIBRARY).mkdir()
    monkeypatch.setattr(load, "_places", lambda: [tmp_path / load.LIBRARY])
    with again():
        assert "does not load" in str(gradtx.native.why_not())


@pytest.mark.parametrize(
    "origin, taken",
    [
        (None, False), ("", False), ("{}", False), ("no JSON", False), ("[]", False), ("3", False),
        ('{"url": "file://HERE"}', False), ('{"url": "file://HERE", "dir_info": {"editable": false}}', False),
        ('{"url": "file:///elsewhere", "dir_info": {"editable": true}}', False),
        ('{"url": "file://HERE", "dir_info": {"editable": true}}', True),
    ],
)  # fmt: skip
def test_another_installed_gradtx_lends_no_library(origin, taken, tmp_path, monkeypatch):
    info = tmp_path / "gradtx-9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gradtx\nVersion: 9.9\n")
    if origin is not None:
        (info / "direct_url.json").write_text(origin.replace("HERE", quote(str(ROOT))))
    monkeypatch.syspath_prepend(tmp_path)
    beside, *others = load._places()
    assert beside.parent == ROOT / "gradtx" / "native"
    assert others == ([tmp_path / "gradtx" / "native" / load.LIBRARY] if taken else [])


@needs_native
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_streams_take_time(dtype):
    found = streams.pass_seconds(2**18 + 1, dtype=dtype, threads=2, repeats=3)
    assert len(found) == 3
    assert all(0 < seconds < 1 for seconds in found)


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        (dict(count=8, dtype="float16"), ValueError, "dtype must be 'float32' or 'bfloat16', got 'float16'"),
        (dict(count=8, dtype=[1]), ValueError, r"dtype must be 'float32' or 'bfloat16', got \[1\]"),
        (dict(count=2**62), MemoryError, f"no memory for four arrays of {2**62} numbers"),
        (dict(count=2**80), MemoryError, f"no memory for four arrays of {2**80} numbers"),
        (dict(count=0), ValueError, "count must be a whole number, at least 1, got 0"),
        (dict(count=-(2**62)), ValueError, f"count must be a whole number, at least 1, got {-(2**62)}"),
        (dict(count=1.5), ValueError, "count must be a whole number, at least 1, got 1.5"),
        (dict(count=True), ValueError, "count must be a whole number, at least 1, got True"),
        (dict(count="8"), ValueError, "count must be a whole number, at least 1, got '8'"),
        (dict(count=8, threads=100_000), ValueError, "threads must be a whole number, from 1 to 1024, got 100000"),
        (dict(count=8, threads=-1), ValueError, "threads must be a whole number, from 1 to 1024, got -1"),
        (dict(count=8, threads=None), ValueError, "threads must be a whole number, from 1 to 1024, got None"),
        (dict(count=8, repeats=0), ValueError, "repeats must be a whole number, from 1 to 1000000, got 0"),
        (dict(count=8, repeats=2**62), ValueError, "repeats must be a whole number, from 1 to 1000000, got"),
        (dict(count=8, huge_pages=2), ValueError, "huge_pages must be True or False, got 2"),
    ],
)
@needs_native
def test_streams_out_of_range(arguments, error, message):
    with pytest.raises(error, match=f"^pass_seconds: {message}"):
        streams.pass_seconds(**arguments)


@needs_native
@pytest.mark.parametrize("count, threads, repeats", [(0, 1, 1), (-1, 1, 1), (2**62, 1, 1), (8, 0, 1), (8, 1, -1)])
def test_the_library_itself_refuses_too(count, threads, repeats):
    seconds = (ctypes.c_double * 4)()
    assert load.library().gradtx_streams(ctypes.c_int64(count), 0, threads, 0, repeats, seconds) == 3
    assert list(seconds) == [0.0] * 4
