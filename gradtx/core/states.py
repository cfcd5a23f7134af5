"""States of transformations that keep nothing of their own, and how the fields of a state start."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gradtx.core.fields import CountMark, InnerState, NumberMark, RunCount, marks
from gradtx.core.slots import ScalarStart, filled, scalar
from gradtx.core.typing import Numbers


class EmptyState(NamedTuple):
    """The state of a transformation that keeps nothing."""


class ScaleByScheduleState(NamedTuple):
    """The state of a transformation that keeps nothing but follows a schedule."""

    count: RunCount


class ScheduledState(NamedTuple):
    """The state of a transformation that follows a schedule and has no step count of its own."""

    count: RunCount
    inner_state: InnerState


def first_of(state: type[Any], field: str, named: Numbers) -> Any:
    """How a field that is no slot starts: as `named`, else as its type says.

    Raises:
        TypeError: neither says so.
    """
    mark = marks(state).get(field)
    if isinstance(mark, CountMark):
        return lambda params: filled((), 0, jnp.int32)
    if field in named:
        first = named[field]
        return ScalarStart(first, ()) if isinstance(mark, NumberMark) and not callable(first) else first
    if isinstance(mark, NumberMark):
        return scalar()
    raise TypeError(
        f"{state.__name__}.{field} needs a first value, `{field}=...`; a number of steps is declared `{field}: Count`"
    )
