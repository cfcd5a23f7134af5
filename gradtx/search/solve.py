"""Solving a smooth problem: the loop around an optimizer that sees all the data at each step."""

from collections.abc import Callable
from enum import IntEnum
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gradtx.core import precision, tree
from gradtx.core.apply import step as take_step
from gradtx.core.averages import safe_divide, sign
from gradtx.core.transformation import as_transformation
from gradtx.core.typing import Array, ArrayLike, PyTree, TransformationLike
from gradtx.core.varying import settled, together, vary_with
from gradtx.search.lbfgs import lbfgs
from gradtx.search.line import check_leaves, reused, searches_in, times

CHUNK = 20  # iterations between two moves of the progress bar
LBFGS = lbfgs()
PATIENCE = 3  # steps in a row that do not move the parameters, after which nothing will


class StopReason(IntEnum):
    """Why `solve` stopped; `StopReason(int(solution.reason)).name` is a word, `solution.message` a sentence."""

    GRADIENT = 0  # the gradient is small enough
    PRECISION = 1  # the parameters' dtype has no better point nearby
    STUCK = 2  # the steps do not move the parameters, though the gradient says that they should
    ITERATIONS = 3  # max_iterations
    NOT_FINITE = 4  # the value or the gradient


MESSAGES = {
    StopReason.GRADIENT: "the norm of the gradient is at most the tolerance",
    StopReason.PRECISION: "the gradient is what rounding of the parameters makes of zero: their dtype ends here",
    StopReason.STUCK: "three steps in a row did not move the parameters, though the gradient is not zero to rounding",
    StopReason.ITERATIONS: "max_iterations were made",
    StopReason.NOT_FINITE: "the value or the gradient is not finite",
}


class Solution(NamedTuple):
    """Where `solve` stopped, and why."""

    params: PyTree
    value: Array  # the function there
    gradient_norm: Array  # the Euclidean norm of its gradient there
    iterations: Array  # int32, steps of the optimizer
    evaluations: Array  # int32, evaluations of the function, most with its gradient, line searches included
    converged: Array  # whether the reason is GRADIENT, or without `tol` PRECISION
    reason: Array  # int32, a `StopReason`
    state: Any  # the optimizer's

    @property
    def message(self) -> str:
        """The reason as a sentence."""
        return MESSAGES[StopReason(int(self.reason))]


class Progress(NamedTuple):
    """A solve in progress."""

    params: PyTree
    state: Any
    value: Array
    grad: PyTree
    norm: Array
    iterations: Array
    evaluations: Array
    idle: Array  # steps in a row without a move
    curvature: Array  # the largest ||change of grad|| / ||change of params|| lately; one k moves ago counts 2^-k
    least_tol: Array
    tol: Array


