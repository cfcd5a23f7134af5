"""Train two small networks with slots in codes, and parameters in 16 bits, beside float32.

    python -m examples.benchmarks.few_bits
    python -m examples.benchmarks.few_bits --task digits --optimizers adamw lion --seeds 10

A perceptron on handwritten digits, and a transformer on the text of Python's own standard library. All slots are kept
so, those of small arrays too. All seeds of a case train in one program, and every case from the same starts with the
same batches. The table says how far the mean of the final loss is above that in float32, in standard deviations of
float32 over the seeds. The record (JSON, beside the picture) is written after every case; --resume goes on with it.
"""

import argparse
import platform
import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax
from tqdm import tqdm

import gradtx
from examples._figures import FigureParser, whole
from examples.arena.characters import characters
from examples.arena.digits import digits
from examples.arena.task import Task, train
from examples.benchmarks.few_bits_cases import CASES, OPTIMIZERS, PLAIN, WAYS, Case
from examples.benchmarks.few_bits_record import Record, Run, draw, load, table
from examples.benchmarks.machine import differences

TASKS: dict[str, Callable[[], Task]] = {"digits": digits, "characters": characters}
QUICK = [Case("adamw", PLAIN), Case("adamw", "log8")]
INTERRUPTED = 130


def parse(arguments: Sequence[str] | None) -> tuple[FigureParser, Any]:
    """The arguments, checked."""
    parser = FigureParser(__doc__, picture="few_bits.png")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    among = f"of {', '.join(TASKS)} (default: all)"
    parser.add_argument("--task", nargs="+", choices=TASKS, default=list(TASKS), metavar="NAME", help=among)
    for name, known in [("optimizers", OPTIMIZERS), ("ways", WAYS)]:
        among = f"of: {'; '.join(known)} (default: all)"
        parser.add_argument(f"--{name}", nargs="+", choices=known, default=list(known), metavar="NAME", help=among)
    parser.add_argument("--seeds", type=whole(1), default=5, help="trainings of each case (default: %(default)s)")
    parser.add_argument("--steps", type=whole(1), help="of each training (default: the task's)")
    parser.add_argument("--resume", action="store_true", help="go on with the record that is beside the picture")
    args = parser.parse_args(arguments)
    if args.quick:
        args.seeds, args.steps = 2, 2
    return parser, args


def versions() -> dict[str, str]:
    """What the losses depend on: the text is that of Python's own version."""
    return {"python": platform.python_version(), "jax": jax.__version__, "gradtx": gradtx.__version__}


def begin(parser: FigureParser, path: Any, resume: bool) -> Record:
    """An empty record, or that of an earlier run with the same versions."""
    if not resume:
        return Record(versions(), [])
    try:
        record = load(path)
    except (OSError, ValueError) as error:
        parser.error(f"argument --resume: {error}")
    if apart := differences(record.versions, versions()):
        parser.error(f"argument --resume: {path} is of other versions: {'; '.join(apart)}")
    return record


def run(record: Record, tasks: list[Task], cases: list[Case], args: Any, path: Any) -> Record:
    """Train the cases that the record has not, and write it after each."""
    seeds = list(range(args.seed, args.seed + args.seeds))
    keys = jax.vmap(jax.random.key)(jax.numpy.array(seeds))
    progress = tqdm([(task, case) for task in tasks for case in cases], unit="case", disable=None)
    for task, case in progress:
        progress.set_description(f"{task.name}, {case.optimizer}, {case.way}")
        optimizer, way = OPTIMIZERS[case.optimizer], WAYS[case.way]
        steps = (args.steps or task.steps) * optimizer.times
        known = record.of(task.name, case)
        if known is None or (known.seeds, known.steps) != (seeds, steps):
            found = train(task, way.wrap(optimizer.make(task.rate)), keys, steps, way.dtype)
            done = Run(task.name, case, seeds, steps, found.final.tolist(), found.score.tolist())
            record = record.with_run(done)
            record.save(path)
    return record


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, train, print and draw; returns the exit code."""
    parser, args = parse(arguments)
    args.out = parser.place(args.out)
    path = args.out.with_suffix(".json")
    cases = [case for case in CASES if case.optimizer in args.optimizers and case.way in args.ways]
    if not cases:
        parser.error("none of the cases is of these optimizers and ways")
    record = begin(parser, path, args.resume)
    tasks = [TASKS[name]() for name in args.task]
    try:
        record = run(record, tasks, QUICK if args.quick else cases, args, path)
    except KeyboardInterrupt:
        print(f"Interrupted. What is trained is in {path}; --resume goes on with it.", file=sys.stderr)
        return INTERRUPTED
    for task in tasks:
        print(f"{task.name}: {task.judged_by}\n\n{table(record, task.name, task.scored_by)}\n")
    draw(record, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
