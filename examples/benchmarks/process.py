"""The processes of the libraries, and how they take turns."""

import json
import os
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple, Self

from examples.benchmarks.cases import Case
from examples.benchmarks.libraries import LIBRARIES

ROOT = Path(__file__).parents[2]
Answer = dict[str, Any]


class Plan(NamedTuple):
    """How often and how long each library runs."""

    rounds: int
    steps: int
    seconds: float


class Worker:
    """A process that runs one library. Ctrl-C does not reach it; leaving the `with` block ends it."""

    def __init__(self, library: str, python: str) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.problem = LIBRARIES[library].why_not()
        if self.problem is None:
            try:
                self.process = subprocess.Popen(
                    [python, "-m", "examples.benchmarks.worker", library], stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE, text=True, env=os.environ | LIBRARIES[library].environment, cwd=ROOT,
                    start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                self.problem = f"{python}: {error.strerror}"

    def listen(self) -> Answer:
        """Wait for its next answer."""
        if self.process is None:
            return {"absent": self.problem}
        assert self.process.stdout is not None
        if line := self.process.stdout.readline():
            return json.loads(line)
        code = self.process.wait()
        return {"absent": f"the process ended, {f'signal {-code}' if code < 0 else f'exit code {code}'}"}

    def ask(self, job: dict[str, Any]) -> Answer:
        """Give it one job and wait for the answer."""
        if self.process is not None:
            assert self.process.stdin is not None
            with suppress(BrokenPipeError):  # it has ended: its exit code is the answer
                self.process.stdin.write(json.dumps(job) + "\n")
                self.process.stdin.flush()
        return self.listen()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):  # it ended before it read all
                    stream.close()
        self.process.wait()


def measure(case: Case, python: dict[str, str], plan: Plan) -> dict[str, Answer]:
    """The facts and median times of one case, by library; {"absent": the reason} of one that fails.

    Args:
        case: what to measure.
        python: the interpreter of each library.
        plan: how often and how long.
    """
    with ExitStack() as stack:
        workers = {library: stack.enter_context(Worker(library, path)) for library, path in python.items()}
        results = {library: worker.listen() for library, worker in workers.items()}  # all import at once

        def ask(job: dict[str, Any]) -> dict[str, Answer]:
            """Ask those that still run, one after another."""
            answers = {k: worker.ask(job) for k, worker in workers.items() if "absent" not in results[k]}
            results.update({k: answer for k, answer in answers.items() if "absent" in answer})
            return {k: answer for k, answer in answers.items() if "absent" not in answer}

        results |= ask({"case": list(case)})
        times: dict[str, dict[str, list[float]]] = {}
        for turn in range(plan.rounds + 1):  # the first round warms up
            for library, answer in ask({"steps": plan.steps, "seconds": plan.seconds}).items():
                for kind, values in answer.items():
                    times.setdefault(library, {}).setdefault(kind, []).extend(values if turn else [])
    for library, kinds in times.items():
        if "absent" not in results[library]:
            results[library] |= {kind: median(values) for kind, values in kinds.items()}
            results[library] |= {"quartiles": quartiles(kinds["seconds"]), "steps": len(kinds["seconds"])}
    return results


def quartiles(seconds: list[float]) -> list[float]:
    """The first and the third: how much the steps vary."""
    low, _, high = quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else seconds * 3
    return [low, high]
