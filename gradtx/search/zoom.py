"""Zoom: a step that satisfies the strong Wolfe conditions."""

from typing import Annotated, Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.core import precision, tree
from gradtx.core.arguments import Interval, OneOf
from gradtx.core.averages import safe_divide
from gradtx.core.fields import Scalar
from gradtx.core.hyperparameters import NonNegativeNumber, PositiveInt, PositiveNumber
from gradtx.core.loops import repeat
from gradtx.core.rules import keep_type
from gradtx.core.slots import Slot, scalar
from gradtx.core.transformation import Pair, transformation
from gradtx.core.typing import Array, ArrayLike, Numbers, PyTree
from gradtx.core.varying import vary_as_all
from gradtx.search.line import FoundValue, Line, first_length, scaled, start_line, zeros_like

Tolerance: TypeAlias = Annotated[ArrayLike | np.ndarray, Interval("[0, inf]")]
"""A number >= 0, infinity included."""

LargerThanOne: TypeAlias = Annotated[ArrayLike | np.ndarray, Interval("(1, inf)")]
"""A number > 1."""


class ZoomLinesearchInfo(NamedTuple):
    """How a search went; both errors are 0 where the strong Wolfe conditions hold."""

    num_linesearch_steps: Array  # int32, how often the loss and its gradient were evaluated
    decrease_error: Array  # by how much the decrease was missed, infinite if nothing was finite
    curvature_error: Array  # by how much the slope is too steep


class ScaleByZoomLinesearchState(NamedTuple):
    learning_rate: Scalar  # the step taken, 0 before the first and after a search that failed
    value: FoundValue  # the loss there, infinite before the first step
    grad: Slot  # its gradient there
    info: ZoomLinesearchInfo


class Sample(NamedTuple):
    """A step, and the loss and its derivative by the step there."""

    step: Array
    value: Array
    slope: Array


class Search(NamedTuple):
    """A search in progress."""

    count: Array
    last: Sample  # tried last
    low: Sample  # the end of the interval with the smaller loss, which has fallen enough
    high: Sample  # the other end
    third: Sample  # an earlier end, for the cubic
    bracketed: Array  # whether there is an interval
    done: Array
    best: Sample  # what is returned if the search ends now
    grad: PyTree  # the gradient there
    errors: tuple[Array, Array]  # of decrease and curvature there; of the last try while best is the start


def wolfe_errors(line: Line, at: Sample, slope_rtol: Array, curv_rtol: Array, approx: Array | None) -> Any:
    """By how much sufficient decrease (or approximate decrease near a minimum) and curvature are missed."""
    decrease = at.value - line.value - slope_rtol * at.step * line.slope
    if approx is not None:
        near = at.value - line.value - approx * jnp.abs(line.value)
        decrease = jnp.minimum(decrease, jnp.maximum(at.slope - (2 * slope_rtol - 1) * line.slope, near))
    # An infinite tolerance times a slope of zero is no number, and is met.
    allowed = jnp.where(jnp.isinf(curv_rtol), jnp.inf, curv_rtol * jnp.abs(line.slope))
    curvature = jnp.abs(at.slope) - allowed
    finite = jnp.isfinite(at.value) & jnp.isfinite(at.slope)
    return tuple(jnp.where(finite, jnp.maximum(error, 0), jnp.inf) for error in (decrease, curvature))


def interpolated(low: Sample, high: Sample, third: Sample, relative: bool) -> Array:
    """A step between low and high: the minimum of a cubic through all, else of a parabola, else `far_within`.

    The last is the middle where this is not relative.
    """
    width = high.step - low.step
    rise = lambda at: at.value - low.value - low.slope * (at.step - low.step)
    # rise(t) = a t^3 + b t^2, t the distance from low with the width as its unit. Only ratios of a, b and the slope
    # matter: with the largest as their unit no square of them overflows or vanishes.
    t, slope, over, other = (third.step - low.step) / width, low.slope * width, rise(high), rise(third)
    curve = other / t**2
    a = (over - curve) / (1 - t)
    b = over - a
    most = jnp.maximum(jnp.maximum(jnp.abs(a), jnp.abs(b)), jnp.abs(slope))
    p, q, r = a / most, b / most, slope / most
    cubic, parabola = (-q + jnp.sqrt(q**2 - 3 * p * r)) / (3 * p), -slope / (2 * over)
    within = lambda t, margin: (t > margin) & (t < 1 - margin)
    t = jnp.where(within(cubic, 0.2), cubic, jnp.where(within(parabola, 0.1), parabola, 0.5))
    inside = within(cubic, 0.2) | within(parabola, 0.1) | (not relative)
    return jnp.where(inside, low.step + t * width, far_within(low, high, parabola))


