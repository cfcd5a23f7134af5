"""What the figure scripts share: one look, a colour-blind safe palette, common arguments, and saving."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import matplotlib
import numpy as np
from numpy.typing import NDArray

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers. A method and its variant are
# neighbours in hue and differ by the dash as well.
COLORS = {
    "SGD": "#000000",
    "Momentum": "#0072B2",
    "Nesterov": "#56B4E9",
    "AdaGrad": "#009E73",
    "RMSProp": "#E69F00",
    "Adam": "#D55E00",
    "AdamW": "#CC79A7",
}
DASHED = {"Nesterov", "AdamW"}
INK, MUTED = "#222222", "#8A8A8A"

STYLE: dict[str, Any] = {
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 11,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
}


def use_style() -> None:
    """Make matplotlib draw in the one style of these scripts."""
    plt.style.use(STYLE)


def look(name: str) -> dict[str, Any]:
    """The colour and dash of an optimizer's line, the same in every figure."""
    return {"color": COLORS.get(name, INK), "linestyle": (0, (4, 1.5)) if name in DASHED else "-"}


def label_ends(axes: Axes, ends: dict[str, tuple[float, float]], gap: float) -> None:
    """Name each line right of its end (x, y), with labels at least `gap` of the axis' height apart.

    A line that ends outside the axes, one that diverged say, gets no label.
    """
    right = max(x for x, _ in ends.values())
    to_height = axes.transData + axes.transAxes.inverted()
    heights = {name: to_height.transform((right, y))[1] for name, (_, y) in ends.items()}
    order = sorted((name for name in heights if 0 <= heights[name] <= 1), key=heights.__getitem__)
    spread = spread_out(np.array([heights[name] for name in order]), gap)
    leader = {"arrowstyle": "-", "linewidth": 1, "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 2}
    for name, height in zip(order, spread, strict=True):
        axes.annotate(
            name,
            xy=ends[name],
            xytext=(1.05, height),
            textcoords="axes fraction",
            va="center",
            arrowprops=leader | {"color": look(name)["color"]},
        )


def spread_out(positions: NDArray[Any], gap: float) -> NDArray[Any]:
    """Move sorted positions as little as it takes, in the sense of least squares, to be `gap` apart."""
    blocks: list[tuple[float, int]] = []  # (mean of position minus offset, size): pool adjacent violators
    for index, position in enumerate(positions):
        mean, size = float(position) - gap * index, 1
        while blocks and blocks[-1][0] >= mean:
            before, count = blocks.pop()
            mean, size = (before * count + mean * size) / (count + size), count + size
        blocks.append((mean, size))
    means = [mean for mean, size in blocks for _ in range(size)]
    return np.array(means) + gap * np.arange(len(positions))


def save(figure: Figure, path: Path, mark: str = "") -> None:
    """Write `figure` to `path`, close it and say where it is; a mark is kept in a PNG, as its comment.

    What Matplotlib cannot write, for want of space or of another program, is one line and exit code 1.
    """
    metadata = {"Comment": mark} if mark else None
    try:
        figure.savefig(path, bbox_inches="tight", facecolor="white", metadata=metadata)
    except (OSError, RuntimeError) as error:
        print(f"{Path(sys.argv[0]).name}: {path}: {error}", file=sys.stderr)
        sys.exit(1)
    plt.close(figure)
    print(f"Figure: {path}")


class FigureParser(argparse.ArgumentParser):
    """A parser with the arguments of every figure script. A bad argument is one line and exit code 2."""

    def __init__(self, description: str | None, picture: str) -> None:
        super().__init__(description=description)
        self.picture = picture
        self.add_argument("--seed", type=whole(0), default=0, help="seed of all that is random (default: %(default)s)")
        out = f"a folder, or a file of any format that Matplotlib writes (default: {Path('figures', picture)})"
        self.add_argument("--out", type=folder_or_picture, default=Path("figures"), help=out)
        self.add_argument("--quick", action="store_true", help="the smallest run that still does everything")

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")

    def place(self, out: Path, picture: str = "") -> Path:
        """Where the picture goes: in a folder it has the script's name, or the one given.

        The folder is made now, so that a long run does not fail at its end.
        """
        path = out if out.suffix and not out.is_dir() else out / (picture or self.picture)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self.error(f"argument --out: {error.filename}: {error.strerror}")
        if path.is_dir():
            self.error(f"argument --out: {path}: is a folder")
        return path


def whole(least: int) -> Callable[[str], int]:
    """Makes a reader of whole numbers of at least `least`."""

    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) < 2**31:
            raise argparse.ArgumentTypeError(f"wanted a whole number of at least {least}, got {text!r}")
        return int(text)

    return read


def number(least: float, most: float) -> Callable[[str], float]:
    """Makes a reader of numbers from `least` to `most`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"wanted a number from {least:g} to {most:g}, got {text!r}")
        return value

    return read


def folder_or_picture(text: str) -> Path:
    """Reads the path of a folder, or of a file in a format that Matplotlib writes; what ends in a slash is a folder."""
    path = Path(text)
    if text.endswith(("/", os.sep)) and not path.is_dir():
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise argparse.ArgumentTypeError(f"{error.filename}: {error.strerror}") from None
    known = FigureCanvasBase.get_supported_filetypes()
    if path.suffix and not path.is_dir() and path.suffix[1:].lower() not in known:
        raise argparse.ArgumentTypeError(f"wanted a folder, or a path that ends in .{', .'.join(known)}; got {text!r}")
    return path
