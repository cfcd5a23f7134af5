"""What calls cost that are not inside `jax.jit`: gradtx and Optax in turns, a row for each call.

    python -m examples.benchmarks.eager
    python -m examples.benchmarks.eager --rounds 200 --only adam

Both libraries run in one process, in turns, and a call is over when its results are there. A row has the medians of
both, and the median of the ratios of the calls that stand beside each other, which is what to compare: a machine that
others use moves both. The first call of each, which compiles, has a column of its own. The leaves are of 64 numbers, so
that nearly all of the time is what a call costs, not what it computes.

Where Optax computes nothing and gradtx checks its arguments or makes an array, gradtx cannot be the faster one. Such
rows are marked.
"""

import argparse
import os
import platform
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

import gradtx

COUNTS = (10, 100)
LONGEST = 3.0  # seconds for a row
OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "sgd": lambda library: library.sgd(0.1),
    "momentum": lambda library: library.sgd(0.1, momentum=0.9),
    "adam": lambda library: library.adam(1e-3),
    "adamw": lambda library: library.adamw(1e-3),
    "adam, cosine": lambda library: library.adam(library.cosine_decay_schedule(1e-3, 100)),
    "lion": lambda library: library.lion(1e-3),
    "rmsprop": lambda library: library.rmsprop(1e-3),
    "clip, adamw": lambda library: library.chain(library.clip_by_global_norm(1.0), library.adamw(1e-3)),
    "masked adam": lambda library: library.masked(library.adam(1e-3), lambda p: jax.tree.map(lambda x: x.ndim > 0, p)),
    "every 2nd, sgd": lambda library: every(library, library.sgd(0.1), 2),
    "muon": lambda library: (library.contrib if library is optax else library).muon(1e-3),
    "schedule-free": lambda library: free(library, library.sgd(0.1)),
}
SCHEDULES: dict[str, Callable[[Any], Any]] = {
    "constant": lambda library: library.constant_schedule(0.1),
    "linear": lambda library: library.linear_schedule(1.0, 0.0, 10),
    "cosine": lambda library: library.cosine_decay_schedule(1.0, 10),
    "warm-up, cosine": lambda library: library.warmup_cosine_decay_schedule(0.0, 1.0, 3, 10),
    "exponential": lambda library: library.exponential_decay(1.0, 10, 0.5),
    "piecewise": lambda library: library.piecewise_constant_schedule(1.0, {3: 0.5, 6: 0.1}),
    "joined": lambda library: library.join_schedules(
        [library.linear_schedule(0.0, 1.0, 5), library.cosine_decay_schedule(1.0, 10)], [5]
    ),
}
NOTHING_DONE = ("init sgd", "constant")  # of Optax's rows: a number, or an empty tuple, that was there before


class Row(NamedTuple):
    """A call of both libraries."""

    name: str
    ours: Callable[[], Any]
    theirs: Callable[[], Any]


class Timed(NamedTuple):
    """Seconds: the first call and the median of the others, and the median ratio of neighbours."""

    row: Row
    first: tuple[float, float]
    medians: tuple[float, float]
    ratio: float


def every(library: Any, inner: Any, steps: int) -> Any:
    """Gradients gathered over some steps, under the name that each library has for it."""
    return library.MultiSteps(inner, steps) if library is optax else library.accumulate(inner, steps)


def free(library: Any, inner: Any) -> Any:
    """The schedule-free form of an optimizer."""
    return (library.contrib if library is optax else library).schedule_free(inner, 0.1)


def rows(counts: tuple[int, ...]) -> list[Row]:
    """All calls: of optimizers on so many leaves, and of schedules, losses and functions of trees."""
    found: list[Row] = []
    for count in counts:
        tree = {f"layer {k}": jnp.full(64, 0.1) for k in range(count)}
        for name, make in OPTIMIZERS.items():
            shape = (8, 8) if name == "muon" else (64,)
            found += calls(f"{name}, {count} leaves", make, jax.tree.map(lambda x, s=shape: x.reshape(s), tree))
        add, norms = [later(x.apply_updates, tree, tree) for x in (gradtx, optax)], (gradtx.tree_norm, optax.tree.norm)
        found.append(Row(f"apply_updates, {count} leaves", *add))
        found.append(Row(f"norm, {count} leaves", *(later(norm, tree) for norm in norms)))
    step = jnp.asarray(3, jnp.int32)
    found += [
        Row(f"{name} schedule", *(later(make(x), step) for x in (gradtx, optax))) for name, make in SCHEDULES.items()
    ]
    return found + losses()


