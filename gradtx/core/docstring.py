"""Docstrings in sections, so that what several functions share is written once."""

import inspect
import re
from typing import NamedTuple

_HEADER = re.compile(r"^(Args|State|Returns|Raises|Source):", re.MULTILINE)
_ARGUMENT = re.compile(r"^ {4}\*{0,2}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


class Docstring(NamedTuple):
    """The parts of a docstring."""

    text: str  # what stands before the sections
    arguments: dict[str, str]  # what is said of each
    sections: dict[str, str]  # the others, by header


def parsed(doc: str | None) -> Docstring:
    """A docstring as its parts; of one that was stripped, or never written, empty ones."""
    text, *rest = _HEADER.split(inspect.cleandoc(doc or ""))
    sections = dict(zip(rest[::2], map(str.rstrip, rest[1::2]), strict=True))
    arguments = dict(_ARGUMENT.findall(sections.pop("Args", "")))
    return Docstring(text.strip(), arguments, sections)


def written(doc: Docstring) -> str:
    """The docstring of these parts, in the order of the house."""
    lines = "".join(f"\n    {name}: {text}" for name, text in doc.arguments.items())
    sections = {"Args": lines} if lines else {}
    sections |= {name: doc.sections[name] for name in ("State", "Returns", "Raises", "Source") if name in doc.sections}
    return "\n\n".join([doc.text, *(f"{name}:{text}" for name, text in sections.items())])
