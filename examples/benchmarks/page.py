"""docs/performance.md and docs/develop/measurements.md, made from what was measured.

`python -m examples.benchmarks.page` fills in the pages and draws their pictures from docs/performance.json, in seconds;
`python -m examples.benchmarks --page` measures that record first. Their text is edited by hand, but between the
markers everything is generated; tests/examples/test_performance_page.py fails when it is not from the record.
"""

import hashlib
import math
import re
from collections.abc import Callable

from examples.benchmarks.headline import draw_headline, headline_path, on_model, sentences
from examples.benchmarks.pictures import draw
from examples.benchmarks.process import ROOT
from examples.benchmarks.reach import BIG, reach_table, summary
from examples.benchmarks.record import Measured, Record, load
from examples.benchmarks.report import BUILD, LIMIT, STEP, absent, load_line, machine_line, markdown, table

DOCS = ROOT / "docs"
PAGES = (DOCS / "performance.md", DOCS / "develop" / "measurements.md")
RECORD = DOCS / "performance.json"
PICTURE = DOCS / "performance.png"
BLOCK = re.compile(r"(<!-- measured: (?P<name>\w+) -->\n).*?(<!-- measured: end -->)", re.DOTALL)


def about(record: Record) -> str:
    """The machine, and how busy it was."""
    sizes = sorted({m.case.size for m in record.cases})
    written = ", ".join(f"{size:g}" for size in sizes)
    steps = [r.get("steps", 0) for m in record.cases for r in m.results.values() if "seconds" in r]
    often = f" Medians of {min(steps)} to {max(steps)} steps." if min(steps, default=0) else ""
    return f"Measured on: {machine_line(record)}; {load_line(record)}. Size of the large models: {written}.{often}"


def ratios(record: Record) -> str:
    """The least and the largest ratio of a step to gradtx's, by library."""
    libraries = list(dict.fromkeys(k for m in record.cases for k in m.results if k != "gradtx"))
    rows: list[list[str]] = []
    for library in libraries:
        found = [(x, m.case.name) for m in record.cases if (x := m.ratio("seconds", library, "gradtx")) is not None]
        if found:
            faster = sum(x < 1 for x, _ in found)
            ends = [f"{x:.2f} ({name})" for x, name in (min(found), max(found))]
            rows.append([library, str(len(found)), str(faster), *ends])
    headings = ["library", "cases", "of them faster than gradtx", "least x gradtx", "largest x gradtx"]
    return markdown(headings, rows, texts=1)


def of_pairs(dtype: str) -> Callable[[Record], str]:
    """The table of Adam and AdamW on the large parameters, of one type."""
    columns = [*STEP, LIMIT]
    return lambda record: table([m for pair in BIG if (m := record.largest(*pair, dtype)) is not None], columns)


def bytes_each(record: Record) -> str:
    """The traffic of a step for each parameter in bfloat16, by library: where they differ in what they keep."""
    m = record.largest("one leaf", "adam", "bfloat16")
    there = [k for k, r in m.results.items() if "stream bytes" in r] if m else []
    if not m or not there:
        return "Not measured."
    count = sum(map(math.prod, m.case.shapes))
    row = lambda k: [k, *(f"{m.results[k][key] / count:.0f}" for key in ("state bytes", "stream bytes"))]
    return markdown(["library", "bytes of state", "bytes moved by a step"], [row(k) for k in there], texts=1)


def many_leaves(record: Record) -> str:
    """The table of the many small leaves."""
    m = record.largest("1000 leaves", "adamw + clip")
    return table([m], [*BUILD, *STEP]) if m else "Not measured."


def memory(record: Record) -> str:
    """The largest temporary of a library in any case, beside its parameters' state."""
    libraries = list(dict.fromkeys(k for m in record.cases for k in m.results))
    rows: list[list[str]] = []
    for library in libraries:
        found = [(x, m) for m in record.cases if (x := temporary(m, library)) is not None]
        if found:
            part, m = max(found, key=lambda pair: pair[0])
            size = m.get(library, "temporary bytes") or 0
            rows.append([library, m.case.name, f"{size / 1e6:,.2f}", f"{part:.2%}"])
    return markdown(["library", "case with the largest", "temporary MB", "of the state"], rows, texts=2)


def temporary(measured: Measured, library: str) -> float | None:
    """The bytes of temporaries as a part of those of the state."""
    size, state = measured.get(library, "temporary bytes"), measured.get(library, "state bytes")
    return size / state if size is not None and state else None


def everything(record: Record) -> str:
    """All that was measured."""
    return "\n\n".join(filter(None, [table(record.cases), absent(record.cases)]))


BLOCKS: dict[str, Callable[[Record], str]] = {
    "headline": sentences,
    "machine": about,
    "summary": summary,
    "reach": reach_table,
    "ratios": ratios,
    "float32": of_pairs("float32"),
    "bfloat16": of_pairs("bfloat16"),
    "bytes": bytes_each,
    "many": many_leaves,
    "memory": memory,
    "everything": everything,
}


def filled(text: str, record: Record) -> str:
    """The page with all between its markers made anew."""
    return BLOCK.sub(lambda block: f"{block[1]}{BLOCKS[block['name']](record)}\n{block[3]}", text)


def mark(record: Record) -> str:
    """What a picture says it was drawn from."""
    return f"record {hashlib.sha256(record.text().encode()).hexdigest()}"


def write() -> None:
    """Make the pages and their pictures."""
    record = load(RECORD)
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8"), record), encoding="utf-8")
    draw_headline(on_model(record), headline_path(PICTURE), mark(record))
    draw(record, PICTURE, mark(record))


if __name__ == "__main__":
    write()
