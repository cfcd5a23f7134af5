"""One library in a process of its own: it prepares a case, then runs steps whenever it is told to.

Says in one line that it is ready, then reads a job as one line of JSON from its input and answers with one line, so
that the parent alternates the libraries: a pool of threads that still spins after its work slows whatever else runs in
the same process.
"""

import importlib
import json
import sys
from typing import Any, Protocol, cast

from examples.benchmarks.cases import Absent, Case
from examples.benchmarks.libraries import LIBRARIES
from examples.benchmarks.timing import Times

LONGEST = 120  # of a reason


class Prepared(Protocol):
    """A case that is ready to run."""

    facts: dict[str, Any]

    def run(self, steps: int, seconds: float) -> Times:
        """Times of a turn; see `timing.turn`."""
        ...


def reason(error: BaseException) -> str:
    """The first line of what an error says, shortened."""
    first = (str(error).strip().splitlines() or [""])[0]
    text = first if isinstance(error, Absent) else f"{type(error).__name__}: {first}"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def main(library: str) -> None:
    """Serve jobs until the input ends. Whatever fails is answered as absent, with the reason."""
    answers, sys.stdout = sys.stdout, sys.stderr

    def answer(content: dict[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    try:
        module = importlib.import_module(f"examples.benchmarks.{LIBRARIES[library].module}")
    except Exception as error:
        return answer({"absent": reason(error)})
    answer({})
    prepared: Prepared | None = None
    for line in sys.stdin:
        job = json.loads(line)
        try:
            if "case" in job:
                prepared = cast(Prepared, module.prepare(library, Case(*job["case"])))
                answer(prepared.facts)
            elif prepared is None:
                answer({"absent": "nothing is prepared"})
            else:
                answer(dict(prepared.run(**job)))
        except Exception as error:
            answer({"absent": reason(error)})
    return None


if __name__ == "__main__":
    main(sys.argv[1])
