"""Names that modules have from others, of which Optax has many, and what gradtx says of them."""

import inspect
import re
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import gradtx


def document(module: str) -> None:
    """Let the documentation of a module's functions end with that of gradtx's of the same names."""
    for name, f in vars(sys.modules[module]).items():
        if getattr(f, "__module__", None) == module and hasattr(gradtx, name):
            f.__doc__ = with_documentation(f.__doc__ or "", getattr(gradtx, name))


def with_documentation(text: str, like: Callable[..., Any]) -> str:
    """A text, and what gradtx's own function says after it."""
    text, more = inspect.cleandoc(text), inspect.cleandoc(like.__doc__ or "")
    if more in text:
        return text
    return more if more.startswith(text) else f"{text}\n\n`gradtx.{like.__name__}`: {more}\n"


def show(module: str, text: str) -> None:
    """Give a module names of others.

    Args:
        module: the module's name.
        text: rows `other: names`, the other in full or as it is called beside this, a name also `inside.name` where it
            is in a module of a package; lines that are indented go on.
    """
    for row in re.sub(r"\n +", " ", text).strip().splitlines():
        path, names = row.split(":")
        path = path if path.startswith("gradtx.") else f"gradtx.compat.optax.{path}"
        for name in names.split():
            inside, _, last = f"{path}.{name}".rpartition(".")
            setattr(sys.modules[module], last, getattr(import_module(inside), last))
