"""Newton-CG: Newton's direction from Hessian-vector products alone."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gradtx.combine.chain import chain
from gradtx.core import precision, tree
from gradtx.core.averages import divide_up_to, safe_divide
from gradtx.core.border import seen_widely
from gradtx.core.errors import check_params, is_none
from gradtx.core.extras import one_number
from gradtx.core.fields import Scalar
from gradtx.core.hyperparameters import NonNegative, NonNegativeNumber, PositiveInt
from gradtx.core.loops import repeat
from gradtx.core.rules import keep_type
from gradtx.core.slots import scalar
from gradtx.core.transformation import GradientTransformation, Inner, Pair, transformation
from gradtx.core.typing import Array, PyTree
from gradtx.core.varying import vary_as_all
from gradtx.search.lbfgs import CAREFUL, ZOOM
from gradtx.search.line import bound, check_leaves, filled, first_length, times
from gradtx.transforms.scale import identity, scale, scale_by_lr


class ScaleByNewtonCGState(NamedTuple):
    """State of `scale_by_newton_cg`: how the last solve went."""

    num_cg_steps: Array  # int32, Hessian-vector products
    residual: Scalar  # ||H u - g||, infinite before the first step
    gradient_norm: Scalar  # ||g||, infinite before the first step


class Conjugate(NamedTuple):
    """Conjugate gradients in progress."""

    count: Array
    u: PyTree
    residual: PyTree  # g - H u
    direction: PyTree
    norm_sq: Array  # ||residual||^2
    stop: Array  # whether a direction without positive curvature was met


def solve_newton(
    product: Callable[[PyTree], PyTree], g: PyTree, rtol: Array, flat_step: Array, max_steps: int
) -> Conjugate:
    """u with ||H u - g|| <= rtol ||g||, or as far as the curvature is positive; g is neither huge nor tiny."""
    add = lambda x, factor, y: jax.tree.map(lambda a, b: a + times(factor, b), x, y)
    size_sq = tree.norm_sq(g)
    enough = rtol**2 * size_sq

    def going_on(c: Conjugate) -> Array:
        return ~c.stop & (c.norm_sq > enough) & (c.count < max_steps)

    def step(c: Conjugate) -> Conjugate:
        curved = product(c.direction)
        curvature = tree.vdot(c.direction, curved)
        flat = ~(curvature > 0) | ~jnp.isfinite(curvature)
        a = jnp.where(flat, 0, safe_divide(c.norm_sq, curvature))
        u, residual = add(c.u, a, c.direction), add(c.residual, -a, tree.where(~flat, curved))
        downward = jnp.isfinite(curvature) & (curvature < 0)
        first = jnp.where(downward, safe_divide(size_sq, -curvature), flat_step)
        u = jax.tree.map(lambda x, y: jnp.where(flat & (c.count == 0), times(first, x), y), g, u)
        norm_sq = tree.norm_sq(residual)
        direction = add(residual, safe_divide(norm_sq, c.norm_sq), c.direction)
        return Conjugate(c.count + 1, u, residual, direction, norm_sq, flat)

    zero = jax.tree.map(jnp.zeros_like, g)
    start = Conjugate(jnp.zeros((), jnp.int32), zero, g, g, size_sq, jnp.zeros((), jnp.bool_))
    return repeat(going_on, step, start)


def forcing(rtol: Array, norm: Array, before: Array) -> Array:
    """How small ||H u - g|| / ||g|| must be: min(rtol, 0.9 (||g|| / ||g before||)^2)."""
    ratio = divide_up_to(norm, before, 1.0)
    return jnp.where(jnp.isinf(before), rtol, jnp.minimum(rtol, 0.9 * ratio**2))


@transformation
def scale_by_newton_cg(max_cg_steps: PositiveInt = 50, rtol: NonNegativeNumber = 0.5) -> Pair:
    """Replace gradients by Newton's direction: u with H u = g, H the Hessian of the loss at theta.

        update(grads, state, params, value_fn=loss)

    Conjugate gradients from u = 0 until ||H u - g|| <= min(rtol, 0.9 (||g|| / ||g before||)^2) ||g||, or until a
    direction d with <d, H d> <= 0, where u is what there is. If that is nothing, u = g ||g||^2 / |<g, H g>|, and if
    <g, H g> = 0, g with the first length of `scale_by_lbfgs`. Each step costs one Hessian-vector product, about two
    gradients. Then -u leads downhill. Another unit of the loss, f, g and H times a number, changes no u, and another
    unit of theta changes nothing but the unit of u.

    Args:
        max_cg_steps: at least 1.
        rtol: at least 0; 0.5 is usual. Near a minimum the square makes the convergence faster than linear.

    State: `ScaleByNewtonCGState(num_cg_steps, residual, gradient_norm)`, 12 bytes.

    Raises: TypeError from `update` without `value_fn`, or for complex parameters; ValueError without params.

    Source: Nocedal & Wright 2006, Algorithm 7.1, with Eisenstat & Walker 1996, (2.6), for the accuracy, where the
        book has a root, whose unit is none of the loss. Derivatives take u as a number.
    """
    name = "scale_by_newton_cg"

    def init(params: PyTree) -> ScaleByNewtonCGState:
        check_leaves(name, params, real_only=True)
        state = ScaleByNewtonCGState(jnp.zeros((), jnp.int32), *(scalar(jnp.inf)(params) for _ in range(2)))
        return vary_as_all(state, params)

    def update(
        updates: PyTree, state: ScaleByNewtonCGState, params: PyTree = None, **extra: Any
    ) -> tuple[PyTree, ScaleByNewtonCGState]:
        check_params(name, params)
        loss = bound(name, extra)
        there, wide = seen_widely(loss, jax.lax.stop_gradient(params))
        free = jax.tree.map(lambda u, p: None if p is None else u is not None, updates, params, is_leaf=is_none)
        g = filled(name, "updates", params, jax.lax.stop_gradient(updates))
        g = jax.tree.map(lambda x, p: precision.cast(x, p.dtype), g, wide)

        def product(v: PyTree) -> PyTree:
            hv = jax.jvp(jax.grad(there), (wide,), (v,))[1]
            return jax.tree.map(lambda x, on: x if on else jnp.zeros_like(x), hv, free)

        # H u = g with g near 1: no square of it overflows or vanishes.
        unit = tree.unit(g)
        by = lambda factor, x: jax.tree.map(lambda y: times(factor, y), x)
        near_one = by(1 / unit, g)
        norm = unit * tree.norm(near_one)
        limit = precision.cast(jax.lax.stop_gradient(rtol), norm.dtype)
        limit = forcing(limit, norm, precision.cast(state.gradient_norm, norm.dtype))
        value = None if extra.get("value") is None else one_number(name, "value", extra["value"])
        length = first_length(wide, jax.lax.stop_gradient(value), norm, CAREFUL)
        end = solve_newton(product, near_one, limit, safe_divide(length, norm), max_cg_steps)
        new = ScaleByNewtonCGState(end.count, unit * jnp.sqrt(end.norm_sq), norm)
        return tree.map_given(lambda u, x: x, updates, by(unit, end.u)), jax.tree.map(keep_type, new, state)

    return Pair(init, update, "numbers", ScaleByNewtonCGState, {"num_cg_steps": 0})


@transformation
def newton_cg(
    learning_rate: NonNegative | None = None, max_cg_steps: PositiveInt = 50, rtol: NonNegativeNumber = 0.5,
    linesearch: Inner | None = ZOOM,
) -> GradientTransformation:  # fmt: skip
    """Newton's method with conjugate gradients and a line search: theta <- theta - eta u, u of `scale_by_newton_cg`.

        updates, state = tx.update(grad, state, params, value=value, grad=grad, value_fn=loss)

    Args:
        learning_rate: None, or a number or schedule >= 0 that -u is multiplied by before the search.
        max_cg_steps: at least 1, the most Hessian-vector products of a step.
        rtol: at least 0, the largest relative error of u.
        linesearch: a line search, or None for the learning rate alone.

    State: a tuple of the states of `scale_by_newton_cg`, of the scale and of the line search.

    Raises: TypeError from `update` without value, grad or value_fn.

    Source: Nocedal & Wright 2006, Algorithm 7.1.
    """
    down = scale(-1.0) if learning_rate is None else scale_by_lr(learning_rate)
    return chain(scale_by_newton_cg(max_cg_steps, rtol), down, identity() if linesearch is None else linesearch)
