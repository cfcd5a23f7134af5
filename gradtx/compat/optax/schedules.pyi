"""Optax's schedules: functions of the step. Numbers of steps that are not positive give a constant or an error."""

# Written by `python -m tests.compat.stubs`.

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from gradtx.compat.optax import cosine_decay_schedule as cosine_decay_schedule
from gradtx.compat.optax import exponential_decay as exponential_decay
from gradtx.compat.optax import linear_schedule as linear_schedule
from gradtx.compat.optax import piecewise_constant_schedule as piecewise_constant_schedule
from gradtx.compat.optax import piecewise_interpolate_schedule as piecewise_interpolate_schedule
from gradtx.compat.optax import polynomial_schedule as polynomial_schedule
from gradtx.compat.optax import warmup_constant_schedule as warmup_constant_schedule
from gradtx.compat.optax.base import Number
from gradtx.compat.optax.base import Schedule
from gradtx.compat.optax.inject import WrappedSchedule as WrappedSchedule
from gradtx.compat.optax.inject import inject_hyperparams as inject_hyperparams
from gradtx.core.schedule import StatefulSchedule as StatefulSchedule
from gradtx.wrappers.inject import InjectHyperparamsState as InjectHyperparamsState
from gradtx.wrappers.inject import InjectStatefulHyperparamsState as InjectStatefulHyperparamsState
from typing import Any

inject_stateful_hyperparams = inject_hyperparams

def constant_schedule(value: Number) -> Schedule:
    """The same number at every step."""
def cosine_onecycle_schedule(
    transition_steps: int, peak_value: Number, pct_start: float = 0.3, div_factor: float = 25.0,
    final_div_factor: float = 10000.0
) -> Schedule:
    """Half a cosine up, and half a cosine down to almost nothing; the peak is rounded down to a whole step."""
def join_schedules(schedules: Sequence[Callable[[Any], Any]], boundaries: Sequence[int]) -> Schedule:
    """One schedule after another, each called with the steps since it began."""
def linear_onecycle_schedule(
    transition_steps: int, peak_value: Number, pct_start: float = 0.3, pct_final: float = 0.85,
    div_factor: float = 25.0, final_div_factor: float = 10000.0
) -> Schedule:
    """Three lines, whose ends are rounded down to whole steps: up, down again, and down to almost nothing."""
def sgdr_schedule(cosine_kwargs: Iterable[dict[str, Any]]) -> Schedule:
    """Cosine decays with warm restarts."""
def warmup_cosine_decay_schedule(
    init_value: Number, peak_value: Number, warmup_steps: int, decay_steps: int, end_value: Number = 0.0,
    exponent: Number = 1.0
) -> Schedule:
    """A straight line up, then half a cosine down."""
def warmup_exponential_decay_schedule(
    init_value: Number, peak_value: Number, warmup_steps: int, transition_steps: int, decay_rate: float,
    transition_begin: int = 0, staircase: bool = False, end_value: Number | None = None
) -> Schedule:
    """A straight line up, then `exponential_decay`."""
