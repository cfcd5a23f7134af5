"""What a wrapper's or a combinator's state declares its fields to be, for all that walks states."""

import inspect
import sys
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import Annotated, Any, TypeAlias, get_type_hints

from gradtx.core.typing import Array


class Mark:
    """What a state type says of a field."""

    def beside(self, others: Collection["Mark"]) -> "Mark":
        """The same, with what follows from the marks of the other fields."""
        return self


@dataclass(frozen=True)
class InnerMark(Mark):
    """Marks a field that holds the state of another transformation; `gated` where that does not run at every step."""

    gated: bool = False


@dataclass(frozen=True)
class CountMark(Mark):
    """Marks the number of steps taken: the run's, a `leaf`'s own once that started anew, or one of a `joint` memory."""

    leaf: bool = False
    joint: bool = False


@dataclass(frozen=True)
class NumberMark(Mark):
    """Marks a real number about all parameters.

    One `gathered` over the steps is a leaf's own once that starts anew; a `joint` one starts anew with any leaf.
    """

    gathered: bool = False
    joint: bool = False


class KeyMark(Mark):
    """Marks a random key that is split at each step."""


InnerState: TypeAlias = Annotated[Any, InnerMark()]
"""The type of a field with the state of a transformation, or a dictionary of them, that runs whenever this one does."""

GatedState: TypeAlias = Annotated[Any, InnerMark(gated=True)]
"""The type of a field with the state of a transformation that runs at some of the steps, and so counts its own."""

Count: TypeAlias = Annotated[Array, CountMark(leaf=True)]
"""The type of a field with the steps taken, int32 from 0; a rule debiases by it, and sees the step being taken."""

RunCount: TypeAlias = Annotated[Array, CountMark()]
"""The type of a field with the steps taken that serves no rule but schedules, and is the run's alone."""

JointCount: TypeAlias = Annotated[Array, CountMark(joint=True)]
"""The type of a field with the steps that a memory of all parameters together has seen."""

Scalar: TypeAlias = Annotated[Array, NumberMark()]
"""The type of a field with a real number about all parameters, or an array of them: float32, or wider as they are."""

History: TypeAlias = Annotated[Array, NumberMark(gathered=True)]
"""The type of a field with a number gathered over the steps, by which a rule weighs its averages."""

Joint: TypeAlias = Annotated[Array, NumberMark(joint=True)]
"""The type of a field with what is known of all parameters together, and of no use once one of them is another."""

RandomKey: TypeAlias = Annotated[Array, KeyMark()]
"""The type of a field with a random key, split at each step; a rule gets one of its leaf's own as `key`."""


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
def marks(state: type[Any]) -> dict[str, Mark]:
    """The marks of a state type's fields, by name, in the order of the fields."""
    if not hasattr(state, "_fields"):
        return {}
    try:
        hints = hints_of(state)
    except (NameError, TypeError):  # somebody else's, whose annotations do not resolve
        return {}
    found = {name: mark for name, hint in hints.items() if (mark := _mark_of(hint)) is not None}
    return {name: found[name].beside(found.values()) for name in state._fields if name in found}


def _mark_of(hint: Any) -> Mark | None:
    return next((extra for extra in getattr(hint, "__metadata__", ()) if isinstance(extra, Mark)), None)


@lru_cache(maxsize=1024)
def inner_fields(state: type[Any]) -> dict[str, InnerMark]:
    """The fields of a state type that hold other transformations' states, in their order."""
    return {name: mark for name, mark in marks(state).items() if isinstance(mark, InnerMark)}


@lru_cache(maxsize=1024)
def field_of(state: type[Any], kind: type[Mark]) -> str | None:
    """The first field of a state type that is marked so, if any is."""
    return next((name for name, mark in marks(state).items() if isinstance(mark, kind)), None)
