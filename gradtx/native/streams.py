"""What the memory allows, measured: the limit that a step is held against."""

import ctypes
from typing import Literal

from gradtx.native import load


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
        count: how many parameters.
        dtype: of the parameters and gradients.
        threads: how many threads share the work.
        huge_pages: whether the arrays lie on huge pages, where the system has them.
        repeats: how many passes are timed.

    Returns:
        Seconds of each pass.

    Raises:
        RuntimeError: the native library is not there.
        MemoryError: the arrays, of 16 bytes for each float32 parameter and 12 for one in bfloat16, do not fit.
        ValueError: another dtype.
    """
    if dtype not in ("float32", "bfloat16"):
        raise ValueError(f"pass_seconds: dtype must be 'float32' or 'bfloat16', got {dtype!r}")
    seconds = (ctypes.c_double * repeats)()
    half = int(dtype == "bfloat16")
    if load.library().gradtx_streams(ctypes.c_int64(count), half, threads, int(huge_pages), repeats, seconds):
        raise MemoryError(f"pass_seconds: no memory for four arrays of {count} numbers")
    return list(seconds)