def far_within(low: Sample, high: Sample, parabola: Array) -> Array:
    """A step between two that are orders of magnitude apart, where interpolation leads too near to one of them.

    It is in their geometric mean, where neither is 0. Between 0 and a step so long that nothing of the slope at 0 is
    seen in the loss there, it is in that of a tenth of the step and of the parabola's least, which is too short where
    the loss grows faster than a parabola; where the loss is not finite at the long step it is a tenth of it. So the
    orders of magnitude between are halved, not the interval.
    """
    short, long = jnp.minimum(low.step, high.step), jnp.maximum(low.step, high.step)
    middle = short / 2 + long / 2
    apart = jnp.where(10 * short < long, jnp.sqrt(short) * jnp.sqrt(long), middle)
    tiny = (low.step == 0) & (parabola > 0) & (parabola < 0.1)
    least = jnp.sqrt(0.1 * jnp.maximum(parabola, float(jnp.finfo(long.dtype).eps) ** 2))
    begun = jnp.where(tiny, long * least, jnp.where(jnp.isfinite(high.value), middle, 0.1 * long))
    return jnp.where(short > 0, apart, begun)


def fresh_guess(line: Line) -> Array:
    """A first step where none is known: of the length that `first_length` gives."""
    length = precision.cast(tree.scaled_norm(line.updates), line.value.dtype)
    slope = safe_divide(jnp.abs(line.slope), length)
    return jnp.where(length > 0, safe_divide(first_length(line.params, line.value, slope), length), 1)


def choose(condition: Array, yes: Any, no: Any) -> Any:
    """Leaf by leaf `yes` where the condition holds, else `no`."""
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), yes, no)


def longer(s: Search, new: Sample, short: Array, wolfe: Array, at_end: Array) -> Search:
    """The search after a longer step: Nocedal & Wright, Algorithm 3.5."""
    over = short | ((new.value >= s.last.value) & (s.count > 0))
    up = (new.slope >= 0) & ~over
    low, high = choose(up, (new, s.last), (s.last, new))
    return s._replace(low=low, high=high, third=low, bracketed=over | up, done=wolfe | (at_end & ~over & ~up))


def narrower(s: Search, new: Sample, short: Array, wolfe: Array) -> Search:
    """The search after a step inside the interval: Nocedal & Wright, Algorithm 3.6."""
    to_high = short | (new.value >= s.low.value)
    turn = (new.slope * (s.high.step - s.low.step) >= 0) & ~to_high
    high = choose(to_high, new, choose(turn, s.low, s.high))
    third = choose(to_high | turn, s.high, s.low)
    return s._replace(low=choose(to_high, s.low, new), high=high, third=third, done=wolfe)


def search(
    line: Line, guess: Array, longest: Array | None, max_steps: int, use_approx: bool, relative: bool, h: Numbers
) -> Search:
    """Search along a line from a first guess."""

    def going_on(s: Search) -> Array:
        return ~s.done & (s.count < max_steps)

    def step(s: Search) -> Search:
        ahead = jnp.where(s.count == 0, guess, h["increase_factor"] * s.last.step)
        ahead = ahead if longest is None else jnp.minimum(ahead, longest)
        at_end = jnp.zeros((), jnp.bool_) if longest is None else ahead >= longest
        eta = jnp.where(s.bracketed, interpolated(s.low, s.high, s.third, relative), ahead)
        value, slope, grad = line.at(eta)
        new = Sample(eta, value, precision.cast(slope, value.dtype))
        approx = h["approx_dec_rtol"] if use_approx else None
        errors = wolfe_errors(line, new, h["slope_rtol"], h["curv_rtol"], approx)
        # A NaN compares as no decrease, so that the interval closes in on where the loss is defined.
        wolfe, falls, short = jnp.maximum(*errors) <= h["tol"], errors[0] <= h["tol"], errors[0] > 0
        better = wolfe | (falls & (~s.bracketed | (new.value < s.best.value)))
        best, grad = choose(better, (new, grad), (s.best, s.grad))
        kept = choose(better | ((best.step == 0) & ~falls), errors, s.errors)
        unit = jnp.maximum(s.high.step, s.low.step) if relative else 1
        narrow = jnp.abs(s.high.step - s.low.step) <= h["stepsize_precision"] * unit
        small = s.bracketed & narrow & (best.step > 0)
        inside, outside = narrower(s, new, short, wolfe), longer(s, new, short, wolfe, at_end)
        after = choose(s.bracketed, inside, outside)
        done = after.done | small
        return after._replace(count=s.count + 1, last=new, done=done, best=best, grad=grad, errors=kept)

    zero, infinite = jnp.zeros_like(line.value), jnp.full_like(line.value, jnp.inf)
    start = Sample(zero, line.value, line.slope)
    hopeless = ~(jnp.isfinite(line.value) & (line.slope <= 0) & jnp.isfinite(line.slope))
    first = Search(
        jnp.zeros((), jnp.int32), start, start, start, start, jnp.zeros((), jnp.bool_), hopeless, start, line.grad,
        (infinite, infinite),
    )  # fmt: skip
    return repeat(going_on, step, first)


