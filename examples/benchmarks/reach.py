"""What gradtx is to reach, and what a record says of it."""

from collections.abc import Callable, Iterable
from itertools import product
from typing import NamedTuple

from examples.benchmarks.record import Measured, Record
from examples.benchmarks.report import markdown

Value = Callable[[Measured], float | None]
OPTAX = {"float32": "optax", "bfloat16": "optax float32 state"}
"""The Optax that keeps the same state as gradtx, by the type of the parameters."""
BIG = tuple(product(("one leaf", "gpt2"), ("adam", "adamw")))


CROWDED = "The machine was busy with other work meanwhile (see the load average), so take this as provisional."


class Target(NamedTuple):
    """A bound on a value, in each of some cases."""

    name: str
    value: Value
    bound: float
    most: bool
    """Whether the bound is the most that the value may be; else it is the least."""
    percent: bool
    cases: Callable[[Record], Iterable[Measured]]


class Outcome(NamedTuple):
    """What was measured: of how many cases how many are within the bound, and the case that is furthest from it."""

    target: Target
    reached: int
    measured: int
    worst: float
    where: str

    @property
    def text(self) -> str:
        """Whether it is reached, or by how much not."""
        if self.reached == self.measured:
            return f"reached in {self.reached} of {self.measured}"
        by = self.worst / self.target.bound
        missed = self.measured - self.reached
        return f"missed by {by - 1 if self.target.most else 1 - by:.1%}, in {missed} of {self.measured}"


def outcome(target: Target, record: Record) -> Outcome | None:
    """How a target is met, or None where it was not measured."""
    found = [(value, m.case.name) for m in target.cases(record) if (value := target.value(m)) is not None]
    if not found:
        return None
    within = [value <= target.bound if target.most else value >= target.bound for value, _ in found]
    worst, where = (max if target.most else min)(found)
    return Outcome(target, sum(within), len(found), worst, where)


def every_case(record: Record) -> list[Measured]:
    return record.cases


def many(record: Record) -> list[Measured]:
    return [m for m in record.cases if m.case.workload == "1000 leaves"]


def big(dtype: str) -> Callable[[Record], list[Measured]]:
    """Adam and AdamW on the large parameters, at the largest size there is."""
    return lambda record: [m for pair in BIG if (m := record.largest(*pair, dtype)) is not None]


def one_pass(dtype: str) -> list[Target]:
    """What is to be reached with one pass over memory, by parameters of one type."""

    def target(other: str, ours: str, bound: float) -> Target:
        value = lambda m: m.ratio("seconds", other, ours)
        return Target(f"step, {dtype}: {other} / {ours}", value, bound, False, False, big(dtype))

    def of_loop(library: str) -> Target:
        value = lambda m: m.of_limit(library, library)
        return Target(f"step, {dtype}: loop without maths / {library}", value, 0.9, False, True, big(dtype))

    return [
        target(OPTAX[dtype], "gradtx", 1.5),
        target("torch fused", "gradtx", 1),
        target("torch fused", "gradtx huge pages", 1),
        target("torch fused huge pages", "gradtx huge pages", 1),
        of_loop("gradtx"),
        of_loop("gradtx huge pages"),
    ]


def beside_optax(library: str) -> list[Target]:
    """What is to be reached beside Optax, as a part of what it needs."""

    def target(what: str, key: str, bound: float, cases: Callable[[Record], Iterable[Measured]]) -> Target:
        value = lambda m: m.ratio(key, library, OPTAX[m.case.dtype])
        return Target(f"{what}: {library} / Optax", value, bound, True, True, cases)

    return [
        target("build, 1,000 leaves", "build", 1 / 3, many),
        target("kernels, 1,000 leaves", "kernels", 1 / 5, many),
        target("step", "seconds", 1, every_case),
        target("step in a row", "pipelined", 1, every_case),
        target("dispatch", "dispatch", 1, every_case),
    ]


TARGETS = [
    *beside_optax("gradtx"),
    *beside_optax("gradtx packed"),
    *one_pass("float32"),
    *one_pass("bfloat16"),
]


def row(target: Target, record: Record) -> list[str]:
    """A target, its bound, and what was measured."""
    write = lambda value: f"{value:.1%}" if target.percent else f"{value:.2f} times"
    wanted = f"at {'most' if target.most else 'least'} {write(target.bound)}"
    met = outcome(target, record)
    if met is None:
        return [target.name, wanted, "", "", "not measured"]
    return [target.name, wanted, write(met.worst), met.where, met.text]


def reach_table(record: Record) -> str:
    """One row for each target, with the case that is furthest from it."""
    headings = ["target", "wanted", "measured", "in the worst case", "outcome, of how many cases"]
    return markdown(headings, [row(target, record) for target in TARGETS], texts=len(headings))


def summary(record: Record) -> str:
    """How many targets are reached, in a sentence."""
    met = [x for target in TARGETS if (x := outcome(target, record)) is not None]
    reached = sum(x.reached == x.measured for x in met)
    missing = len(TARGETS) - len(met)
    rest = f" {missing} were not measured." if missing else ""
    found = f"{reached} of the {len(met)} targets that were measured are reached in every case.{rest}"
    return f"{found} {CROWDED}" if record.crowded() else found
