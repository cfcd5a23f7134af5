"""Backtracking: shorter steps until the loss falls enough."""

from typing import Annotated, Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.core import precision
from gradtx.core.arguments import Interval
from gradtx.core.fields import Scalar
from gradtx.core.hyperparameters import NonNegativeNumber, PositiveInt
from gradtx.core.loops import either, repeat
from gradtx.core.rules import keep_type
from gradtx.core.slots import Slot, scalar
from gradtx.core.transformation import Pair, transformation
from gradtx.core.typing import Array, ArrayLike, PyTree
from gradtx.core.varying import vary_as_all
from gradtx.search.line import FoundValue, least_of_parabola, scaled, start_line, zeros_like

ProperFraction: TypeAlias = Annotated[ArrayLike | np.ndarray, Interval("(0, 1)")]
"""A number in (0, 1)."""

GrowthFactor: TypeAlias = Annotated[ArrayLike | np.ndarray, Interval("[1, inf)")]
"""A number >= 1."""

LongestStep: TypeAlias = Annotated[ArrayLike | np.ndarray, Interval("(0, inf]")]
"""A number > 0, infinity included."""


class BacktrackingLinesearchInfo(NamedTuple):
    """How a search went."""

    num_linesearch_steps: Array  # int32, how often the loss was evaluated
    decrease_error: Array  # by how much the decrease was missed: 0 for none, infinite if nothing was finite


class ScaleByBacktrackingLinesearchState(NamedTuple):
    learning_rate: Scalar  # the step taken, 0 before the first and after a search without a finite value
    value: FoundValue  # the loss there, infinite before the first step
    grad: Slot  # its gradient there, or None without `store_grad`
    info: BacktrackingLinesearchInfo


class Trial(NamedTuple):
    """The step tried last."""

    count: Array
    step: Array
    value: Array
    grad: PyTree
    error: Array


@transformation(degree=1)
def scale_by_backtracking_linesearch(
    max_backtracking_steps: PositiveInt, slope_rtol: NonNegativeNumber = 1e-4, decrease_factor: ProperFraction = 0.8,
    increase_factor: GrowthFactor = 1.5, max_learning_rate: LongestStep = 1.0, atol: NonNegativeNumber = 0.0,
    rtol: NonNegativeNumber = 0.0, *, store_grad: bool = False, relative: bool = True,
) -> Pair:  # fmt: skip
    """Scale updates by a step that lets the loss fall enough; it stands last in a chain, after the sign is turned.

        update(updates, state, params, value=value, grad=grad, value_fn=loss, **data)

    where the loss is called with the parameters and with those of the data that it takes by name.

    With u the updates, the step eta is the first of b, d b, d^2 b, ... with b = min(increase eta_before, eta_max) and

        f(theta + eta u) <= (1 + rtol) f(theta) + slope_rtol eta <u, grad f(theta)> + atol

    If none of them is, the last one is taken; without a finite value, none: u <- 0. Without a step before,
    b = min(2 |f| / |<u, grad f>|, eta_max), and min(1, eta_max) for f = 0. Another unit of the loss, f times a number,
    changes no step as long as atol is 0. Where u is a gradient times a number, eta_max has a unit: let it be infinite.

    Args:
        max_backtracking_steps: how often a step is made shorter, >= 1.
        slope_rtol: at least 0, the share of the slope that the loss has to follow.
        decrease_factor: d in (0, 1).
        increase_factor: at least 1, how much longer than the last the first step is.
        max_learning_rate: eta_max > 0, infinity included.
        atol: at least 0, how much the decrease may be missed.
        rtol: at least 0, the same relative to the loss.
        store_grad: whether the gradient at the end is kept, for `value_and_grad_from_state`.
        relative: whether b is as above without a step before; else it is min(1, eta_max).

    State: `ScaleByBacktrackingLinesearchState(learning_rate, value, grad, info)`; grad is one value per parameter.

    Raises: TypeError from `update` without value, grad or value_fn; ValueError without params.

    Source: Nocedal & Wright 2006, Algorithm 3.1. Derivatives take the step as a number. Optax has `relative=False`.
    """
    name = "scale_by_backtracking_linesearch"
    numbers: dict[str, Any] = dict(slope_rtol=slope_rtol, d=decrease_factor, up=increase_factor, atol=atol, rtol=rtol)

    def init(params: PyTree) -> ScaleByBacktrackingLinesearchState:
        number = lambda x: scalar(x)(params)
        info = BacktrackingLinesearchInfo(vary_as_all(jnp.zeros((), jnp.int32), params), number(jnp.inf))
        grad: Any = zeros_like(params) if store_grad else None
        return ScaleByBacktrackingLinesearchState(number(0.0 if relative else 1.0), number(jnp.inf), grad, info)

    def update(
        updates: PyTree, state: ScaleByBacktrackingLinesearchState, params: PyTree = None, **extra: Any
    ) -> tuple[PyTree, ScaleByBacktrackingLinesearchState]:
        line = start_line(name, updates, params, state, extra, keeps_grad=store_grad)
        dtype = line.value.dtype
        h = jax.lax.stop_gradient({k: precision.cast(x, dtype) for k, x in numbers.items()})
        longest = jax.lax.stop_gradient(precision.cast(max_learning_rate, dtype))
        last_step = precision.cast(state.learning_rate, dtype)
        fresh = least_of_parabola(line.value, jnp.abs(line.slope), 1) if relative else 1
        before = jnp.where(last_step > 0, h["up"] * last_step, fresh)

        def going_on(trial: Trial) -> Array:
            return (trial.error > h["atol"]) & (trial.count <= max_backtracking_steps) & usable

        def shorter(trial: Trial) -> Trial:
            step = jnp.where(trial.count == 0, trial.step, h["d"] * trial.step)
            point = line.point(step)
            found, pull = jax.vjp(line.loss, point) if store_grad else (line.loss(point), None)
            value = precision.cast(found, dtype)
            error = value - (1 + h["rtol"]) * line.value - h["slope_rtol"] * step * line.slope
            error = jnp.where(jnp.isfinite(value), jnp.maximum(error, 0), jnp.inf)
            grad = trial.grad
            if pull is not None:
                last = (error <= h["atol"]) | (trial.count == max_backtracking_steps)
                grad = either(last, lambda: pull(jnp.ones_like(found))[0], lambda: trial.grad)
            return Trial(trial.count + 1, step, value, grad, error)

        usable = jnp.isfinite(line.value) & jnp.isfinite(line.slope)
        infinite = jnp.full_like(line.value, jnp.inf)
        start = Trial(
            jnp.zeros((), jnp.int32), jnp.minimum(before, longest), line.value, line.grad if store_grad else None,
            infinite,
        )  # fmt: skip
        end = repeat(going_on, shorter, jax.lax.stop_gradient(start))
        stay = jnp.isinf(end.error)
        step = jnp.where(stay, 0, end.step)
        value = jnp.where(stay, line.value, end.value)
        grad = jax.tree.map(lambda x, y: jnp.where(stay, x, y), start.grad, end.grad)
        info = BacktrackingLinesearchInfo(end.count, end.error)
        new = ScaleByBacktrackingLinesearchState(step, value, grad, info)
        return scaled(step, updates), jax.tree.map(keep_type, new, state)

    return Pair(init, update, "numbers", ScaleByBacktrackingLinesearchState, {"grad": None})
