"""The parameters of a maker: how each is passed, and what its annotation says it may be."""

import collections.abc
import inspect
import types
import typing
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from gradtx.core.arguments import Accept, Anything, Flag, Guess, Text, Whole
from gradtx.core.functions import IsFunction

PLAIN: dict[Any, Callable[[], Accept]] = {bool: Flag, int: Whole, str: Text}
"""What an annotation without an `Accept` means."""


class Parameter:
    """One parameter of a maker: how it is passed, and what it may be."""

    def __init__(self, inspected: inspect.Parameter, annotation: Any) -> None:
        self.inspected, self.annotation = inspected, annotation
        self.variadic = inspected.kind is inspect.Parameter.VAR_POSITIONAL
        self.named_variadic = inspected.kind is inspect.Parameter.VAR_KEYWORD
        self.keyword_only = inspected.kind is inspect.Parameter.KEYWORD_ONLY
        self.positional_only = inspected.kind is inspect.Parameter.POSITIONAL_ONLY
        self.optional = inspected.default is None or _allows_none(annotation)
        found = _find_accept(annotation)
        if found is None and annotation is inspect.Parameter.empty:
            found = Guess(inspected.default)
        self._accept = found or _of_plain(annotation)

    @property
    def accepts(self) -> Accept:
        """What the argument may be."""
        return self._accept

    def accept(self, where: str, x: Any) -> Any:
        """Check and convert the argument given for this parameter."""
        name = self.inspected.name
        if self.variadic:
            return tuple(self._accept(where, f"{name}[{i}]", y) for i, y in enumerate(x))
        if self.named_variadic:  # an OrderedDict is a pytree that keeps its order
            return OrderedDict((key, self._accept(where, key, y)) for key, y in x.items())
        if x is None and self.optional:
            return None
        return self._accept(where, name, x)

    def is_dynamic(self, x: Any) -> bool:
        """Whether the argument is a leaf (or a tree of leaves) of the value."""
        return self._accept.is_leaf(x) if isinstance(self._accept, Guess) else self._accept.dynamic and x is not None

    def is_default(self, x: Any) -> bool:
        """Whether the argument is the parameter's default."""
        default = self.inspected.default
        return x is default or (type(x) is type(default) and not hasattr(x, "shape") and bool(x == default))


def parameters_of(body: Callable[..., Any], skip: int) -> dict[str, Parameter]:
    """The parameters of `body` after the first `skip`, by name."""
    try:
        hints = typing.get_type_hints(body, include_extras=True)
    except NameError:
        hints = {}
    inspected = list(inspect.signature(body).parameters.values())[skip:]
    return {p.name: Parameter(p, hints.get(p.name, p.annotation)) for p in inspected}


def _find_accept(annotation: Any) -> Accept | None:
    for extra in getattr(annotation, "__metadata__", ()):
        if isinstance(extra, Accept):
            return extra
    for part in typing.get_args(annotation):
        found = _find_accept(part)
        if found is not None:
            return found
    return None


def _of_plain(annotation: Any) -> Accept:
    """What an annotation without an `Accept` means; None in a union is the parameter's own affair."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        parts = [part for part in typing.get_args(annotation) if part is not type(None)]
        return _of_plain(parts[0]) if len(parts) == 1 else Anything()
    if annotation in PLAIN:
        return PLAIN[annotation]()
    return IsFunction() if typing.get_origin(annotation) is collections.abc.Callable else Anything()


def _allows_none(annotation: Any) -> bool:
    return type(None) in typing.get_args(annotation) or any(map(_allows_none, typing.get_args(annotation)))
