"""What a run has measured: kept as JSON, complete after every case, so that it can be read, drawn and continued."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from examples.benchmarks.cases import Case

R = TypeVar("R")
CROWD = 1.5  # of the cores: a larger load average is the work of others
Results = dict[str, dict[str, Any]]


class Measured(NamedTuple):
    """A case, the one-minute load averages before and after it, and what was measured, by library."""

    case: Case
    load: list[float | None]
    results: Results

    def ratio(self, key: str, library: str, to: str) -> float | None:
        """How many times the value of `to` that of `library` is; None where one of them is absent."""
        value, other = self.get(library, key), self.get(to, key)
        return value / other if value is not None and other else None

    def get(self, library: str, key: str) -> float | None:
        """A value of one library; "build" is that of tracing, lowering and compiling together."""
        result = self.results.get(library, {})
        if key == "build":
            return result["trace"] + result["lower"] + result["compile"] if "trace" in result else None
        return result.get(key)

    def rate(self, library: str) -> float:
        """Bytes a second, of those that a step cannot avoid."""
        return self.results[library]["stream bytes"] / self.results[library]["seconds"]

    def of_limit(self, library: str, loop: str) -> float | None:
        """The rate of a library as a part of that of the loop without maths in the process of `loop`."""
        limit, traffic = self.get(loop, "limit"), self.get(loop, "stream bytes")
        if "seconds" not in self.results.get(library, {}) or not limit or not traffic:
            return None
        return self.rate(library) / (traffic / limit)


class Record(NamedTuple):
    """The machine with its versions, and the cases."""

    machine: dict[str, str]
    cases: list[Measured]

    def having(self, case: Case, libraries: list[str]) -> bool:
        """Whether a case is there, with all these libraries."""
        return any(m.case == case and m.results.keys() >= set(libraries) for m in self.cases)

    def with_case(self, measured: Measured) -> "Record":
        """The record with a case added, in place of what it had of it."""
        return self._replace(cases=[m for m in self.cases if m.case != measured.case] + [measured])

    def largest(self, workload: str, optimizer: str, dtype: str = "float32") -> Measured | None:
        """The case of the largest size, of one workload, optimizer and type."""
        wanted = (workload, optimizer, dtype)
        found = [m for m in self.cases if (m.case.workload, m.case.optimizer, m.case.dtype) == wanted]
        return max(found, key=lambda m: m.case.size, default=None)

    def loads(self) -> list[float]:
        """The load averages that are known."""
        return [x for m in self.cases for x in m.load if x is not None]

    def crowded(self) -> bool:
        """Whether more ran than the steps themselves, which keep as many threads as there are cores."""
        return max(self.loads(), default=0.0) > CROWD * int(self.machine["cores"])

    def text(self) -> str:
        cases = [{"case": m.case._asdict(), "load": m.load, "results": m.results} for m in self.cases]
        return json.dumps({"machine": self.machine, "cases": cases}, indent=1) + "\n"

    def save(self, path: Path) -> None:
        """Write it, so that the file is whole at any time."""
        write_whole(path, self.text())


def write_whole(path: Path, text: str) -> None:
    """Write a file that has all of a text, or all of what it had before, at any time."""
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def load(path: Path) -> Record:
    """Read what `Record.save` wrote; see `read`."""

    def made(content: Any) -> Record:
        cases = [Measured(Case(**x["case"]), x["load"], x["results"]) for x in content["cases"]]
        return Record(content["machine"], cases)

    return read(path, made)


def read(path: Path, make: Callable[[Any], R]) -> R:
    """What is made of a file of JSON.

    Raises:
        OSError: there is no such file.
        ValueError: it is not what `make` takes.
    """
    try:
        return make(json.loads(path.read_text(encoding="utf-8")))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a record of this program: {error!r}") from error


def load_average() -> float | None:
    """How many processes ran or waited for a core in the last minute, or None where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None
