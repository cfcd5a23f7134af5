"""Plots of schedules."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.core.hyperparameters import IsSchedule
from gradtx.core.schedule import Schedule
from gradtx.core.typing import Array, ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Drawable: TypeAlias = Schedule | Callable[[Array], ArrayLike]
"""A schedule, or a function of the step."""


def plot_schedule(
    schedule_or_dict: Drawable | Mapping[str, Drawable],
    steps: int | Sequence[int] | np.ndarray | Array,
    *,
    axes: "Axes | None" = None,
) -> "Axes":
    """Draw a schedule, or several with a legend, over the steps.

        gradtx.plot_schedule({"cosine": cosine, "one cycle": onecycle}, 1000).figure.savefig("schedules.png")

    Each schedule is evaluated at all steps in one call.

    Args:
        schedule_or_dict: a schedule or function of the step, or some of them by label.
        steps: a number of steps >= 1, counted from 0; or the steps themselves, in one dimension.
        axes: where to draw; by default the axes of a new figure.

    Returns:
        The axes.

    Raises:
        ImportError: without matplotlib, which the extra `gradtx[examples]` installs.
        TypeError: for what is no schedule, and for a `gradtx.StatefulSchedule`.
        ValueError: for no schedules or no steps.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("plot_schedule needs matplotlib: install gradtx[examples]") from error
    several = isinstance(schedule_or_dict, Mapping)
    given = schedule_or_dict if several else {"schedule_or_dict": schedule_or_dict}
    if not given:
        raise ValueError("plot_schedule: schedule_or_dict must have at least one schedule, got none")
    at = np.arange(steps) if isinstance(steps, int | np.integer) else np.asarray(steps)
    if at.ndim != 1 or not at.size:
        raise ValueError(f"plot_schedule: steps must be a number >= 1 or some steps in one dimension, got {steps!r}")

    accept = IsSchedule()
    lines: dict[str, np.ndarray] = {}
    for label, schedule in given.items():
        name = f"schedule_or_dict[{label!r}]" if several else label
        lines[label] = np.asarray(jax.vmap(accept("plot_schedule", name, schedule))(jnp.asarray(at)))

    axes = plt.subplots()[1] if axes is None else axes
    for label, values in lines.items():
        axes.plot(at, values, label=label if several else None)
    axes.set_xlabel("step")
    axes.set_ylabel("value")
    if several:
        axes.legend()
    return axes
