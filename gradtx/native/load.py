"""The compiled half of the native step: finding it, registering it with XLA, and turning it off."""

import ctypes
import hashlib
import json
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

import jax

from gradtx.native.operations import INTERFACE

LIBRARY = "libgradtx_step.so"
TARGET = f"gradtx_step_{INTERFACE}"
"""The handler's name in compiled programs, which outlive a process: one of another interface does not answer to it."""
SEAL = b"gradtx-step-sha256:"
"""What stands before the checksum at the library's end."""

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
        RuntimeError: it is not there, cut or changed, of another version, or of a kind that this XLA does not take.
    """
    path = next((path for path in _places() if path.exists()), None)
    if path is None:
        raise RuntimeError(
            f"{LIBRARY} is not there: it was not built, which installing gradtx does where there is a compiler"
        )
    try:
        if sys.platform != "darwin" and not _is_whole(path.read_bytes()):
            raise ValueError("it was cut, changed, or built from another version of gradtx; install gradtx again")
        found = ctypes.CDLL(str(path))
        if found.gradtx_interface() != INTERFACE:
            raise ValueError("it was built from another version of gradtx; install gradtx again")
        jax.ffi.register_ffi_target(TARGET, jax.ffi.pycapsule(found.gradtx_step), platform="cpu")
    except Exception as error:
        raise RuntimeError(f"{path} does not load: {error}") from error
    return found


def _is_whole(content: bytes) -> bool:
    """Whether a library ends with the checksum of what stands before; see seal.cmake.

    The system maps a library without reading it, and kills the process that reaches what is missing.
    """
    body = content[: -len(SEAL) - 64]
    return content[len(body) :] == SEAL + hashlib.sha256(body).hexdigest().encode()


def _places() -> Iterator[Path]:
    """Where the library can be: beside this file, or where an editable installation of this very folder put it."""
    yield Path(__file__).with_name(LIBRARY)
    with suppress(PackageNotFoundError):
        installed = distribution("gradtx")
        if _is_this(installed):
            yield Path(str(installed.locate_file(f"gradtx/native/{LIBRARY}")))


def _is_this(installed: Distribution) -> bool:
    """Whether what is installed under our name is this folder: another's library would be of other sources."""
    try:
        origin = json.loads(installed.read_text("direct_url.json") or "")
        folder = Path(unquote(urlsplit(origin["url"]).path))
        return origin["dir_info"]["editable"] is True and folder.resolve() == Path(__file__).resolve().parents[2]
    except (LookupError, TypeError, ValueError):
        return False


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
