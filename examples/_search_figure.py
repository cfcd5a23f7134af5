"""The picture of hyperparameter_search.py: samples with their narrowing ranges, and the best of each budget."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from _figures import COLORS, INK, MUTED, use_style
from gradtx import SweepResult

MARKERS = "o", "s", "^"  # of the rounds
LOOKS: Sequence[dict[str, Any]] = (
    {"color": COLORS["Adam"], "linestyle": "-"},
    {"color": COLORS["Momentum"], "linestyle": (0, (4, 1.5))},
    {"color": COLORS["AdaGrad"], "linestyle": (0, (1, 1))},
)


def draw(rounds: list[SweepResult], curves: dict[str, NDArray[Any]], grids: dict[int, float]) -> Figure:
    """Rounds of one search; the best accuracy after each training, (seeds, trainings); the best of each grid."""
    use_style()
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.8), layout="constrained")
    draw_samples(left, rounds)
    draw_curves(right, curves, grids)
    return figure


def draw_samples(axes: Axes, rounds: list[SweepResult]) -> None:
    """Where each round sampled, coloured by accuracy, and a frame around its samples."""
    dots: Any = None
    for number, (found, marker) in enumerate(zip(rounds, MARKERS, strict=True), 1):
        x, y = (np.array(found.sweep.values[name]) for name in ("learning_rate", "weight_decay"))
        failed = np.isinf(found.scores)
        axes.plot(x[failed], y[failed], "x", color=MUTED, markersize=5)
        percent = 100 * (1 - found.scores[~failed])
        dots = axes.scatter(
            x[~failed], y[~failed], c=percent, vmin=10, vmax=100, cmap="cividis", s=34, marker=marker,
            edgecolors=INK, linewidths=0.5,
        )  # fmt: skip
        corner, size = (x.min(), y.min()), (np.ptp(x), np.ptp(y))
        axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=INK, linewidth=0.6 + 0.5 * number))
    axes.set(xscale="log", yscale="log", xlabel="Learning rate", ylabel="Weight decay", title="Samples and ranges")
    marks = [Line2D([], [], color="white", marker=m, markeredgecolor=INK, linestyle="") for m in MARKERS]
    cross = Line2D([], [], color=MUTED, marker="x", linestyle="")
    labels = [*(f"Round {number}" for number in range(1, len(rounds) + 1)), "Diverged"]
    axes.legend([*marks, cross], labels, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=4, columnspacing=1)
    plt.colorbar(dots, ax=axes, label="Validation accuracy (%)")


def draw_curves(axes: Axes, curves: dict[str, NDArray[Any]], grids: dict[int, float]) -> None:
    """The best accuracy so far of each method, mean and span over its seeds, and the grids as points."""
    shown = list(grids.values())
    for (name, curve), look in zip(curves.items(), LOOKS, strict=False):
        trainings, mean = np.arange(1, curve.shape[1] + 1), curve.mean(axis=0)
        axes.fill_between(
            trainings, curve.min(axis=0), curve.max(axis=0), step="post", color=look["color"], alpha=0.12, lw=0
        )
        axes.step(trainings, mean, where="post", label=name, **look)
        shown += [mean[len(mean) // 12], curve.max()]  # from where on the curves are flat enough to compare
    axes.plot(list(grids), list(grids.values()), "D", color=INK, markersize=7, label="Grid", clip_on=False)
    low, high = min(shown), max(shown)
    axes.set(xlim=(0, None), ylim=(low, high + 0.06 * (high - low)), title="Best of so many trainings")
    axes.set(xlabel="Trainings", ylabel="Best validation accuracy (%)")
    axes.grid(True)
    axes.legend(loc="lower right")
    if (searches := len(next(iter(curves.values())))) > 1:
        axes.set_title(f"mean and span of {searches} searches", loc="right", fontsize=10, weight="normal")
