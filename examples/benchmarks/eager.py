"""What calls cost that are not inside `jax.jit`: gradtx and Optax in turns, a row for each call.

    python -m examples.benchmarks.eager
    python -m examples.benchmarks.eager --rounds 200 --only adam

Every public function of Optax that gradtx has too, as gradtx spells it and as `gradtx.compat.optax` does. Both run in
one process, in turns, and a call is over when its results are there. A row has the medians of both, and the ratio of
these. A machine that others use moves it, and hardly the next: the ratio of the processor's time, of all threads. The
first call of each, which compiles, has a column of its own. The leaves are of 64 numbers, so that nearly all of what
is measured is what a call costs, not what it computes.

Where Optax gives back what it was given, and gradtx checks it or makes an array, gradtx cannot be the faster one. Such
rows are marked.
"""

import argparse
import os
import platform
import warnings
from collections.abc import Callable, Iterator
from statistics import median
from time import perf_counter, process_time
from typing import Any, NamedTuple

import jax
import optax

import gradtx
from examples.benchmarks.eager_calls import OPTAX, SPELLINGS, Row, schedules, searches, transformations
from examples.benchmarks.eager_functions import functions

LONGEST = 3.0  # seconds for a row
NOISE = 1.05  # a ratio of the processor's time above it is not only noise
NOTHING = 10e-6  # seconds, in which nothing is computed


class Time(NamedTuple):
    """Seconds that a call took, by the clock and of the processor."""

    clock: float
    processor: float


class Timed(NamedTuple):
    """The first call of gradtx and of Optax, and the medians of the others."""

    first: tuple[Time, Time]
    medians: tuple[Time, Time]

    @property
    def ratios(self) -> Time:
        """Those of gradtx to Optax."""
        ours, theirs = self.medians
        return Time(ours.clock / theirs.clock, ours.processor / theirs.processor)

    @property
    def note(self) -> str:
        """What there is to say."""
        if self.ratios.processor <= NOISE:
            return ""
        return "Optax does nothing" if self.medians[1].processor < NOTHING else "slower"


def rows() -> Iterator[Row]:
    """All calls."""
    yield from transformations()
    yield from searches()
    yield from schedules()
    yield from functions()


def timed(call: Callable[[], Any]) -> Time:
    """How long it takes until the results of a call are there."""
    start = perf_counter(), process_time()
    jax.block_until_ready(call())
    return Time(perf_counter() - start[0], process_time() - start[1])


def measure(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int) -> Timed:
    """Call both in turns, beginning none after some seconds."""
    first = (timed(ours), timed(theirs))
    turns, begin = [(timed(ours), timed(theirs))], perf_counter()
    while len(turns) < rounds and perf_counter() - begin < LONGEST:
        turns.append((timed(ours), timed(theirs)))
    middle = lambda times: Time(median(t.clock for t in times), median(t.processor for t in times))
    return Timed(first, (middle([a for a, _ in turns]), middle([b for _, b in turns])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50, help="turns of each call")
    parser.add_argument("--only", default="", help="measure the rows whose names contain this")
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("argument --rounds: wanted a whole number above 0")
    chosen = [row for row in rows() if args.only in row.name]
    if not chosen:
        parser.error(f"argument --only: no row's name contains {args.only!r}")

    warnings.simplefilter("ignore", DeprecationWarning)
    print(f"Machine: {platform.machine()}, {platform.system()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(
        f"Versions: gradtx {gradtx.__version__}, native step {gradtx.native.available()}, JAX {jax.__version__}, "
        f"Optax {optax.__version__}, Python {platform.python_version()}"
    )
    print(f"Microseconds, medians of {args.rounds}; first call in milliseconds")
    print(f"{'call':56}{'gradtx':>9}{'Optax':>9}{'ratio':>8}{'of CPU':>8}{'first: gradtx':>15}{'Optax':>7}")
    slower: list[str] = []
    for row in chosen:
        theirs = row.make(OPTAX)
        for spelling, find in SPELLINGS.items():
            try:
                ours = row.make(find)
            except AttributeError:  # this spelling has no such call
                continue
            found, name = measure(ours, theirs, args.rounds), f"{spelling} {row.name}"
            if found.note == "slower":
                slower.append(name)
            medians = "".join(f"{1e6 * t.clock:9.0f}" for t in found.medians)
            first = f"{1e3 * found.first[0].clock:15.0f}{1e3 * found.first[1].clock:7.0f}"
            ratios = "".join(f"{ratio:8.2f}" for ratio in found.ratios)
            print(f"{name:56}{medians}{ratios}{first}  {found.note}".rstrip(), flush=True)
    print(f"Slower than Optax: {', '.join(slower) or 'none'}; load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
