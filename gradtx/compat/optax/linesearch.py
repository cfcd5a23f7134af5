"""Optax's line searches: gradtx's, which print what went wrong where asked, and refuse arguments that nobody takes."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from gradtx.compat.optax.base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    OptState,
    Params,
    PyTree,
    Updates,
    expose,
)
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.tree_search import tree_get
from gradtx.core.typing import Array
from gradtx.search import backtracking, zoom
from gradtx.search.line import reused, slope

ArrayLike: TypeAlias = jax.typing.ArrayLike

FLAG_NOT_A_DESCENT_DIRECTION = "line search: the loss does not fall along the updates"
FLAG_NO_STEPSIZE_FOUND = "line search: no step with a sufficient decrease was found"
FLAG_CURVATURE_COND_NOT_SATISFIED = "line search: the step decreases the loss, but its slope is still too steep"
FLAG_INTERVAL_NOT_FOUND = "line search: the steepness cannot be met up to the longest step"
FLAG_INTERVAL_TOO_SMALL = "line search: the interval searched fell below the precision asked for"


class Kept(NamedTuple):
    """What a line search left in the state."""

    value: Any
    grad: PyTree


@remembered
def scale_by_backtracking_linesearch(
    max_backtracking_steps: int, slope_rtol: float = 1e-4, decrease_factor: float = 0.8, increase_factor: float = 1.5,
    max_learning_rate: float = 1.0, atol: float = 0.0, rtol: float = 0.0, store_grad: bool = False,
    verbose: bool = False,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """Scale updates by a step that lets the loss fall enough; see `gradtx.scale_by_backtracking_linesearch`.

    Args:
        max_backtracking_steps: how often a step is made shorter.
        slope_rtol: the share of the slope that the loss has to follow.
        decrease_factor: by which a step is made shorter.
        increase_factor: how much longer than the last step the first one is.
        max_learning_rate: the longest step.
        atol: how much the decrease may be missed.
        rtol: the same relative to the loss.
        store_grad: whether the gradient at the end is kept.
        verbose: whether a search that fails is printed.

    Raises:
        TypeError: from `update`, for an extra argument that `value_fn` does not take.
    """
    make = backtracking.scale_by_backtracking_linesearch
    names: dict[str, Any] = dict(
        slope_rtol=slope_rtol, decrease_factor=decrease_factor, increase_factor=increase_factor,
        max_learning_rate=max_learning_rate, atol=atol, rtol=rtol, store_grad=store_grad,
        relative=False,
    )  # fmt: skip

    def failures(state: OptState, slope: Array) -> dict[str, Array]:
        return {FLAG_NO_STEPSIZE_FOUND: state.info.decrease_error > atol}

    return _search(make.__name__, expose(make, max_backtracking_steps, **names), failures if verbose else None)


@remembered
def scale_by_zoom_linesearch(
    max_linesearch_steps: int, max_learning_rate: float | None = None, tol: float = 0.0, increase_factor: float = 2.0,
    slope_rtol: float = 1e-4, curv_rtol: float = 0.9, approx_dec_rtol: float | None = 1e-6,
    stepsize_precision: float = 1e-5, initial_guess_strategy: str = "keep", verbose: bool = False,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """Scale updates by a step that satisfies the strong Wolfe conditions; see `gradtx.scale_by_zoom_linesearch`.

    Where none with a decrease is found, the step is 0; Optax takes the last one tried.

    Args:
        max_linesearch_steps: how often the loss is evaluated.
        max_learning_rate: the longest step, or None.
        tol: up to which the conditions hold.
        increase_factor: how much longer each step is until one is too long.
        slope_rtol: the share of the slope that the loss has to follow.
        curv_rtol: the share of the slope that may be left.
        approx_dec_rtol: where the approximate condition of decrease may be used, or None.
        stepsize_precision: the interval below which the best step is taken.
        initial_guess_strategy: "keep" tries the last step first, "one" 1.
        verbose: whether a search that fails is printed.

    For complex parameters `update` takes as `grad` the conjugate of what `jax.grad` gives, and the state keeps what
    `jax.grad` gives.

    Raises:
        TypeError: from `update`, for an extra argument that `value_fn` does not take.
    """
    make = zoom.scale_by_zoom_linesearch
    names: dict[str, Any] = dict(
        max_learning_rate=max_learning_rate, tol=tol, increase_factor=increase_factor, slope_rtol=slope_rtol,
        curv_rtol=curv_rtol, approx_dec_rtol=approx_dec_rtol, stepsize_precision=stepsize_precision,
        initial_guess_strategy=initial_guess_strategy, relative=False,
    )  # fmt: skip
    longest = jnp.inf if max_learning_rate is None else max_learning_rate

    def failures(state: OptState, slope: Array) -> dict[str, Array]:
        steps, decrease_error, curvature_error = state.info
        steep = (decrease_error <= tol) & (curvature_error > tol)
        at_end = state.learning_rate >= longest
        return {
            FLAG_NOT_A_DESCENT_DIRECTION: slope >= 0,
            FLAG_NO_STEPSIZE_FOUND: decrease_error > tol,
            FLAG_CURVATURE_COND_NOT_SATISFIED: steep,
            FLAG_INTERVAL_NOT_FOUND: steep & at_end,
            FLAG_INTERVAL_TOO_SMALL: steep & ~at_end & (steps < max_linesearch_steps),
        }

    tx = expose(make, max_linesearch_steps, **names)

    def init(params: Params) -> OptState:
        state = tx.init(params)
        infinite = jnp.full((), jnp.inf, jnp.result_type(float))
        return state._replace(info=state.info._replace(decrease_error=infinite, curvature_error=infinite))

    return _search(make.__name__, tx._replace(init=init), failures if verbose else None, conjugated=True)


def value_and_grad_from_state(value_fn: Callable[..., ArrayLike]) -> Callable[..., tuple[Array, PyTree]]:
    """`jax.value_and_grad(value_fn)` that takes both from the state of the line search that has just found them.

    Args:
        value_fn: a function of the parameters, and of more arguments, that gives a real scalar.

    Returns:
        A function `(params, *fn_args, state=state, **fn_kwargs)` to the value and the gradient.

    Raises:
        ValueError: from that function, if the state keeps no value or no gradient.
        KeyError: from that function, if it keeps several.
    """

    def value_and_grad(params: Params, *fn_args: Any, state: OptState, **fn_kwargs: Any) -> tuple[Array, PyTree]:
        kept = Kept(tree_get(state, "value"), tree_get(state, "grad"))
        if kept.value is None or kept.grad is None:
            raise ValueError(
                "value_and_grad_from_state: the state keeps no value or no gradient; scale_by_zoom_linesearch keeps "
                "both, and so does scale_by_backtracking_linesearch with store_grad=True"
            )
        return reused(lambda p: jnp.asarray(value_fn(p, *fn_args, **fn_kwargs)), params, kept)

    return value_and_grad


def _search(
    name: str, tx: GradientTransformation, failures: Callable[[OptState, Array], dict[str, Array]] | None,
    conjugated: bool = False,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """The line search under Optax's signature; `failures` gives the sentences to print, and when they are true.

    Of complex parameters, gradtx's searches take the gradient as `jax.grad` gives it. `conjugated` says that this one
    is given its conjugate, which is also what goes in as the updates.
    """

    def update(
        updates: Updates, state: OptState, params: Params, *, value: ArrayLike, grad: PyTree,
        value_fn: Callable[..., ArrayLike], **extra_args: Any,
    ) -> tuple[Updates, OptState]:  # fmt: skip
        unknown = _unknown(value_fn, extra_args)
        if unknown:
            raise TypeError(f"Unexpected keyword arguments for {name}: value_fn does not take {', '.join(unknown)}")
        grad = jax.tree.map(jnp.conj, grad) if conjugated else grad
        new, state = tx.update(updates, state, params, value=value, grad=grad, value_fn=value_fn, **extra_args)
        if failures is not None:
            for sentence, true in failures(state, slope(grad, updates)).items():
                jax.lax.cond(true, lambda sentence=sentence: jax.debug.print(sentence), lambda: None)
        return new, state

    return GradientTransformationExtraArgs(tx.init, update)


def _unknown(value_fn: Callable[..., Any], extra_args: dict[str, Any]) -> list[str]:
    """The extra arguments that a function does not take."""
    parameters = inspect.signature(value_fn).parameters.values()
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        return []
    return [name for name in extra_args if name not in {p.name for p in parameters}]
