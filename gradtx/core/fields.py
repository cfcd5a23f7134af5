"""What a wrapper's or a combinator's state declares its fields to be, for all that walks states."""

import inspect
import sys
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import Annotated, Any, TypeAlias, get_type_hints

from gradtx.core.typing import Array


@dataclass(frozen=True)
class InnerMark:
    """Marks a field that holds the state of another transformation; `gated` where that does not run at every step."""

    gated: bool = False


class HistoryMark:
    """Marks a number gathered over the steps, which a parameter that starts anew has for itself."""


class JointMark:
    """Marks a number about all parameters together, which starts anew as soon as one of them does."""


InnerState: TypeAlias = Annotated[Any, InnerMark()]
"""The type of a field with the state of a transformation, or a dictionary of them, that runs whenever this one does."""

GatedState: TypeAlias = Annotated[Any, InnerMark(gated=True)]
"""The type of a field with the state of a transformation that runs at some of the steps, and so counts its own."""

History: TypeAlias = Annotated[Array, HistoryMark()]
"""The type of a field with a number gathered over the steps, like `count`, by which a rule weighs its averages."""

Joint: TypeAlias = Annotated[Array, JointMark()]
"""The type of a field with what is known of all parameters together, and of no use once one of them is another."""


def hints_of(state: type[Any]) -> dict[str, Any]:
    """The annotations of a state type's fields, with what marks them; those of no base beyond: it may be a peer's.

    Raises:
        NameError: an annotation does not resolve.
    """
    hints: dict[str, Any] = {}
    for cls in state.__mro__:
        if not all(field in hints for field in getattr(state, "_fields", ())):
            own = SimpleNamespace(__annotations__=inspect.get_annotations(cls))
            hints = get_type_hints(own, vars(sys.modules[cls.__module__]), include_extras=True) | hints
    return hints


@lru_cache(maxsize=1024)
def marks(state: type[Any]) -> dict[str, Any]:
    """The marks of a state type's fields, by name, in the order of the fields."""
    if not hasattr(state, "_fields"):
        return {}
    try:
        hints = hints_of(state)
    except (NameError, TypeError):  # somebody else's, whose annotations do not resolve
        return {}
    found: dict[str, Any] = {name: getattr(hint, "__metadata__", None) for name, hint in hints.items()}
    return {name: found[name][0] for name in state._fields if found.get(name)}


def inner_fields(state: type[Any]) -> dict[str, InnerMark]:
    """The fields of a state type that hold other transformations' states, in their order."""
    return {name: mark for name, mark in marks(state).items() if isinstance(mark, InnerMark)}
