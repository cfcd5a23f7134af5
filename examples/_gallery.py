"""Every optimizer's path down the valley, each with the best learning rate of one grid."""

import inspect
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import matplotlib.pyplot as plt
import numpy as np
from jax import Array
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

import gradtx
from _figures import COLORS, use_style
from _valley import FIRST, FORMULA, FRAME, LOWEST, START, STEP, Mark, draw_valley, valley, walk
from gradtx import GradientTransformation

RATES = np.array([m * 10.0**e for e in range(-3, 2) for m in (1, 2, 5)] + [100.0], np.float32)
COLUMNS = 5
STEPS = 30
ARRIVED = 1e-9  # losses below this are alike
SMALL_STEP: Mark = STEP | {"markersize": 2.4, "linewidth": 1.0, "color": COLORS["Momentum"]}
SMALL_FIRST: Mark = FIRST | {"markersize": 4.5}
SMALL_LOWEST: Mark = LOWEST | {"markersize": 7, "markeredgewidth": 1.2}
LAST: Mark = {"marker": "o", "markersize": 5, "color": COLORS["Adam"], "markeredgecolor": "white", "linestyle": ""}

Maker = Callable[[Any], GradientTransformation]


class Path(NamedTuple):
    """The path of one optimizer, and the learning rate it was chosen for."""

    rate: float
    points: NDArray[np.float32]  # (steps + 1, 2)


def optimizer_makers() -> dict[str, Maker]:
    """Every public optimizer, by name: what takes a learning rate first and needs nothing else."""
    public: Mapping[str, Any] = vars(gradtx)
    found: dict[str, Maker] = {}
    for name, maker in sorted(public.items()):
        if callable(maker) and name.islower() and not name.startswith(("_", "scale_by")):
            parameters = list(inspect.signature(maker).parameters.values())
            needed = [p.name for p in parameters[1:] if p.default is p.empty]
            if parameters and "learning_rate" in parameters[0].name and not needed:
                found[name] = public[name]
    return found


@partial(jax.jit, static_argnames="steps")
def walk_all(optimizers: dict[str, GradientTransformation], steps: int, noise: Array, key: Array) -> dict[str, Array]:
    """The paths of stacks of optimizers: (rates, steps + 1, 2) each. One program compiles faster than one for each."""
    walks = jax.vmap(lambda optimizer: walk(optimizer, steps, noise, key))
    return {name: walks(optimizer) for name, optimizer in optimizers.items()}


def best(points: NDArray[np.float32]) -> Path:
    """The path that ends lowest over the grid of rates, of those that stay in the frame or leave it least."""
    reach = np.max(np.abs(points) / FRAME, axis=(1, 2))  # 1 at the frame
    drawable = np.flatnonzero(reach <= max(1.0, np.nanmin(reach)))
    losses = valley(points[drawable, -1].T)
    index = drawable[np.argmin(np.maximum(losses, ARRIVED))]  # the first, so the lowest rate, of equals
    return Path(float(RATES[index]), points[index])


def find_paths(steps: int | None, noise: Array, key: Array) -> dict[str, Path]:
    """The best path of every optimizer, printed."""
    optimizers = {name: jax.vmap(maker)(RATES) for name, maker in optimizer_makers().items()}
    walked = walk_all(optimizers, steps or STEPS, noise, key)
    paths = {name: best(np.asarray(points)) for name, points in walked.items()}
    print(f"{'Optimizer':<28} {'Rate':>6} {'End x':>9} {'End y':>9} {'f':>9}")
    for name, (rate, points) in paths.items():
        x, y = points[-1]
        print(f"{name:<28} {rate:>6g} {x:>9.4f} {y:>9.4f} {valley(points[-1]):>9.2g}")
    return paths


def draw_path(axes: Axes, name: str, path: Path) -> None:
    """One small panel."""
    draw_valley(axes, linewidth=0.4)
    axes.plot(*path.points.T, **SMALL_STEP)
    axes.plot(*START, **SMALL_FIRST)
    axes.plot(*path.points[-1], **LAST)
    axes.plot(0, 0, **SMALL_LOWEST)
    axes.set_title(name, fontsize=10, weight="normal", pad=3)
    axes.set_title(f"$\\eta$ = {path.rate:g}", loc="right", fontsize=9, weight="normal", pad=3)


def draw(paths: dict[str, Path]) -> Figure:
    """A grid of small panels, one per path, under one key."""
    use_style()
    rows = math.ceil(len(paths) / COLUMNS)
    size = 2.7 * COLUMNS, 1.24 * rows + 0.6
    figure, grid = plt.subplots(
        rows, COLUMNS, figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    panels = list(grid.flat)
    for axes, (name, path) in zip(panels, paths.items(), strict=False):
        draw_path(axes, name, path)
        axes.tick_params(labelsize=9, length=2.5, pad=2)
        axes.spines[:].set(visible=True, linewidth=0.5)
    for axes in panels[len(paths) :]:
        axes.axis("off")
    draw_key(figure, steps=len(paths[next(iter(paths))].points) - 1)
    return figure


def draw_key(figure: Figure, steps: int) -> None:
    """What the marks mean, in one line above the panels."""
    marks: dict[str, Mark] = {
        "start": SMALL_FIRST,
        "step": SMALL_STEP,
        f"after {steps} steps": LAST,
        "minimum": SMALL_LOWEST,
    }
    handles = [Line2D([], [], label=label, **mark) for label, mark in marks.items()]
    title = FORMULA + r",  with the best learning rate $\eta$ of a grid"
    figure.legend(handles=handles, title=title, title_fontsize=13, loc="outside upper center", ncols=len(handles))
