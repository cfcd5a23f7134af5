"""Schedules given by their values at some steps, with jumps or smooth legs between them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeAlias

import jax.numpy as jnp

from gradtx.core.arguments import Accept, Interval, OneOf
from gradtx.core.hyperparameters import Number
from gradtx.core.schedule import schedule
from gradtx.core.typing import Array, ArrayLike
from gradtx.schedules.shapes import SHAPES, between, progress


class IsScaleByStep(Accept):
    """A dictionary from step, a whole number >= 0, to scale, a number >= 0; kept in the order of the steps."""

    wanted = "a dictionary from step to scale"
    step, scale = Interval("[0, inf)", integer=True), Interval("[0, inf)")

    def convert(self, where: str, name: str, x: Any) -> dict[int, Any]:
        if not isinstance(x, Mapping):
            raise self.refusal(where, name, x)
        scales = {int(self.step(where, f"each step of {name}", step)): scale for step, scale in x.items()}
        return {step: self.scale(where, f"{name}[{step}]", scales[step]) for step in sorted(scales)}


ScaleByStep: TypeAlias = Annotated[Mapping[int, ArrayLike], IsScaleByStep()]
"""A dictionary from step to scale: the steps are static, the scales are leaves."""


def interpolated(step: Array, shape: Callable[[Array], Array], knots: Sequence[tuple[Number, Number]]) -> Array:
    """Legs of one shape through (step, value) pairs, whose steps do not decrease; the last value stays."""
    begin, start = knots[0]
    value = jnp.zeros_like(step) + start
    for end, target in knots[1:]:
        leg = between(target, start, shape(progress(step, begin, end)))
        value = jnp.where(step < begin, value, leg)
        begin, start = end, target
    return value


@schedule
def piecewise_constant_schedule(
    step: Array, init_value: Number, boundaries_and_scales: ScaleByStep | None = None
) -> Array:
    """A value that is multiplied by a scale at some steps.

    At step t:

        init_value times the product of all scales whose step is <= t

    Args:
        init_value: the value before the first of the steps.
        boundaries_and_scales: from step, a whole number >= 0, to scale, >= 0. The steps are static.
    """
    value = jnp.zeros_like(step) + init_value
    for boundary, scale in (boundaries_and_scales or {}).items():
        value = jnp.where(step < boundary, value, value * scale)
    return value


@schedule
def piecewise_interpolate_schedule(
    step: Array,
    interpolate_type: Annotated[str, OneOf("linear", "cosine")],
    init_value: Number,
    boundaries_and_scales: ScaleByStep | None = None,
) -> Array:
    """As `piecewise_constant_schedule`, but reaching each new value along a line or half a cosine.

    Between neighbouring steps a <= t < b, whose products of scales give the values v and w, with x = (t - a) / (b - a):

        w + (v - w) (1 - x), or w + (v - w) (1 + cos(pi x)) / 2; from the last step on, its value

    Args:
        interpolate_type: `"linear"` or `"cosine"`.
        boundaries_and_scales: from step, a whole number >= 0, to scale, >= 0: each scale multiplies the value that the
            step before it has reached. The steps are static.
    """
    knots: list[tuple[Number, Number]] = [(0, init_value)]
    for boundary, scale in (boundaries_and_scales or {}).items():
        knots.append((boundary, knots[-1][1] * scale))
    return interpolated(step, SHAPES[interpolate_type], knots)
