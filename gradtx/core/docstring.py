"""Docstrings in sections, so that what several functions share is written once."""

import inspect
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from gradtx.core.arguments import Interval
from gradtx.core.parameters import Parameter

_HEADER = re.compile(r"^(Args|State|Returns|Raises|Source):", re.MULTILINE)
_STATE = re.compile(r"^State:\s+`(\w+)", re.MULTILINE)
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


MEANINGS = {
    "b1": "decay of the average of gradients",
    "b2": "decay of the average of their squares",
    "eps": "keeps the division finite",
    "eps_root": "likewise, inside the root; the two are not both 0",
    "nesterov": "look one step ahead",
    "learning_rate": "the rate eta of a step",
    "weight_decay": "lambda, the strength of decay",
    "momentum": "the share of the velocity that stays at each step; None, where it may be, means no velocity",
    "peak": "the largest learning rate of the run",
    "mask": "which parameters it acts on, as in `add_decayed_weights`; None means all",
    "key": "a seed, or a key from `jax.random`",
    "inner": "the transformation",
    "init_value": "the value at step 0",
}
"""What an argument of this name is wherever the docstring does not say otherwise; its range is in its type."""


def completed(doc: str | None, parameters: Mapping[str, Parameter]) -> str | None:
    """A docstring with a line for each parameter that has none: its range, and what its name means."""
    told = parsed(doc)
    lines = {name: told.arguments.get(name) or line_of(name, parameter) for name, parameter in parameters.items()}
    lines = {name: line for name, line in lines.items() if line}
    return doc if doc is None or lines.keys() <= told.arguments.keys() else written(told._replace(arguments=lines))


def state_named(doc: str | None) -> str:
    """The state type that a docstring says a maker's state to be; empty where it names none."""
    found = _STATE.search(inspect.cleandoc(doc or ""))
    return found[1] if found else ""


def tell_whose(state: Any, maker: str) -> None:
    """Let a state type that says nothing of itself say that it is this maker's."""
    if (getattr(state, "__doc__", "") or "").startswith(f"{getattr(state, '__name__', '')}("):  # as NamedTuple has it
        state.__doc__ = f"State of `{maker}`."


def line_of(name: str, parameter: Parameter) -> str:
    """What is said of a parameter that the docstring says nothing of; empty where that is nothing."""
    accepts = parameter.accepts
    numbers = accepts if isinstance(accepts, Interval) else None
    sentence = ", ".join(filter(None, [numbers.words if numbers else "", MEANINGS.get(name, "")]))
    return f"{sentence}.{' Static.' * (numbers is not None and not numbers.dynamic)}" if sentence else ""