def calls(name: str, make: Callable[[Any], Any], tree: Any) -> list[Row]:
    """`init` and `update` of an optimizer."""
    pairs = [make(library) for library in (gradtx, optax)]
    starts = [later(tx.init, tree) for tx in pairs]
    steps = [later(tx.update, tree, start(), tree) for tx, start in zip(pairs, starts, strict=True)]
    return [Row(f"init {name}", *starts), Row(f"update {name}", *steps)]


def losses() -> list[Row]:
    """Losses of 64 numbers, or of 8 examples of 10 classes."""
    x, logits = jnp.linspace(-2, 2, 64), jnp.linspace(-2, 2, 80).reshape(8, 10)
    y, labels, p = jnp.asarray(x > 0, jnp.float32), jnp.arange(8), jax.nn.softmax(logits)
    arguments: dict[str, tuple[Any, ...]] = {
        "l2_loss": (x, y),
        "huber_loss": (x, y),
        "sigmoid_binary_cross_entropy": (x, y),
        "sigmoid_focal_loss": (x, y),
        "softmax_cross_entropy": (logits, p),
        "softmax_cross_entropy_with_integer_labels": (logits, labels),
        "kl_divergence": (jnp.log(p), p),
        "cosine_similarity": (logits, p),
        "hinge_loss": (x, 2 * y - 1),
    }
    of = lambda library, name: getattr(library.losses, name)
    return [Row(name, *(later(of(x, name), *given) for x in (gradtx, optax))) for name, given in arguments.items()]


def later(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    """A call that is yet to be made."""
    return lambda: function(*arguments)


def timed(call: Callable[[], Any]) -> float:
    """Seconds until the results of a call are there."""
    start = perf_counter()
    jax.block_until_ready(call())
    return perf_counter() - start


def measure(row: Row, rounds: int) -> Timed:
    """Call both in turns, beginning none after some seconds."""
    first = (timed(row.ours), timed(row.theirs))
    turns, begin = [(timed(row.ours), timed(row.theirs))], perf_counter()
    while len(turns) < rounds and perf_counter() - begin < LONGEST:
        turns.append((timed(row.ours), timed(row.theirs)))
    return Timed(
        row, first, (median(a for a, _ in turns), median(b for _, b in turns)), median(a / b for a, b in turns)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50, help="turns of each call")
    parser.add_argument("--only", default="", help="measure the rows whose names contain this")
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("argument --rounds: wanted a whole number above 0")
    chosen = [row for row in rows(COUNTS) if args.only in row.name]
    if not chosen:
        parser.error(f"argument --only: no row's name contains {args.only!r}")

    print(f"Machine: {platform.machine()}, {platform.system()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(
        f"Versions: gradtx {gradtx.__version__}, native step {gradtx.native.available()}, JAX {jax.__version__}, "
        f"Optax {optax.__version__}, Python {platform.python_version()}"
    )
    print(f"Microseconds, medians of {args.rounds}; first call in milliseconds")
    print(f"{'call':44}{'gradtx':>9}{'Optax':>9}{'ratio':>7}{'first: gradtx':>15}{'Optax':>7}")
    slower: list[str] = []
    for row in chosen:
        found = measure(row, args.rounds)
        (ours, theirs), (start, other) = found.medians, found.first
        idle = row.name.startswith(NOTHING_DONE)
        if found.ratio > 1 and not idle:
            slower.append(row.name)
        note = "  Optax does nothing" if idle else "  slower" if found.ratio > 1 else ""
        numbers = f"{1e6 * ours:9.0f}{1e6 * theirs:9.0f}{found.ratio:7.2f}{1e3 * start:15.0f}{1e3 * other:7.0f}"
        print(f"{row.name:44}{numbers}{note}", flush=True)
    print(f"Slower than Optax: {', '.join(slower) or 'none'}; load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
