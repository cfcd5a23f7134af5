"""Measure gradtx against Optax, PyTorch and NumPy, side by side in one run.

Every library has a process of its own, and the processes take turns: a block of steps each, round after round. The
table gives medians, and each time as a multiple of gradtx's. Libraries that are not installed are reported as absent.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

from tqdm import tqdm

from examples._figures import FigureParser, number, whole
from examples.benchmarks.cases import LIBRARIES, OPTIMIZERS, WORKLOADS, Case
from examples.benchmarks.report import draw, machine, table

ROOT = Path(__file__).parents[2]

QUICK = [("mlp", "momentum"), ("mlp", "adamw + clip")]


class Worker:
    """A process that runs one library."""

    def __init__(self, library: str, python: str) -> None:
        command = [python, "-m", "examples.benchmarks.worker", library]
        environment = os.environ | ({"GRADTX_NATIVE": "0"} if library == "gradtx XLA" else {})
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
        )

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """Give it one job and wait for its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline() or '{"absent": "the process ended"}')
        except BrokenPipeError:
            return {"absent": "the process ended"}

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.communicate()


def measure(case: Case, libraries: list[str], python: dict[str, str], rounds: int, steps: int) -> dict[str, Any]:
    """The facts and median times of one case, by library."""
    workers = {library: Worker(library, python.get(library.split()[0], sys.executable)) for library in libraries}
    try:
        results = {library: worker.ask({"case": list(case)}) for library, worker in workers.items()}
        running = [library for library in libraries if "absent" not in results[library]]
        times: dict[str, dict[str, list[float]]] = {library: {} for library in running}
        for turn in range(rounds + 1):  # the first round warms up
            for library in running:
                for kind, values in workers[library].ask({"steps": steps}).items():
                    times[library].setdefault(kind, []).extend(values if turn else [])
    finally:
        for worker in workers.values():
            worker.stop()
    for library in running:
        results[library] |= {kind: median(values) for kind, values in times[library].items()}
    return results


def main() -> None:
    """Parse, measure, print and draw."""
    parser = FigureParser(__doc__, picture="benchmarks.png")
    for name, known in [("workloads", list(WORKLOADS)), ("optimizers", OPTIMIZERS), ("libraries", LIBRARIES)]:
        among = f"of {', '.join(known)} (default: all)"
        parser.add_argument(f"--{name}", nargs="+", choices=known, default=list(known), metavar="NAME", help=among)
    parser.add_argument("--size", type=number(1e-4, 1), default=0.1, help="of the large models (default: %(default)s)")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32", help="of the parameters")
    parser.add_argument("--rounds", type=whole(1), default=5, help="turns of each library (default: %(default)s)")
    parser.add_argument("--steps", type=whole(1), default=5, help="steps in a turn (default: %(default)s)")
    parser.add_argument("--torch-python", help="the interpreter that has PyTorch, if it is not this one")
    args = parser.parse_args()
    parser.make_folder(args.out)
    pairs = [(workload, optimizer) for workload in args.workloads for optimizer in args.optimizers]
    rounds, steps, size = (1, 2, 0.001) if args.quick else (args.rounds, args.steps, args.size)
    python = {"torch": args.torch_python or sys.executable}
    cases = [Case(*pair, size, args.dtype) for pair in (QUICK if args.quick else pairs)]
    progress = tqdm(cases, unit="case", disable=None)
    results = [(case, measure(case, args.libraries, python, rounds, steps)) for case in progress]
    about = machine() | {
        library: next((r[library]["version"] for _, r in results if "version" in r[library]), "absent")
        for library in args.libraries
    }
    print(table(about, results))
    record = {"machine": about, "cases": [{"case": case._asdict(), "results": result} for case, result in results]}
    args.out.with_suffix(".json").write_text(json.dumps(record, indent=1))
    draw(results, args.libraries, args.out)


if __name__ == "__main__":
    main()