def solve(
    fun: Callable[..., ArrayLike], params: PyTree, tx: TransformationLike = LBFGS, *, tol: ArrayLike | None = None,
    max_iterations: ArrayLike = 1000, args: tuple[Any, ...] = (), progress: bool = False,
) -> Solution:  # fmt: skip
    """Minimise `fun(params, *args)`, the same smooth function at every step.

        solution = gradtx.solve(loss, params, args=(images, labels))

    It stops at ||gradient|| <= tol, after max_iterations, where value or gradient are not finite, and where three
    steps in a row moved no parameter by more than its rounding; the reason says which. The last is PRECISION, an end
    at which nothing better can be had, where moving the parameters by four times their rounding changes the gradient
    by as much as it is, or where a step along it changes the value by no more than rounding; else it is STUCK. The loop
    runs in one compiled program, which is reused for another call with the same `fun` and arguments of the same types;
    it also works inside `jax.jit` and `jax.vmap`.

    By default tol follows the units of `fun` and `params`, and the coarsest dtype of `params`: it is

        max(eps, 1e-12) L ||params||,   L = the largest ||change of gradient|| / ||change of params|| lately

    which is what a relative error of eps (1e-12 in float64) in the parameters may leave of the gradient, and at
    least eps^2 times the first gradient's norm.

    Args:
        fun: a hashable function to a real scalar.
        params: where to start.
        tx: an optimizer; it gets value, grad and value_fn, and a line search stands last in it.
        tol: at least 0, on the Euclidean norm of the gradient, in its unit; None for the one above.
        max_iterations: at least 0.
        args: what else `fun` takes.
        progress: whether to show a bar, with tqdm.

    Returns:
        A `Solution(params, value, gradient_norm, iterations, evaluations, converged, reason, state)`, with the
        reason as a sentence in `message`.

    Raises:
        TypeError: `fun` is no function, or a parameter no floating-point or complex array.
        ImportError: `progress` without tqdm.
    """
    if not callable(fun):
        raise TypeError(f"solve: fun must be a function of the parameters, got {fun!r}")
    params = jax.tree.map(jnp.asarray, params)
    check_leaves("solve", params)
    optimizer = as_transformation(tx)
    now = _start(fun, optimizer, params, args, tol)
    limit = jnp.asarray(max_iterations, jnp.int32)
    if progress:
        now = _with_bar(partial(_advance, fun, optimizer, args, tol is None), now, int(limit))
    else:
        now = _advance(fun, optimizer, args, tol is None, now, limit)
    return _end(fun, args, now, tol)


@partial(jax.jit, static_argnums=0)
def _start(fun: Callable[..., Any], tx: Any, params: PyTree, args: tuple[Any, ...], tol: ArrayLike | None) -> Progress:
    # Inside `shard_map`, devices whose losses differ solve each its own.
    params = settled(lambda params: vary_with(params, fun(params, *args)), params)
    value, grad = jax.value_and_grad(fun)(params, *args)
    value = precision.cast(value, precision.scalar_dtype(params))
    norm, none = _norm(grad, value), jnp.zeros((), jnp.int32)
    flat = jnp.zeros_like(value)
    small = _eps(params) ** 2 * norm if tol is None else precision.cast(tol, value.dtype)
    return Progress(params, tx.init(params), value, grad, norm, none, none + 1, none, flat, small, small)


@partial(jax.jit, static_argnums=(0, 3))
def _advance(fun: Callable[..., Any], tx: Any, args: Any, follow: bool, now: Progress, until: Array) -> Progress:
    """The solve at iteration `until`, or where it has ended before."""
    loss = lambda params: fun(params, *args)

    def step(now: Progress) -> Progress:
        downhill = jax.tree.map(jnp.conj, now.grad)
        extra = dict(value=now.value, grad=now.grad, value_fn=loss)
        params, state = take_step(tx, now.params, now.state, downhill, **extra)
        value, grad, evaluations = _evaluated(loss, params, state)
        value = precision.cast(value, now.value.dtype)
        moves = [jnp.any(jnp.abs(x - y) > _spacing(y)) for x, y in _leaves(params, now.params)]
        idle = jnp.where(jnp.any(jnp.stack(moves)), 0, now.idle + 1)
        norm, curvature, tol = _norm(grad, value), now.curvature, now.tol
        if follow:
            latest = _secant(params, grad, now)[1]
            curvature = jnp.where(idle == 0, jnp.maximum(latest, curvature / 2), curvature)
            size = precision.cast(tree.scaled_norm(params), value.dtype)
            tol = jnp.maximum(now.least_tol, max(_eps(params), 1e-12) * curvature * size)
        count = now.iterations + 1, now.evaluations + evaluations, idle
        return Progress(params, state, value, grad, norm, *count, curvature, now.least_tol, tol)

    return jax.lax.while_loop(lambda now: going_on(now) & (now.iterations < until), step, together(now))


