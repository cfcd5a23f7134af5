"""The compiled half of the native step: finding it, registering it with XLA, and turning it off."""

import ctypes
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import jax

LIBRARY = "libgradtx_step.so"
TARGET = "gradtx_step"
INTERFACE = 4
"""What this package and the library agree on: instructions, attributes. One is counted up where it changes."""

_on: ContextVar[bool] = ContextVar("gradtx_native", default=os.environ.get("GRADTX_NATIVE", "1") != "0")


def available() -> bool:
    """Whether `gradtx.step` can run in one pass on the CPU: the library was built and XLA takes it."""
    return why_not() is None


@cache
def why_not() -> str | None:
    """Why the native step is not there, or None where it is."""
    try:
        library()
    except Exception as error:  # whatever it is, the step runs without
        return str(error)
    return None


@cache
def library() -> ctypes.CDLL:
    """The library, registered with XLA.

    Raises:
        RuntimeError: it is not there, of another version, or of a kind that this XLA does not take.
    """
    path = next((path for path in _places() if path.exists()), None)
    if path is None:
        raise RuntimeError(f"{LIBRARY} is not there: it was not built, as there was no C++ compiler for it")
    try:
        found = ctypes.CDLL(str(path))
        version = found.gradtx_interface()
        jax.ffi.register_ffi_target(TARGET, jax.ffi.pycapsule(found.gradtx_step), platform="cpu")
    except Exception as error:
        raise RuntimeError(f"{path} does not load: {error}") from error
    if version != INTERFACE:
        raise RuntimeError(f"{path} was built from another version of gradtx; install it again")
    return found


def _places() -> Iterator[Path]:
    yield Path(__file__).with_name(LIBRARY)
    try:
        yield Path(str(distribution("gradtx").locate_file(f"gradtx/native/{LIBRARY}")))
    except PackageNotFoundError:
        return


def wanted() -> bool:
    """Whether the native step is available and not turned off."""
    return _on.get() and available()


@contextmanager
def off() -> Generator[None]:
    """Trace steps without the native kernel; the environment variable `GRADTX_NATIVE=0` does so everywhere.

    What counts is when a step is traced: a function compiled before keeps what it was compiled with.
    """
    token = _on.set(False)
    try:
        yield
    finally:
        _on.reset(token)
