"""Optax's schedules: functions of the step. Numbers of steps that are not positive give a constant or an error."""

# Written by `python -m tests.compat.stubs`.

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
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
def cosine_decay_schedule(
    init_value: Number, decay_steps: int, alpha: Number = 0.0, exponent: Number = 1.0
) -> Schedule:
    """Half a cosine, from a value to a fraction of it; `decay_steps` must be positive."""
def cosine_onecycle_schedule(
    transition_steps: int, peak_value: Number, pct_start: float = 0.3, div_factor: float = 25.0,
    final_div_factor: float = 10000.0
) -> Schedule:
    """Half a cosine up, and half a cosine down to almost nothing; the peak is rounded down to a whole step."""
def exponential_decay(
    init_value: Number, transition_steps: int, decay_rate: float, transition_begin: int = 0, staircase: bool = False,
    end_value: Number | None = None
) -> Schedule:
    """A value multiplied by a constant every so many steps; without such steps or such a constant it stays."""
def join_schedules(schedules: Sequence[Callable[[Any], Any]], boundaries: Sequence[int]) -> Schedule:
    """One schedule after another, each called with the steps since it began."""
def linear_onecycle_schedule(
    transition_steps: int, peak_value: Number, pct_start: float = 0.3, pct_final: float = 0.85,
    div_factor: float = 25.0, final_div_factor: float = 10000.0
) -> Schedule:
    """Three lines, whose ends are rounded down to whole steps: up, down again, and down to almost nothing."""
def linear_schedule(
    init_value: Number, end_value: Number, transition_steps: int, transition_begin: int = 0
) -> Schedule:
    """A straight line; arguments as in `polynomial_schedule`."""
def piecewise_constant_schedule(init_value: Number, boundaries_and_scales: dict[int, float] | None = None) -> Schedule:
    """A value that is multiplied by a scale, which is not negative, at some steps."""
def piecewise_interpolate_schedule(
    interpolate_type: str, init_value: Number, boundaries_and_scales: dict[int, float] | None = None
) -> Schedule:
    """As `piecewise_constant_schedule`, but reaching each new value along a line or half a cosine."""
def polynomial_schedule(
    init_value: Number, end_value: Number, power: Number, transition_steps: int, transition_begin: int = 0
) -> Schedule:
    """A power of the time left; `init_value` for ever where `transition_steps` is not positive."""
def sgdr_schedule(cosine_kwargs: Iterable[dict[str, Any]]) -> Schedule:
    """Cosine decays with warm restarts."""
def warmup_constant_schedule(init_value: Number, peak_value: Number, warmup_steps: int) -> Schedule:
    """A straight line up, then no change; `init_value` for ever where `warmup_steps` is not positive."""
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
