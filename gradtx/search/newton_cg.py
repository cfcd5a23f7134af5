"""Newton-CG: Newton's direction from Hessian-vector products alone."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gradtx.combine.chain import chain
from gradtx.core import precision, tree
from gradtx.core.averages import safe_divide
from gradtx.core.errors import check_params, is_none
from gradtx.core.hyperparameters import NonNegative, NonNegativeNumber, PositiveInt
from gradtx.core.slots import scalar
from gradtx.core.transformation import GradientTransformation, Inner, Pair, transformation
from gradtx.core.typing import Array, PyTree
from gradtx.search.lbfgs import ZOOM
from gradtx.search.line import bound, check_leaves, filled, times
from gradtx.transforms.scale import identity, scale, scale_by_lr


class ScaleByNewtonCGState(NamedTuple):
    """State of `scale_by_newton_cg`: how the last solve went."""

    num_cg_steps: Array  # int32, Hessian-vector products
    residual: Array  # ||H u - g||, infinite before the first step


class Conjugate(NamedTuple):
    """Conjugate gradients in progress."""

    count: Array
    u: PyTree
    residual: PyTree  # g - H u
    direction: PyTree
    norm_sq: Array  # ||residual||^2
    stop: Array  # whether a direction without positive curvature was met


def solve_newton(product: Callable[[PyTree], PyTree], g: PyTree, rtol: Array, max_steps: int) -> Conjugate:
    """u with H u = g up to min(rtol, sqrt(||g||)) ||g||, or as far as the curvature is positive."""
    add = lambda x, factor, y: jax.tree.map(lambda a, b: a + times(factor, b), x, y)
    size_sq = tree.norm_sq(g)
    enough = jnp.minimum(rtol**2, jnp.sqrt(size_sq)) * size_sq

    def going_on(c: Conjugate) -> Array:
        return ~c.stop & (c.norm_sq > enough) & (c.count < max_steps)

    def step(c: Conjugate) -> Conjugate:
        curved = product(c.direction)
        curvature = tree.vdot(c.direction, curved)
        flat = ~(curvature > 0) | ~jnp.isfinite(curvature)
        a = jnp.where(flat, 0, safe_divide(c.norm_sq, curvature))
        u, residual = add(c.u, a, c.direction), add(c.residual, -a, tree.where(~flat, curved))
        u = jax.tree.map(lambda x, y: jnp.where(flat & (c.count == 0), x, y), g, u)
        norm_sq = tree.norm_sq(residual)
        direction = add(residual, safe_divide(norm_sq, c.norm_sq), c.direction)
        return Conjugate(c.count + 1, u, residual, direction, norm_sq, flat)

    zero = jax.tree.map(jnp.zeros_like, g)
    start = Conjugate(jnp.zeros((), jnp.int32), zero, g, g, size_sq, jnp.zeros((), jnp.bool_))
    return jax.lax.while_loop(going_on, step, start)


@transformation
def scale_by_newton_cg(max_cg_steps: PositiveInt = 50, rtol: NonNegativeNumber = 0.5) -> Pair:
    """Replace gradients by Newton's direction: u with H u = g, H the Hessian of the loss at theta.

        update(grads, state, params, value_fn=loss)

    Conjugate gradients from u = 0 until ||H u - g|| <= min(rtol, sqrt(||g||)) ||g||, or until a direction d with
    <d, H d> <= 0, where u is what there is, and g if that is nothing. Each step costs one Hessian-vector product,
    about two gradients. Then -u leads downhill.

    Args:
        max_cg_steps: at least 1.
        rtol: at least 0; in the paper 0.5. Near a minimum the root makes the convergence faster than linear.

    State: `ScaleByNewtonCGState(num_cg_steps, residual)`, 8 bytes.

    Raises: TypeError from `update` without `value_fn`, or for complex parameters; ValueError without params.

    Source: Nocedal & Wright 2006, Algorithm 7.1. Derivatives take u as a number.
    """
    name = "scale_by_newton_cg"

    def init(params: PyTree) -> ScaleByNewtonCGState:
        check_leaves(name, params, real_only=True)
        return ScaleByNewtonCGState(jnp.zeros((), jnp.int32), scalar(jnp.inf)(params))

    def update(
        updates: PyTree, state: ScaleByNewtonCGState, params: PyTree = None, **extra: Any
    ) -> tuple[PyTree, ScaleByNewtonCGState]:
        check_params(name, params)
        loss = bound(name, extra)
        wide = jax.lax.stop_gradient(precision.widen(params))
        there = lambda p: loss(precision.round_like(p, params))
        free = jax.tree.map(lambda u, p: None if p is None else u is not None, updates, params, is_leaf=is_none)
        g = precision.widen(filled(name, "updates", params, jax.lax.stop_gradient(updates)))
        g = jax.tree.map(lambda x, p: precision.cast(x, p.dtype), g, wide)

        def product(v: PyTree) -> PyTree:
            hv = jax.jvp(jax.grad(there), (wide,), (v,))[1]
            return jax.tree.map(lambda x, on: x if on else jnp.zeros_like(x), hv, free)

        limit = precision.cast(jax.lax.stop_gradient(rtol), state.residual.dtype)
        end = solve_newton(product, g, limit, max_cg_steps)
        kept = jax.tree.map(lambda u, x: None if u is None else x, updates, end.u, is_leaf=is_none)
        residual = precision.cast(jnp.sqrt(end.norm_sq), state.residual.dtype)
        return precision.round_like(kept, updates), ScaleByNewtonCGState(end.count, residual)

    return Pair(init, update)


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
