"""Draw how optimizers walk down a long, narrow valley.

The function is f(x, y) = x^2 / 20 + y^2. Its slope along x is a twentieth of its slope along y,
so plain gradient descent swings across the valley while it creeps along it. Each path starts at
(-7, 2) and is one `jax.lax.scan`. With --all, a small panel for every optimizer, each with the best
learning rate of a grid that keeps the path in the panel: a grid of optimizers is one `jax.vmap`.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from jax import Array
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

import _gallery
import gradtx
from _figures import INK, FigureParser, look, number, save, use_style, whole
from _valley import FIRST, FORMULA, LOWEST, START, STEP, Mark, draw_valley, valley, walk
from gradtx import GradientTransformation

COLUMNS = 3


class Walk(NamedTuple):
    """One row of the table of paths to draw."""

    name: str
    optimizer: GradientTransformation
    steps: int


# gallery: the paths to draw
WALKS = (
    Walk("SGD", gradtx.sgd(0.95), 30),
    Walk("Momentum", gradtx.sgd(0.1, momentum=0.9), 30),
    Walk("AdaGrad", gradtx.adagrad(1.5), 30),
    Walk("RMSProp", gradtx.rmsprop(0.3), 30),
    Walk("Adam", gradtx.adam(0.3), 30),
)
# gallery: end


def draw_path(axes: Axes, name: str, points: NDArray[np.float32]) -> None:
    """One path over the contours of the valley."""
    draw_valley(axes)
    axes.plot(*points.T, **look(name), **STEP)
    axes.plot(*START, **FIRST)
    axes.plot(0, 0, **LOWEST)
    axes.set_title(name)
    note = f"{len(points) - 1} steps, $f$ = {valley(points[-1]):.2g}"
    axes.set_title(note, loc="right", fontsize=10, weight="normal")


def draw_key(axes: Axes) -> None:
    """What the marks mean, in a cell of its own."""
    axes.axis("off")
    marks: dict[str, Mark] = {"start": FIRST, "step": STEP | {"color": INK}, "minimum": LOWEST}
    handles = [Line2D([], [], label=label, **mark) for label, mark in marks.items()]
    axes.legend(handles=handles, title=FORMULA, loc="center", title_fontsize=12)


def draw(paths: dict[str, NDArray[np.float32]]) -> Figure:
    """A grid of panels, one per path, and the key in the last."""
    use_style()
    rows = math.ceil((len(paths) + 1) / COLUMNS)
    size = 3.4 * COLUMNS, 1.8 * rows + 0.3
    figure, grid = plt.subplots(
        rows, COLUMNS, figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    panels = list(grid.flat)
    for axes, (name, points) in zip(panels, paths.items(), strict=False):
        draw_path(axes, name, points)
    for axes in panels[len(paths) - COLUMNS : len(paths)]:  # nothing below these
        axes.tick_params(labelbottom=True)
    for axes in grid[-1]:
        axes.set_xlabel("$x$")
    for axes in grid[:, 0]:
        axes.set_ylabel("$y$")
    for axes in panels[len(paths) :]:
        axes.axis("off")
    draw_key(panels[-1])
    return figure


def find_paths(steps: int | None, noise: Array, key: Array) -> dict[str, NDArray[np.float32]]:
    """The path of each row of the table above, printed; `steps` in place of its own where given."""
    print(f"{'Path':<10} {'Steps':>5} {'End x':>9} {'End y':>9} {'f':>9}  Optimizer")
    paths: dict[str, NDArray[np.float32]] = {}
    for name, optimizer, own_steps in WALKS:
        points = paths[name] = np.asarray(walk(optimizer, steps or own_steps, noise, key))
        x, y = points[-1]
        print(f"{name:<10} {len(points) - 1:>5} {x:>9.4f} {y:>9.4f} {valley(points[-1]):>9.2g}  {optimizer}")
    return paths


def main() -> None:
    parser = FigureParser(__doc__, picture="trajectories.png")
    parser.add_argument("--all", action="store_true", help="draw every optimizer, as trajectories_all.png by default")
    parser.add_argument("--steps", type=whole(1), help="steps of every path (default: 30, with --quick: 5)")
    parser.add_argument("--noise", type=number(0, 100), default=0.0, help="noise on the slope (default: %(default)s)")
    args = parser.parse_args()
    args.out = parser.place(args.out, "trajectories_all.png" if args.all else "trajectories.png")
    steps = args.steps or (5 if args.quick else None)
    noise, key = jnp.float32(args.noise), jax.random.key(args.seed)
    figure = _gallery.draw(_gallery.find_paths(steps, noise, key)) if args.all else draw(find_paths(steps, noise, key))
    save(figure, args.out)


if __name__ == "__main__":
    main()
