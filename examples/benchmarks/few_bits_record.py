"""What trainings with few bits came to: kept as JSON, complete after every run, and its table and picture."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np

from examples._figures import INK, MUTED, save, use_style
from examples.benchmarks.few_bits_cases import PLAIN, Case
from examples.benchmarks.record import read, write_whole
from examples.benchmarks.report import markdown

WIDEST = 10.0  # standard deviations: what is further is drawn there
LINEAR = 3.0  # up to so many in equal steps
COLORS = ("#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#E69F00", "#0072B2")


class Run(NamedTuple):
    """A case on a task, and by seed the number that runs are compared by and the score."""

    task: str
    case: Case
    seeds: list[int]
    steps: int
    final: list[float]
    score: list[float]

    def spread(self) -> tuple[float, float]:
        """The mean of the final number, and its standard deviation over seeds."""
        return float(np.mean(self.final)), float(np.std(self.final, ddof=1)) if len(self.final) > 1 else math.nan


class Record(NamedTuple):
    """The versions, and the runs."""

    versions: dict[str, str]
    runs: list[Run]

    def of(self, task: str, case: Case) -> Run | None:
        """The run of a case on a task."""
        return next((run for run in self.runs if (run.task, run.case) == (task, case)), None)

    def with_run(self, run: Run) -> "Record":
        """The record with a run added, in place of what it had of its case."""
        others = [r for r in self.runs if (r.task, r.case) != (run.task, run.case)]
        return self._replace(runs=[*others, run])

    def apart(self, run: Run) -> float | None:
        """How many standard deviations of float32 a run's mean is above that of float32."""
        plain = self.of(run.task, run.case._replace(way=PLAIN))
        if plain is None or plain.seeds != run.seeds or plain.steps != run.steps:
            return None
        mean, deviation = plain.spread()
        return (run.spread()[0] - mean) / deviation if deviation else None

    def save(self, path: Path) -> None:
        """Write it, so that the file is whole at any time."""
        runs = [run._asdict() | {"case": run.case._asdict()} for run in self.runs]
        write_whole(path, json.dumps({"versions": self.versions, "runs": runs}, indent=1) + "\n")


def load(path: Path) -> Record:
    """Read what `Record.save` wrote; see `read`."""

    def made(content: Any) -> Record:
        runs = [Run(**run | {"case": Case(**run["case"])}) for run in content["runs"]]
        return Record(content["versions"], runs)

    return read(path, made)


def table(record: Record, task: str, scored_by: str) -> str:
    """One row for each run on a task."""
    headings = ["optimizer", "kept in", "mean ± deviation", "above float32, in its deviations", scored_by]
    rows = [row(record, run) for run in record.runs if run.task == task]
    return markdown(headings, rows, texts=2)


def row(record: Record, run: Run) -> list[str]:
    mean, deviation = run.spread()
    apart = None if run.case.way == PLAIN else record.apart(run)
    beside = "" if apart is None else f"{apart:+.1f}"
    return [*run.case, f"{mean:.3f} ± {deviation:.3f}", beside, f"{np.mean(run.score):.4f}"]


def draw(record: Record, path: Path) -> None:
    """How far each run is from float32, in its deviations: a panel for each task, a line for each optimizer."""
    use_style()
    tasks = list(dict.fromkeys(run.task for run in record.runs))
    names = list(dict.fromkeys(run.case.optimizer for run in record.runs))
    ways = list(dict.fromkeys(run.case.way for run in record.runs if run.case.way != PLAIN))
    size = (5.8 * len(tasks) + 1, 0.55 * len(names) + 2)
    figure, panels = plt.subplots(1, len(tasks), sharey=True, squeeze=False, layout="constrained", figsize=size)
    for axes, task in zip(panels.flat, tasks, strict=True):
        axes.axvspan(-1, 1, color=MUTED, alpha=0.25, linewidth=0)
        axes.axvline(0, color=INK, linewidth=0.8)
        for k, way in enumerate(ways):
            points = [(x, names.index(r.case.optimizer)) for r, x in beside(record, task, way)]
            height = 0.6 * ((k + 0.5) / len(ways) - 0.5)
            x, y = [x for x, _ in points], [y + height for _, y in points]
            axes.plot(
                x, y, linestyle="", marker="osD^v"[k // len(COLORS) % 5], color=COLORS[k % len(COLORS)], label=way
            )
        axes.set_xscale("symlog", linthresh=LINEAR)
        axes.set_xlim(-1.1 * WIDEST, 1.1 * WIDEST)
        ticks = [-10, -3, -2, -1, 0, 1, 2, 3, 10]
        axes.set_xticks(ticks, [f"{x}" for x in ticks])
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.grid(axis="x")
        axes.set_title(task)
        axes.set_xlabel("loss above that in float32, in its standard deviations")
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5)
    save(figure, path)


def beside(record: Record, task: str, way: str) -> list[tuple[Run, Any]]:
    """The runs of a way with what they are above float32, drawn at most so wide."""
    found = [(run, record.apart(run)) for run in record.runs if run.task == task and run.case.way == way]
    return [(run, np.clip(x, -WIDEST, WIDEST)) for run, x in found if x is not None and math.isfinite(x)]
