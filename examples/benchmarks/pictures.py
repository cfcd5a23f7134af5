"""The benchmark's pictures: the time of a step in every case, and what building costs as leaves become more."""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator, ScalarFormatter

from examples._figures import INK, save, use_style
from examples.benchmarks.cases import COUNTS, MODELS, OPTIMIZERS
from examples.benchmarks.libraries import LIBRARIES
from examples.benchmarks.record import Measured, Record

WIDEST = 4.0  # a longer bar is cut, and says how long it is
GROWING = "adamw + clip"
PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 0.4}


def build_path(path: Path) -> Path:
    """Where the picture of building is, beside that of the steps."""
    return path.with_stem(f"{path.stem}_build")


def draw(record: Record, path: Path, mark: str) -> list[Path]:
    """Draw what the record has data for, with a mark in the files of what it was drawn from; returns the paths."""
    drawn: list[Path] = []
    panels = {name: found for name in MODELS if (found := compared(record, name))}
    if panels:
        draw_steps(panels, path, mark)
        drawn.append(path)
    lines = growth(record)
    if lines:
        draw_build(lines, build_path(path), mark)
        drawn.append(build_path(path))
    return drawn


def compared(record: Record, workload: str) -> list[Measured]:
    """The cases of a workload where something is measured beside gradtx, in the order of the optimizers."""
    found = [m for m in record.cases if m.case.workload == workload and others(m)]
    return sorted(found, key=lambda m: (m.case.dtype != "float32", OPTIMIZERS.index(m.case.optimizer)))


def others(measured: Measured) -> list[str]:
    """The libraries whose time can be given as a multiple of gradtx's."""
    return [k for k in LIBRARIES if k != "gradtx" and measured.ratio("seconds", k, "gradtx") is not None]


def draw_steps(panels: dict[str, list[Measured]], path: Path, mark: str) -> None:
    """Bars of each step's time as a multiple of gradtx's: one panel for each workload, one group for each case."""
    use_style()
    names = list(panels)
    columns = min(2, len(names))
    pairs = [names[k : k + columns] for k in range(0, len(names), columns)]
    heights = [max(len(panels[name]) for name in pair) for pair in pairs]
    figure, grid = plt.subplots(
        len(pairs), columns, squeeze=False, layout="constrained", gridspec_kw={"height_ratios": heights},
        figsize=(5.8 * columns, 0.66 * sum(heights) + 0.6 * len(pairs) + 1),
    )  # fmt: skip
    bars_of: dict[str, Artist] = {}
    for axes, name in zip(grid.flat, names, strict=False):
        bars(axes, panels[name], heights[names.index(name) // columns])
        axes.set_title(name)
        bars_of |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    for axes in grid.flat[len(names) :]:
        axes.set_axis_off()
    libraries = [name for name in LIBRARIES if name in bars_of]
    figure.legend([bars_of[name] for name in libraries], libraries, loc="outside lower center", ncols=4)
    figure.suptitle("Time of one step, as a multiple of gradtx's (longer is slower)", weight="bold")
    save(figure, path, mark)


def bars(axes: Axes, cases: list[Measured], room: int) -> None:
    """One group of bars for each case, where there is room for so many."""
    for i, m in enumerate(cases):
        libraries = others(m)
        height = 0.84 / max(3, len(libraries))
        top = i - height * (len(libraries) - 1) / 2
        for k, library in enumerate(libraries):
            ratio = m.ratio("seconds", library, "gradtx") or 0.0
            y = top + k * height
            color = LIBRARIES[library].color
            axes.barh(y, min(ratio, WIDEST), 0.88 * height, color=color, label=library)
            at = min(ratio, WIDEST) + 0.04
            axes.text(at, y, f"{ratio:.2f}", va="center", fontsize=7, color=INK, bbox=PAPER)
    axes.axvline(1, color=INK, linewidth=0.8)
    narrow = lambda m: "" if m.case.dtype == "float32" else f"\n{m.case.dtype}"
    axes.set_yticks(range(len(cases)), [f"{m.case.optimizer}{narrow(m)}" for m in cases], fontsize=9)
    axes.set_ylim(room - 0.5, -0.5)
    axes.set_xlim(0, WIDEST + 0.4)
    axes.grid(axis="x")


def growth(record: Record) -> dict[str, list[tuple[int, float]]]:
    """The seconds of building by number of leaves, of each library that was measured at two numbers or more."""
    found = [(count, m) for count in COUNTS if (m := record.largest(f"{count} leaves", GROWING)) is not None]
    points = {k: [(count, x) for count, m in found if (x := m.get(k, "build")) is not None] for k in LIBRARIES}
    return {k: line for k, line in points.items() if len(line) > 1}


def draw_build(lines: dict[str, list[tuple[int, float]]], path: Path, mark: str) -> None:
    """Lines of the time to build a step, over the number of leaves."""
    use_style()
    figure, axes = plt.subplots(figsize=(8, 4.5))
    for library, line in lines.items():
        axes.loglog(*zip(*line, strict=True), color=LIBRARIES[library].color, marker="o", label=library)
    axes.xaxis.set_major_locator(FixedLocator(COUNTS))
    axes.xaxis.set_minor_locator(NullLocator())
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
    axes.legend(loc="upper left")
    axes.set_xlabel("leaves of 64 numbers")
    axes.set_ylabel("seconds to trace, lower and compile")
    axes.set_title(f"Building one step of {GROWING}")
    axes.grid()
    save(figure, path, mark)
