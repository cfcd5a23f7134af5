"""The types of hyperparameters: what each may be, checked once where a transformation is built."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeAlias

import jax
import numpy as np

from gradtx.core.arguments import AS_GIVEN, Accept, Interval, IsDType, IsKey
from gradtx.core.containers import IsAxes
from gradtx.core.schedule import Schedule, as_schedule
from gradtx.core.typing import Array, ArrayLike, DType

Hyperparameter: TypeAlias = ArrayLike | np.ndarray | Schedule | Callable[[Array], ArrayLike]
"""A number that may change from step to step: a number, a scalar array, a schedule, or a function of the step."""


class IsSchedule(Accept):
    """A schedule, or a function of the step."""

    wanted = "a schedule or a function of the step"

    def convert(self, where: str, name: str, x: Any) -> Schedule:
        return as_schedule(x)


Real: TypeAlias = Annotated[Hyperparameter, Interval("(-inf, inf)", schedule=as_schedule)]
"""Any finite number, or a schedule."""

NonNegative: TypeAlias = Annotated[Hyperparameter, Interval("[0, inf)", schedule=as_schedule)]
"""A finite number >= 0, or a schedule."""

Positive: TypeAlias = Annotated[Hyperparameter, Interval("(0, inf)", schedule=as_schedule)]
"""A finite number > 0, or a schedule."""

Threshold: TypeAlias = Annotated[Hyperparameter, Interval("[0, inf]", schedule=as_schedule)]
"""A number >= 0, infinity included, or a schedule."""

Decay: TypeAlias = Annotated[Hyperparameter, Interval("[0, 1)", schedule=as_schedule)]
"""A number in [0, 1), or a schedule."""

Fraction: TypeAlias = Annotated[Hyperparameter, Interval("[0, 1]", schedule=as_schedule)]
"""A number in [0, 1], or a schedule."""

Number: TypeAlias = Annotated[ArrayLike, Interval("(-inf, inf)")]
"""A finite number that no schedule may stand for."""

NonNegativeNumber: TypeAlias = Annotated[ArrayLike, Interval("[0, inf)")]
"""A finite number >= 0 that no schedule may stand for: a start value, a number of steps."""

PositiveNumber: TypeAlias = Annotated[ArrayLike, Interval("(0, inf)")]
"""A finite number > 0 that no schedule may stand for."""

FractionNumber: TypeAlias = Annotated[ArrayLike, Interval("[0, 1]")]
"""A number in [0, 1] that no schedule may stand for."""

PositiveInt: TypeAlias = Annotated[int, Interval("[1, inf)", integer=True, static=True)]
"""A whole number >= 1 that decides the program: a period, a loop's length. Static."""

PositiveTimes: TypeAlias = Annotated[ArrayLike | np.ndarray, Interval("[1, inf)", integer=True)]
"""A whole number >= 1 that does not decide the program, so that it may change. A leaf."""

ScheduleLike: TypeAlias = Annotated[Schedule | Callable[[Array], ArrayLike], IsSchedule()]
"""A schedule, or a function of the step."""

OptionalDType: TypeAlias = Annotated[DType | None, IsDType()]
"""A floating-point dtype, or None for the default."""

Axes: TypeAlias = Annotated[int | Sequence[int], IsAxes()]
"""An axis of arrays, or several. Static."""

KeyLike: TypeAlias = Annotated[jax.Array | np.ndarray | int, IsKey()]
"""An integer seed or a random key."""


def check_not_both_zero(name: str, **pair: Any) -> None:
    """Refuse two offsets that are both the number 0: together they keep a division finite."""
    if not AS_GIVEN and all(isinstance(x, int | float) and x == 0 for x in pair.values()):
        raise ValueError(f"{name}: {' and '.join(pair)} must not both be 0")


def check_ordered(name: str, **pair: Any) -> None:
    """Refuse two numbers of which the first is the larger."""
    (low, lower), (high, upper) = pair.items()
    if isinstance(lower, int | float) and isinstance(upper, int | float) and lower > upper:
        raise ValueError(f"{name}: {low} must not be above {high}, got {lower!r} > {upper!r}")
