"""Measure gradtx against Optax, PyTorch and NumPy, side by side in one run.

Every library has a process of its own, and the processes take turns: some steps each, round after round. The table
gives medians, and each time as a multiple of gradtx's. What is not installed, or fails, is reported as absent. The
record (JSON, beside the picture) is written after every case; --resume goes on with it. --page makes the record,
the tables and the pictures of docs/performance.md.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from examples._figures import FigureParser, number, whole
from examples.benchmarks import page
from examples.benchmarks.cases import DTYPES, OPTIMIZERS, WORKLOADS, Case, every, usual
from examples.benchmarks.libraries import LIBRARIES, USUAL
from examples.benchmarks.machine import differences, machine
from examples.benchmarks.pictures import draw
from examples.benchmarks.process import Plan, measure
from examples.benchmarks.reach import reach_table
from examples.benchmarks.record import Measured, Record, load, load_average
from examples.benchmarks.report import absent, load_line, machine_line, table

QUICK = [("mlp", "momentum", "float32"), ("mlp", "adamw + clip", "float32")]
INTERRUPTED = 130


def parse(arguments: Sequence[str] | None) -> tuple[FigureParser, Any]:
    """The arguments, checked."""
    parser = FigureParser(__doc__, picture="benchmarks.png")
    for name, known in [("workloads", WORKLOADS), ("optimizers", OPTIMIZERS), ("dtypes", DTYPES)]:
        among = f"of {', '.join(known)} (default: all)"
        parser.add_argument(f"--{name}", nargs="+", choices=known, default=list(known), metavar="NAME", help=among)
    among = f"of {', '.join(LIBRARIES)}; or all (default: {', '.join(USUAL)})"
    parser.add_argument(
        "--libraries", nargs="+", choices=[*LIBRARIES, "all"], default=USUAL, metavar="NAME", help=among
    )
    parser.add_argument("--every", action="store_true", help="every combination of these, not only the usual ones")
    parser.add_argument("--size", type=number(1e-4, 1), default=0.1, help="of the large models (default: %(default)s)")
    parser.add_argument("--rounds", type=whole(1), default=5, help="turns of each library (default: %(default)s)")
    parser.add_argument("--steps", type=whole(1), default=10, help="steps in a turn, at most (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=number(0, 3600), default=0.3, help="after which a turn begins no step (default: %(default)s)"
    )
    parser.add_argument("--torch-python", default=sys.executable, help="the interpreter that has PyTorch")
    parser.add_argument("--resume", action="store_true", help="go on with the record that is beside the picture")
    parser.add_argument("--page", action="store_true", help="make the record, pages and pictures of the documentation")
    args = parser.parse_args(arguments)
    args.out = page.PICTURE if args.page else args.out
    args.libraries = list(LIBRARIES) if "all" in args.libraries else args.libraries
    return parser, args


def begin(parser: FigureParser, about: dict[str, str], path: Path, resume: bool) -> Record:
    """An empty record, or that of an earlier run on the same machine with the same versions."""
    if not resume:
        return Record(about, [])
    try:
        record = load(path)
    except (OSError, ValueError) as error:
        parser.error(f"argument --resume: {error}")
    if apart := differences(record.machine, about):
        parser.error(f"argument --resume: {path} is of another machine or other versions: {'; '.join(apart)}")
    return record


def run(record: Record, cases: list[Case], args: Any, path: Path) -> Record:
    """Measure the cases that the record has not, and write it after each."""
    python = {k: args.torch_python if k.startswith("torch") else sys.executable for k in args.libraries}
    plan = Plan(1, 2, 60) if args.quick else Plan(args.rounds, args.steps, args.seconds)
    progress = tqdm(cases, unit="case", disable=None)
    for case in progress:
        progress.set_description(case.name)
        libraries = [library for library in args.libraries if LIBRARIES[library].takes(case)]
        if not record.having(case, libraries):
            before = load_average()
            results = measure(case, {library: python[library] for library in libraries}, plan)
            record = record.with_case(Measured(case, [before, load_average()], results))
            record.save(path)
    return record


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, measure, print and draw; returns the exit code."""
    parser, args = parse(arguments)
    args.out = parser.place(args.out)
    path = args.out.with_suffix(".json")
    chosen = [
        (workload, optimizer, dtype)
        for workload, optimizer, dtype in (every() if args.every else usual())
        if workload in args.workloads and optimizer in args.optimizers and dtype in args.dtypes
    ]
    cases = [Case(workload, optimizer, args.size, dtype) for workload, optimizer, dtype in QUICK * args.quick or chosen]
    if not cases:
        parser.error("none of the usual cases is of these; --every takes every combination")
    record = begin(parser, machine(sys.executable, args.torch_python), path, args.resume)
    try:
        record = run(record, cases, args, path)
    except KeyboardInterrupt:
        print(f"Interrupted. What is measured is in {path}; --resume goes on with it.", file=sys.stderr)
        return INTERRUPTED
    print(f"{machine_line(record)}\n{load_line(record)}\n\n{table(record.cases)}\n\n{absent(record.cases)}\n")
    print(reach_table(record))
    if args.page:
        page.write()
    else:
        draw(record, args.out, mark="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
