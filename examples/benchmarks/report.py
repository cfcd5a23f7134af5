"""The benchmark's table."""

from collections.abc import Callable
from typing import NamedTuple

from examples.benchmarks.cases import LARGE
from examples.benchmarks.libraries import LIBRARIES
from examples.benchmarks.record import Measured, Record


class Column(NamedTuple):
    """A heading, and how a cell is written; one that has no value is empty."""

    heading: str
    cell: Callable[[Measured, str], str]


def plain(heading: str, key: str, form: str, factor: float = 1) -> Column:
    """A column that shows a measured value in another unit."""

    def cell(measured: Measured, library: str) -> str:
        value = measured.get(library, key)
        return "" if value is None else format(value * factor, form)

    return Column(heading, cell)


def of_gradtx(measured: Measured, library: str) -> str:
    ratio = measured.ratio("seconds", library, "gradtx")
    return "" if ratio is None else f"{ratio:.2f}"


def of_limit(measured: Measured, library: str) -> str:
    """Of large parameters only: memory is not what limits a step on those that fit a cache."""
    part = measured.of_limit(library, LIBRARIES[library].limit) if measured.case.workload in LARGE else None
    return "" if part is None else f"{part:.0%}"


BUILD = [plain("build s", "build", ".2f"), plain("kernels", "kernels", ",.0f")]
STEP = [plain("step ms", "seconds", ".2f", 1e3), Column("x gradtx", of_gradtx)]
LIMIT = Column("of limit", of_limit)
COLUMNS = [
    plain("equations", "equations", ",.0f"),
    *BUILD,
    *STEP,
    plain("in a row ms", "pipelined", ".2f", 1e3),
    plain("dispatch us", "dispatch", ",.0f", 1e6),
    plain("state MB", "state bytes", ",.1f", 1e-6),
    plain("temporary MB", "temporary bytes", ",.1f", 1e-6),
    Column("GB/s", lambda measured, library: f"{measured.rate(library) / 1e9:.1f}"),
    LIMIT,
]


def markdown(headings: list[str], rows: list[list[str]], texts: int) -> str:
    """A table in Markdown, whose first columns are text and the others numbers."""
    rule = "|---" * texts + "|--:" * (len(headings) - texts) + "|"
    return "\n".join([f"| {' | '.join(headings)} |", rule, *(f"| {' | '.join(row)} |" for row in rows)])


def table(cases: list[Measured], columns: list[Column] = COLUMNS) -> str:
    """One row for each case and library that ran."""
    rows = [
        [m.case.name, library, *(column.cell(m, library) for column in columns)]
        for m in cases
        for library in m.results
        if m.get(library, "seconds")
    ]
    return markdown(["case", "library", *(column.heading for column in columns)], rows, texts=2)


def absent(cases: list[Measured]) -> str:
    """What did not run, by its reason: one line each, empty where all did."""
    reasons: dict[str, dict[str, list[str]]] = {}
    for m in cases:
        for library, result in m.results.items():
            if "absent" in result:
                reasons.setdefault(result["absent"], {}).setdefault(library, []).append(m.case.name)
    return "\n".join(f"- absent, {counted(libraries)}: {reason}" for reason, libraries in reasons.items())


def counted(libraries: dict[str, list[str]]) -> str:
    """Libraries, each with its case or how many there are."""
    return "; ".join(f"{k} ({x[0] if len(x) == 1 else f'{len(x)} cases'})" for k, x in libraries.items())


def machine_line(record: Record) -> str:
    """The machine and the versions in one line."""
    return ", ".join(f"{key} {value}" for key, value in record.machine.items())


def load_line(record: Record) -> str:
    """Between which load averages all was measured: what is above the threads of the steps is the work of others."""
    loads = record.loads()
    return f"load average {min(loads):.1f} to {max(loads):.1f}" if loads else "load average unknown"
