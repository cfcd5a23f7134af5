"""What a reader takes away from the measurements: three sentences and one picture."""

from pathlib import Path

import matplotlib.pyplot as plt

from examples._figures import INK, save, use_style
from examples.benchmarks.cases import OPTIMIZERS
from examples.benchmarks.libraries import LIBRARIES
from examples.benchmarks.pictures import GROWING
from examples.benchmarks.record import Measured, Record

MODEL = "gpt2"
NAMES = {"optax": "Optax", "torch fused": "fused PyTorch"}
BUILT = ("gradtx", "gradtx packed", "optax")
ROOM = 1.14  # right of the longest bar, for its number


def headline_path(path: Path) -> Path:
    """Where the picture is, beside that of all cases."""
    return path.with_stem(f"{path.stem}_{MODEL}")


def beside(record: Record, library: str) -> list[tuple[float, Measured]]:
    """How many times the time of gradtx a library needs for a step, by case."""
    return [(x, m) for m in record.cases if (x := m.ratio("seconds", library, "gradtx")) is not None]


def on_model(record: Record) -> list[Measured]:
    """The cases on the one model, with parameters in float32, at its largest size."""
    found = [record.largest(MODEL, optimizer) for optimizer in OPTIMIZERS]
    return [m for m in found if m is not None and m.get("gradtx", "seconds")]


def size_of(measured: Measured) -> str:
    """The model, and the part of its size that was measured."""
    return measured.case.name.partition(",")[0]


def sentences(record: Record) -> str:
    """How long a step takes on one model, in how many cases it is the faster one, and how long it takes to build."""
    found = record._replace(cases=on_model(record))
    spans = [f"{span(steps)} times as long in {NAMES[k]}" for k in NAMES if (steps := beside(found, k))]
    counts = [f"than {NAMES[k]} in {wins(steps)}" for k in NAMES if (steps := beside(record, k))]
    many = record.largest("1000 leaves", GROWING)
    built = [f"{x:.1f} s" for k in BUILT if many and (x := many.get(k, "build")) is not None]
    if not spans or len(built) != len(BUILT):
        return "Not measured."
    ours, packed, others = built
    return (
        f"A step on the parameters of {size_of(found.cases[0])} takes {' and '.join(spans)} as in gradtx.\n"
        f"Of all cases that were measured, gradtx is faster {' and '.join(counts)}.\n"
        f"On 1000 leaves, gradtx builds a step of {GROWING} in {ours} ({packed} packed), Optax in {others}."
    )


def span(steps: list[tuple[float, Measured]]) -> str:
    """The least and the largest of some ratios, with their optimizers."""
    ends = [pick(steps, key=lambda step: step[0]) for pick in (min, max)]
    return " to ".join(f"{x:.2f} ({m.case.optimizer})" for x, m in ends)


def wins(steps: list[tuple[float, Measured]]) -> str:
    return f"{sum(x > 1 for x, _ in steps)} of {len(steps)}"


def draw_headline(cases: list[Measured], path: Path, mark: str) -> None:
    """Bars of each library's step as a multiple of gradtx's, one group for each optimizer."""
    use_style()
    libraries = ["gradtx", *NAMES]
    figure, axes = plt.subplots(figsize=(8, 0.62 * len(cases) + 1.2))
    height = 0.8 / len(libraries)
    longest = 1.0
    for k, library in enumerate(libraries):
        bars = [(i, x) for i, m in enumerate(cases) if (x := m.ratio("seconds", library, "gradtx")) is not None]
        rows = [i + height * (k - 1) for i, _ in bars]
        ratios = [x for _, x in bars]
        axes.barh(rows, ratios, 0.9 * height, color=LIBRARIES[library].color, label=NAMES.get(library, library))
        longest = max([longest, *ratios])
        for (i, x), y in zip(bars, rows, strict=True):
            text = f"{1e3 * (cases[i].get('gradtx', 'seconds') or 0):,.0f} ms" if library == "gradtx" else f"{x:.2f}"
            axes.text(max(1, x) + 0.05, y, text, va="center", fontsize=9, color=INK)
    axes.set_yticks(range(len(cases)), [m.case.optimizer for m in cases])
    axes.set_ylim(len(cases) - 0.5, -0.5)
    axes.set_xlim(0, ROOM * longest)
    axes.axvline(1, color=INK, linewidth=0.8)
    axes.grid(axis="x")
    axes.set_title(f"One step on the parameters of {size_of(cases[0])}")
    axes.set_xlabel("time as a multiple of gradtx's: longer is slower")
    axes.legend(loc="lower right")
    save(figure, path, mark)
