"""What the memory allows, measured: the limit that a step is held against."""

import ctypes

from gradtx.native import load


def pass_seconds(count: int, *, threads: int = 1, huge_pages: bool = False, repeats: int = 10) -> list[float]:
    """How long the memory traffic of one float32 Adam step takes with no maths to speak of.

    Four arrays are read and three of them written: 28 bytes for each element. The arrays are its own.

    Args:
        count: how many parameters.
        threads: how many threads share the work.
        huge_pages: whether the arrays lie on huge pages, where the system has them.
        repeats: how many passes are timed.

    Returns:
        Seconds of each pass.

    Raises:
        RuntimeError: the native library is not there.
        MemoryError: the arrays, of 16 bytes for each parameter, do not fit.
    """
    seconds = (ctypes.c_double * repeats)()
    if load.library().gradtx_streams(ctypes.c_int64(count), threads, int(huge_pages), repeats, seconds):
        raise MemoryError(f"pass_seconds: no memory for four arrays of {count} numbers")
    return list(seconds)
