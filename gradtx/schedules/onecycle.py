"""The one-cycle policy: once up, and down again to almost nothing."""

from gradtx.core.hyperparameters import FractionNumber, NonNegativeNumber, Number, PositiveNumber
from gradtx.core.schedule import schedule
from gradtx.core.typing import Array
from gradtx.schedules.piecewise import interpolated
from gradtx.schedules.shapes import check_order, cosine, linear


@schedule
def linear_onecycle_schedule(
    step: Array,
    transition_steps: NonNegativeNumber,
    peak_value: Number,
    pct_start: FractionNumber = 0.3,
    pct_final: FractionNumber = 0.85,
    div_factor: PositiveNumber = 25.0,
    final_div_factor: PositiveNumber = 1e4,
) -> Array:
    """Three straight lines: up, down again, and down to almost nothing.

    With v = peak_value / div_factor and T = transition_steps, through:

        (0, v), (pct_start T, peak_value), (pct_final T, v), (T, v / final_div_factor)

    The steps in between are not rounded, so the schedule changes smoothly with T and the fractions; Optax rounds
    them down.

    Args:
        transition_steps: the length T of the cycle, >= 0; at 0 the value is the last one at once.
        peak_value: the highest value.
        pct_start: where the peak is, as a fraction of T in [0, 1].
        pct_final: where the second line ends, as a fraction of T in [`pct_start`, 1].
        div_factor: by how much the first value is below the peak, > 0.
        final_div_factor: by how much the last value is below the first, > 0.

    Source: Smith & Topin 2018, arXiv:1708.07120.
    """
    check_order("linear_onecycle_schedule", {"pct_start": pct_start, "pct_final": pct_final})
    first = peak_value / div_factor
    knots = [
        (0, first),
        (pct_start * transition_steps, peak_value),
        (pct_final * transition_steps, first),
        (transition_steps, first / final_div_factor),
    ]
    return interpolated(step, linear, knots)


@schedule
def cosine_onecycle_schedule(
    step: Array,
    transition_steps: NonNegativeNumber,
    peak_value: Number,
    pct_start: FractionNumber = 0.3,
    div_factor: PositiveNumber = 25.0,
    final_div_factor: PositiveNumber = 1e4,
) -> Array:
    """Half a cosine up, and half a cosine down to almost nothing.

    With v = peak_value / div_factor and T = transition_steps, through:

        (0, v), (pct_start T, peak_value), (T, v / final_div_factor)

    The step of the peak is not rounded; Optax rounds it down.

    Args:
        transition_steps: the length T of the cycle, >= 0; at 0 the value is the last one at once.
        peak_value: the highest value.
        pct_start: where the peak is, as a fraction of T in [0, 1].
        div_factor: by how much the first value is below the peak, > 0.
        final_div_factor: by how much the last value is below the first, > 0.

    Source: Smith & Topin 2018, arXiv:1708.07120, with cosine legs as in PyTorch's `OneCycleLR`.
    """
    first = peak_value / div_factor
    knots = [(0, first), (pct_start * transition_steps, peak_value), (transition_steps, first / final_div_factor)]
    return interpolated(step, cosine, knots)
