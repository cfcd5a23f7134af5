"""Solving a smooth problem: the loop around an optimizer that sees all the data at each step."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gradtx.core import precision, tree
from gradtx.core.apply import step as take_step
from gradtx.core.transformation import as_transformation
from gradtx.core.typing import Array, ArrayLike, PyTree, TransformationLike
from gradtx.search.lbfgs import lbfgs
from gradtx.search.line import check_leaves, reused, searches_in

CHUNK = 20  # iterations between two moves of the progress bar
LBFGS = lbfgs()
PATIENCE = 3  # steps in a row that do not move the parameters, after which nothing will


class Solution(NamedTuple):
    """Where `solve` stopped."""

    params: PyTree
    value: Array  # the function there
    gradient_norm: Array  # the Euclidean norm of its gradient there
    iterations: Array  # int32, steps of the optimizer
    evaluations: Array  # int32, evaluations of the function, most with its gradient, line searches included
    converged: Array  # whether gradient_norm <= tol
    state: Any  # the optimizer's


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


def solve(
    fun: Callable[..., ArrayLike], params: PyTree, tx: TransformationLike = LBFGS, *, tol: ArrayLike = 1e-5,
    max_iterations: ArrayLike = 1000, args: tuple[Any, ...] = (), progress: bool = False,
) -> Solution:  # fmt: skip
    """Minimise `fun(params, *args)`, the same smooth function at every step.

        solution = gradtx.solve(loss, params, args=(images, labels))

    It stops at ||gradient|| <= tol, after max_iterations, where value or gradient are not finite, and where three
    steps in a row did not move. The loop runs in one compiled program, which is reused for another call with the same
    `fun` and arguments of the same types; it also works inside `jax.jit` and `jax.vmap`.

    Args:
        fun: a hashable function to a real scalar.
        params: where to start.
        tx: an optimizer; it gets value, grad and value_fn, and a line search stands last in it.
        tol: at least 0, on the Euclidean norm of the gradient.
        max_iterations: at least 0.
        args: what else `fun` takes.
        progress: whether to show a bar, with tqdm.

    Returns:
        A `Solution(params, value, gradient_norm, iterations, evaluations, converged, state)`.

    Raises:
        TypeError: `fun` is no function, or a parameter no floating-point or complex array.
        ImportError: `progress` without tqdm.
    """
    if not callable(fun):
        raise TypeError(f"solve: fun must be a function of the parameters, got {fun!r}")
    params = jax.tree.map(jnp.asarray, params)
    check_leaves("solve", params)
    optimizer = as_transformation(tx)
    now = _start(fun, optimizer, params, args)
    limit = jnp.asarray(max_iterations, jnp.int32)
    if progress:
        now = _with_bar(partial(_advance, fun, optimizer, args), now, tol, int(limit))
    else:
        now = _advance(fun, optimizer, args, now, tol, limit)
    return Solution(now.params, now.value, now.norm, now.iterations, now.evaluations, now.norm <= tol, now.state)


@partial(jax.jit, static_argnums=0)
def _start(fun: Callable[..., Any], tx: Any, params: PyTree, args: tuple[Any, ...]) -> Progress:
    value, grad = jax.value_and_grad(fun)(params, *args)
    value = precision.cast(value, precision.scalar_dtype(params))
    none = jnp.zeros((), jnp.int32)
    return Progress(params, tx.init(params), value, grad, _norm(grad, value), none, none + 1, none)


@partial(jax.jit, static_argnums=0)
def _advance(fun: Callable[..., Any], tx: Any, args: Any, now: Progress, tol: ArrayLike, until: Array) -> Progress:
    """The solve at iteration `until`, or where it has ended before."""
    loss = lambda params: fun(params, *args)

    def step(now: Progress) -> Progress:
        downhill = jax.tree.map(jnp.conj, now.grad)
        extra = dict(value=now.value, grad=now.grad, value_fn=loss)
        params, state = take_step(tx, now.params, now.state, downhill, **extra)
        value, grad, evaluations = _evaluated(loss, params, state)
        value = precision.cast(value, now.value.dtype)
        moved = jnp.any(jnp.stack([jnp.any(x != y) for x, y in _leaves(params, now.params)]))
        idle = jnp.where(moved, 0, now.idle + 1)
        return Progress(
            params, state, value, grad, _norm(grad, value), now.iterations + 1, now.evaluations + evaluations, idle
        )

    return jax.lax.while_loop(lambda now: going_on(now, tol) & (now.iterations < until), step, now)


def going_on(now: Progress, tol: ArrayLike) -> Array:
    """Whether another step may help."""
    return (now.norm > tol) & jnp.isfinite(now.value) & jnp.isfinite(now.norm) & (now.idle < PATIENCE)


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
    return precision.cast(tree.norm(grad), value.dtype)


def _with_bar(advance: Callable[..., Progress], now: Progress, tol: ArrayLike, limit: int) -> Progress:
    """`advance` in chunks, with a bar between them."""
    from tqdm import tqdm

    with tqdm(total=limit, desc="solve") as bar:
        while int(now.iterations) < limit and bool(going_on(now, tol)):
            now = advance(now, tol, jnp.minimum(now.iterations + CHUNK, limit))
            bar.update(int(now.iterations) - bar.n)
            bar.set_postfix(value=f"{float(now.value):.6g}", gradient=f"{float(now.norm):.2g}")
    return now
