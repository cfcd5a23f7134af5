"""A long, narrow valley, one optimizer's walk down it, and how both look in a panel."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from matplotlib.axes import Axes

import gradtx
from _figures import INK, MUTED
from gradtx import GradientTransformation

START = (-7.0, 2.0)
FRAME = (8.5, 3.1)  # the panels show |x| and |y| up to these
CONTOURS = 0.12 * np.arange(1, 9) ** 2  # at even distances along each axis
FORMULA = "$f(x, y) = x^2 / 20 + y^2$"

Mark = dict[str, Any]
STEP: Mark = {"marker": "o", "markersize": 3.5, "linewidth": 1.3}
FIRST: Mark = {"marker": "o", "markersize": 6, "markerfacecolor": "white", "color": INK, "linestyle": ""}
LOWEST: Mark = {"marker": "+", "markersize": 9, "markeredgewidth": 1.5, "color": INK, "linestyle": ""}


def valley(point: Array) -> Array:
    x, y = point
    return x**2 / 20 + y**2


@partial(jax.jit, static_argnames="steps")
def walk(optimizer: GradientTransformation, steps: int, noise: Array, key: Array) -> Array:
    """All points of one path, the start included: (steps + 1, 2).

    An optimizer that keeps an average trains at one point and is drawn at another, the average.
    """

    def step(carry: tuple[Array, Any], key: Array) -> tuple[tuple[Array, Any], Array]:
        point, state = carry
        value, slope = jax.value_and_grad(valley)(point)
        slope += noise * jax.random.normal(key, point.shape)
        # What some optimizers ask for besides the gradient; the others ignore it.
        extra = {"value": value, "grad": slope, "value_fn": valley, "obj_fn": valley, "sampled_obj_fn": sampled}
        updates, state = optimizer.update(slope, state, point, **extra)
        point = gradtx.apply_updates(point, updates)
        return (point, state), gradtx.evaluation_params(state, point)

    start = jnp.array(START)
    _, points = jax.lax.scan(step, (start, optimizer.init(start)), jax.random.split(key, steps))
    return jnp.concatenate([start[None], points])


def sampled(point: Array, key: Array) -> Array:
    """The loss for labels drawn from the model; here there are none to draw."""
    del key
    return valley(point)


def draw_valley(axes: Axes, linewidth: float = 0.6) -> None:
    """The contours, in a panel of the common frame."""
    across, along = FRAME
    x, y = np.meshgrid(np.linspace(-across, across, 240), np.linspace(-along, along, 120))
    heights = x**2 / 20 + y**2
    axes.contour(x, y, heights, levels=CONTOURS, colors=MUTED, linewidths=linewidth, alpha=0.7)
    axes.set(xlim=(-across, across), ylim=(-along, along), yticks=(-2, 0, 2), aspect="equal")