@partial(jax.jit, static_argnums=0)
def _end(fun: Callable[..., Any], args: tuple[Any, ...], now: Progress, tol: ArrayLike | None) -> Solution:
    """The solution, and why the loop ended there."""
    finite = jnp.isfinite(now.value) & jnp.isfinite(now.norm)
    small = (now.norm <= now.tol) & finite
    idle = ~small & finite & (now.idle >= PATIENCE)

    def at_rounding() -> Array:
        """Whether a move downhill by a few roundings undoes the gradient, or a step of it is lost in the value's."""
        downhill = lambda p, g: p - times(4 * _spacing(p), precision.cast(sign(jnp.conj(g)), p.dtype))
        there = jax.tree.map(downhill, now.params, now.grad)
        change, curvature = _secant(there, jax.grad(fun)(there, *args), now)
        fall, eps = now.norm * safe_divide(now.norm, 2 * curvature), float(jnp.finfo(now.value.dtype).eps)
        return (now.norm <= change) | ((curvature > 0) & (fall <= 4 * eps * jnp.abs(now.value)))

    rounded = jax.lax.cond(idle, at_rounding, lambda: jnp.zeros_like(idle))
    reason = jnp.where(
        small, StopReason.GRADIENT,
        jnp.where(
            ~finite, StopReason.NOT_FINITE,
            jnp.where(idle, jnp.where(rounded, StopReason.PRECISION, StopReason.STUCK), StopReason.ITERATIONS),
        ),
    ).astype(jnp.int32)  # fmt: skip
    converged = small | ((reason == StopReason.PRECISION) & (tol is None))
    evaluations = now.evaluations + idle.astype(jnp.int32)
    return Solution(now.params, now.value, now.norm, now.iterations, evaluations, converged, reason, now.state)


def going_on(now: Progress) -> Array:
    """Whether another step may help."""
    return (now.norm > now.tol) & jnp.isfinite(now.value) & jnp.isfinite(now.norm) & (now.idle < PATIENCE)


def _evaluated(loss: Callable[[PyTree], Array], params: PyTree, state: Any) -> tuple[Array, PyTree, Array]:
    """Value and gradient at new parameters, from the line search that found them, and the evaluations of the step."""
    searches = searches_in(state)
    spent = sum((x.info.num_linesearch_steps for x in searches), jnp.zeros((), jnp.int32))
    if len(searches) == 1 and searches[0].grad is not None:
        return *reused(loss, params, searches[0]), spent + (~jnp.isfinite(searches[0].value)).astype(jnp.int32)
    return *jax.value_and_grad(loss)(params), spent + 1


def _leaves(x: PyTree, y: PyTree) -> list[tuple[Array, Array]]:
    return [(jnp.zeros(()), jnp.zeros(())), *zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True)]


def _norm(grad: PyTree, value: Array) -> Array:
    return precision.cast(tree.scaled_norm(grad), value.dtype)


def _eps(params: PyTree) -> float:
    """The relative rounding of the coarsest parameter."""
    return max((float(jnp.finfo(x.dtype).eps) for x in jax.tree.leaves(params)), default=0.0)


def _spacing(x: Array) -> Array:
    """The rounding of each number, about."""
    return jnp.abs(x) * jnp.asarray(float(jnp.finfo(x.dtype).eps), precision.real_dtype(x.dtype))


def _secant(params: PyTree, grad: PyTree, before: Progress) -> tuple[Array, Array]:
    """||change of gradient||, and what it is for each unit of ||change of params||."""
    change = lambda new, old: _norm(tree.difference(new, old), before.value)
    of_grad = change(grad, before.grad)
    return of_grad, safe_divide(of_grad, change(params, before.params))


def _with_bar(advance: Callable[..., Progress], now: Progress, limit: int) -> Progress:
    """`advance` in chunks, with a bar between them."""
    from tqdm import tqdm

    with tqdm(total=limit, desc="solve") as bar:
        while int(now.iterations) < limit and bool(going_on(now)):
            now = advance(now, jnp.minimum(now.iterations + CHUNK, limit))
            bar.update(int(now.iterations) - bar.n)
            bar.set_postfix(value=f"{float(now.value):.6g}", gradient=f"{float(now.norm):.2g}")
    return now
