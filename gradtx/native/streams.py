"""What the memory allows, measured: the limit that a step is held against."""

import ctypes
import operator
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from gradtx.native import load

MOST_THREADS, MOST_REPEATS = 1024, 1_000_000


def pass_seconds(
    count: int,
    *,
    dtype: Literal["float32", "bfloat16"] = "float32",
    threads: int = 1,
    huge_pages: bool = False,
    repeats: int = 10,
) -> list[float]:
    """How long the memory traffic of one Adam step with float32 moments takes with no maths to speak of.

    Four arrays are read and three of them written: 28 bytes for each float32 parameter, 22 for one in bfloat16. The
    arrays are its own.

    Args:
        count: how many parameters; at least one, and as many as the machine's memory has room for.
        dtype: of the parameters and gradients.
        threads: how many threads share the work; from 1 to 1024.
        huge_pages: whether the arrays lie on huge pages, where the system has them.
        repeats: how many passes are timed; from 1 to a million.

    Returns:
        Seconds of each pass.

    Raises:
        RuntimeError: the native library is not there, or the system does not start so many threads.
        MemoryError: the arrays, of 16 bytes for each float32 parameter and 12 for one in bfloat16, do not fit.
        ValueError: an argument is out of its range.
    """
    _one_of("dtype", dtype, "float32", "bfloat16")
    _one_of("huge_pages", huge_pages, True, False)
    count = _whole("count", count, None)
    threads = _whole("threads", threads, MOST_THREADS)
    repeats = _whole("repeats", repeats, MOST_REPEATS)
    half = dtype == "bfloat16"
    library = load.library()
    fits = count * (12 if half else 16) < _room()
    seconds = (ctypes.c_double * repeats)()
    status = library.gradtx_streams(ctypes.c_int64(count), half, threads, huge_pages, repeats, seconds) if fits else 1
    if status == 1:
        raise MemoryError(f"pass_seconds: no memory for four arrays of {count} numbers")
    if status != 0:
        raise RuntimeError(f"pass_seconds: the system does not start {threads} threads")
    return list(seconds)


def _room() -> int:
    """The bytes of memory that this process can have at most: the system hands out more, and kills who writes there."""
    room = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError):
        free = re.search(r"MemAvailable: *(\d+) kB", Path("/proc/meminfo").read_text())
        room = room if free is None else min(room, 1024 * int(free[1]))
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):  # of a container
        with suppress(OSError, ValueError):
            room = min(room, int(Path("/sys/fs/cgroup", limit).read_text()))
    return room


def _one_of(name: str, x: Any, *choices: Any) -> None:
    if not any(type(x) is type(choice) and x == choice for choice in choices):
        raise ValueError(f"pass_seconds: {name} must be {' or '.join(map(repr, choices))}, got {x!r}")


def _whole(name: str, x: Any, most: int | None) -> int:
    try:
        number = operator.index(x)
    except TypeError:
        number = 0
    if number < 1 or isinstance(x, bool) or (most is not None and number > most):
        wanted = "at least 1" if most is None else f"from 1 to {most}"
        raise ValueError(f"pass_seconds: {name} must be a whole number, {wanted}, got {x!r}")
    return number
