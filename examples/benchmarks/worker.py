"""One library in a process of its own: it prepares a case, then runs steps whenever it is told to.

Reads a job as one line of JSON from its input and answers with one line, so that the parent alternates the libraries:
a pool of threads that still spins after its work slows whatever else runs in the same process.
"""

import importlib
import json
import sys
from typing import Any, Protocol, cast

from examples.benchmarks.cases import Case

MODULES = {"gradtx": "with_jax", "optax": "with_jax", "torch": "with_torch", "numpy": "with_numpy"}


class Prepared(Protocol):
    """A case that is ready to run."""

    facts: dict[str, Any]

    def run(self, steps: int) -> dict[str, list[float]]:
        """Seconds of each step, and of its dispatch where that is apart."""
        ...


def main(library: str) -> None:
    """Serve jobs until the input ends."""
    kind = library.split(maxsplit=1)[0]
    answers, sys.stdout = sys.stdout, sys.stderr
    prepared: Prepared | None = None
    for line in sys.stdin:
        job = json.loads(line)
        try:
            if "case" in job:
                prepared = None  # free the last one's memory first
                module = importlib.import_module(f"examples.benchmarks.{MODULES[kind]}")
                prepared = cast(Prepared, module.prepare(library, Case(*job["case"])))
                answer = prepared.facts
            elif prepared is None:
                answer = {"absent": "nothing is prepared"}
            else:
                answer = prepared.run(job["steps"])
        except (ImportError, KeyError, MemoryError) as error:
            answer = {"absent": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