@transformation(degree=1)
def scale_by_zoom_linesearch(
    max_linesearch_steps: PositiveInt, max_learning_rate: PositiveNumber | None = None, tol: NonNegativeNumber = 0.0,
    increase_factor: LargerThanOne = 2.0, slope_rtol: NonNegativeNumber = 1e-4, curv_rtol: Tolerance = 0.9,
    approx_dec_rtol: NonNegativeNumber | None = 1e-6, stepsize_precision: NonNegativeNumber = 1e-5,
    initial_guess_strategy: Annotated[str, OneOf("keep", "one")] = "keep", *, relative: bool = True,
) -> Pair:  # fmt: skip
    """Scale updates by a step that satisfies the strong Wolfe conditions; it stands last in a chain.

        update(updates, state, params, value=value, grad=grad, value_fn=loss, **data)

    where the loss is called with the parameters and with those of the data that it takes by name.

    With u the updates, phi(eta) = f(theta + eta u), the step eta satisfies, each up to tol,

        decrease    phi(eta) <= phi(0) + slope_rtol eta phi'(0), or, near a minimum,
                    phi'(eta) <= (2 slope_rtol - 1) phi'(0) and phi(eta) <= phi(0) + approx_dec_rtol |phi(0)|
        curvature   |phi'(eta)| <= curv_rtol |phi'(0)|

    If none is found, the best step with a decrease; without one (u leads uphill, the loss is not finite) u <- 0, with
    a decrease_error above 0. Each step evaluates the loss and its gradient once. Another unit of the loss, phi times
    a number, changes no step as long as tol is 0.

    Args:
        max_linesearch_steps: at least 1.
        max_learning_rate: above 0, the longest step, or None.
        increase_factor: above 1, how much longer each step is until one is too long.
        slope_rtol: at least 0, c1.
        curv_rtol: at least 0, c2; infinity for a decrease alone.
        approx_dec_rtol: at least 0, or None for no approximate decrease.
        stepsize_precision: at least 0; in an interval shorter than this part of its longer step the best is taken.
        initial_guess_strategy: "keep" tries the last step first, "one" 1.
        relative: whether "keep", without a last step, tries one of the first length of `scale_by_lbfgs`, and steps
            between ends of different orders of magnitude halve those; else 1, and the middle, and stepsize_precision
            is the interval itself.

    State: `ScaleByZoomLinesearchState(learning_rate, value, grad, info)`, one value per parameter.

    Raises: TypeError from `update` without value, grad or value_fn; ValueError without params.

    Source: Nocedal & Wright 2006, Algorithms 3.5 and 3.6; Hager & Zhang 2006, (23), (27). Derivatives take the step
        as a number. Optax takes the last step tried where ours is 0, and has `relative=False`.
    """
    name = "scale_by_zoom_linesearch"
    numbers: Numbers = dict(
        tol=tol, increase_factor=increase_factor, slope_rtol=slope_rtol, curv_rtol=curv_rtol,
        approx_dec_rtol=0.0 if approx_dec_rtol is None else approx_dec_rtol, stepsize_precision=stepsize_precision,
    )  # fmt: skip

    def init(params: PyTree) -> ScaleByZoomLinesearchState:
        number = lambda x: scalar(x)(params)
        steps = vary_as_all(jnp.zeros((), jnp.int32), params)
        info = ZoomLinesearchInfo(steps, number(jnp.inf), number(jnp.inf))
        return ScaleByZoomLinesearchState(number(0.0 if relative else 1.0), number(jnp.inf), zeros_like(params), info)

    def update(
        updates: PyTree, state: ScaleByZoomLinesearchState, params: PyTree = None, **extra: Any
    ) -> tuple[PyTree, ScaleByZoomLinesearchState]:
        line = start_line(name, updates, params, state, extra)
        cast = lambda x: jax.lax.stop_gradient(precision.cast(x, line.value.dtype))
        longest = None if max_learning_rate is None else cast(max_learning_rate)
        keep = initial_guess_strategy == "keep"
        fresh = fresh_guess(line) if keep and relative else 1
        guess = jnp.where((state.learning_rate > 0) & keep, cast(state.learning_rate), fresh)
        h = {k: cast(x) for k, x in numbers.items()}
        end = search(line, guess, longest, max_linesearch_steps, approx_dec_rtol is not None, relative, h)
        info = ZoomLinesearchInfo(end.count, *end.errors)
        new = ScaleByZoomLinesearchState(end.best.step, end.best.value, end.grad, info)
        return scaled(end.best.step, updates), jax.tree.map(keep_type, new, state)

    return Pair(init, update, "numbers", ScaleByZoomLinesearchState, {"grad": None})
