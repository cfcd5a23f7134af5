"""The benchmark's table and picture."""

import os
import platform
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from examples._figures import INK, MUTED, save, use_style
from examples.benchmarks.cases import Case

Results = list[tuple[Case, dict[str, Any]]]
COLUMNS = ["build s", "kernels", "step ms", "x gradtx", "dispatch us", "state MB", "temporary MB", "GB/s", "of limit"]
COLORS = {
    "gradtx": "#0072B2", "gradtx packed": "#56B4E9", "gradtx XLA": "#009E73", "optax": "#E69F00",
    "torch fused": "#D55E00", "torch foreach": "#CC79A7", "numpy": MUTED,
}  # fmt: skip


def machine() -> dict[str, str]:
    """What this ran on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return {"processor": name, "cores": str(os.cpu_count()), "python": platform.python_version()}


def table(about: dict[str, str], results: Results) -> str:
    """The machine in one line, and one row for each case and library, as Markdown; "build" is tracing to compiling."""
    about_line = ", ".join(f"{key} {value}" for key, value in about.items())
    lines = [about_line, "", f"| case | library | {' | '.join(COLUMNS)} |", "|---|---" + "|--:" * len(COLUMNS) + "|"]
    for case, by_library in results:
        name = f"{case.workload}, {case.optimizer}, {case.dtype}"
        ours = by_library.get("gradtx", {}).get("seconds")
        limit, streams = (by_library.get("gradtx", {}).get(key) for key in ("limit", "stream bytes"))
        for library, r in by_library.items():
            if "absent" in r:
                continue
            built = f"{r['trace'] + r['lower'] + r['compile']:.2f}" if "trace" in r else ""
            cells = [
                built,
                str(r.get("kernels", "")),
                f"{1e3 * r['seconds']:.2f}",
                f"{r['seconds'] / ours:.2f}" if ours else "",
                f"{1e6 * r['dispatch']:.0f}" if "dispatch" in r else "",
                f"{r['state bytes'] / 1e6:.1f}",
                f"{r['temporary bytes'] / 1e6:.1f}" if "temporary bytes" in r else "",
                f"{r['stream bytes'] / r['seconds'] / 1e9:.1f}",
                f"{limit * r['stream bytes'] / streams / r['seconds']:.0%}" if limit else "",
            ]
            lines.append(f"| {name} | {library} | {' | '.join(cells)} |")
        absent = [f"{library} ({r['absent']})" for library, r in by_library.items() if "absent" in r]
        if absent:
            lines.append(f"| {name} | absent: {'; '.join(absent)} |" + " |" * len(COLUMNS))
    return "\n".join(lines)


def draw(results: Results, libraries: list[str], path: Path) -> None:
    """Bars of each step's time as a multiple of gradtx's, one group for each case."""
    use_style()
    figure, axes = plt.subplots(figsize=(8, 1.2 + 0.75 * len(results)))
    height = 0.8 / len(libraries)
    for k, library in enumerate(libraries):
        for i, (_, r) in enumerate(results):
            if "seconds" in r.get(library, {}) and "seconds" in r.get("gradtx", {}):
                ratio = r[library]["seconds"] / r["gradtx"]["seconds"]
                axes.barh(i - 0.4 + (k + 0.5) * height, ratio, 0.9 * height, color=COLORS[library], label=library)
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    axes.legend(handles.values(), handles.keys(), loc="center left", bbox_to_anchor=(1.01, 0.5))
    axes.axvline(1, color=INK, linewidth=0.8)
    axes.set_yticks(np.arange(len(results)), [f"{case.workload}\n{case.optimizer}" for case, _ in results])
    axes.invert_yaxis()
    axes.set_xlabel("time of a step, as a multiple of gradtx's (lower is faster)")
    axes.set_title("One optimizer step")
    axes.grid(axis="x")
    save(figure, path)
