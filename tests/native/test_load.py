"""Where the library is not there, or not wanted, everything is as with it, but plain."""

import os
import subprocess
import sys
import textwrap

import jax
import pytest

import gradtx
from gradtx.native import load, streams
from tests.native.support import calls, needs_native, normal


def run(code, **environment):
    """The output of a new process."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(
        command, env=os.environ | environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


def forget():
    """Look for the library again."""
    load.library.cache_clear()
    load.why_not.cache_clear()


STEP = """
    import jax, jax.numpy as jnp, gradtx
    p, tx = {"w": jnp.arange(20.0)}, gradtx.adamw(0.1)
    print("@gradtx_step" in jax.jit(gradtx.step).lower(tx, p, tx.init(p), p).as_text())
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


@needs_native
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_streams_take_time(dtype):
    found = streams.pass_seconds(2**18 + 1, dtype=dtype, threads=2, repeats=3)
    assert len(found) == 3
    assert all(0 < seconds < 1 for seconds in found)


def test_streams_of_another_dtype():
    with pytest.raises(ValueError, match="dtype must be 'float32' or 'bfloat16', got 'float16'"):
        streams.pass_seconds(8, dtype="float16")
