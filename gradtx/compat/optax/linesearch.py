"""Optax's line searches: gradtx's, which print what went wrong where asked, and refuse arguments that nobody takes."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import gradtx
from gradtx.compat.optax.base import OptState, Pair, Params, PyTree, Updated, Updates
from gradtx.compat.optax.table import Make, translation
from gradtx.compat.optax.tree_search import tree_get
from gradtx.core.typing import Array
from gradtx.search.line import reused, slope

ArrayLike = jax.typing.ArrayLike
FLAG_NOT_A_DESCENT_DIRECTION = "line search: the loss does not fall along the updates"
FLAG_NO_STEPSIZE_FOUND = "line search: no step with a sufficient decrease was found"
FLAG_CURVATURE_COND_NOT_SATISFIED = "line search: the step decreases the loss, but its slope is still too steep"
FLAG_INTERVAL_NOT_FOUND = "line search: the steepness cannot be met up to the longest step"
FLAG_INTERVAL_TOO_SMALL = "line search: the interval searched fell below the precision asked for"


class Kept(NamedTuple):
    """What a line search left in the state."""

    value: Any
    grad: PyTree


@translation(
    """max_backtracking_steps:int! slope_rtol:float decrease_factor:float increase_factor:float max_learning_rate:float
    atol:float rtol:float store_grad verbose>-=False""",
    gradtx.scale_by_backtracking_linesearch,
)
def scale_by_backtracking_linesearch(make: Make, atol: float, verbose: bool, **_: Any) -> Pair:
    """Scale updates by a step that lets the loss fall enough; `verbose` prints a search that fails.

    An extra argument of `update` that `value_fn` does not take is a TypeError.
    """

    def failures(state: OptState, slope: Array) -> dict[str, Array]:
        return {FLAG_NO_STEPSIZE_FOUND: state.info.decrease_error > atol}

    return _search("scale_by_backtracking_linesearch", make(relative=False), failures if verbose else None)


@translation(
    """max_linesearch_steps:int! max_learning_rate:float tol:float increase_factor:float slope_rtol:float
    curv_rtol:float approx_dec_rtol:real stepsize_precision:float initial_guess_strategy verbose>-=False""",
    gradtx.scale_by_zoom_linesearch,
)
def scale_by_zoom_linesearch(
    make: Make, max_linesearch_steps: int, max_learning_rate: float | None, tol: float, verbose: bool, **_: Any
) -> Pair:
    """Scale updates by a step that satisfies the strong Wolfe conditions; `verbose` prints a search that fails.

    Where none with a decrease is found, the step is 0; Optax takes the last one tried. For complex parameters `update`
    takes as `grad` the conjugate of what `jax.grad` gives, and the state keeps what `jax.grad` gives. An extra
    argument of `update` that `value_fn` does not take is a TypeError.
    """
    own = make(relative=False)
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

    def init(params: Params) -> OptState:
        state = own.init(params)
        infinite = jnp.full((), jnp.inf, jnp.result_type(float))
        return state._replace(info=state.info._replace(decrease_error=infinite, curvature_error=infinite))

    return _search("scale_by_zoom_linesearch", own._replace(init=init), failures if verbose else None, conjugated=True)


def value_and_grad_from_state(value_fn: Callable[..., ArrayLike]) -> Callable[..., tuple[Array, PyTree]]:
    """`jax.value_and_grad(value_fn)` that takes both from the state of the line search that has just found them.

    It is called with `(params, *fn_args, state=state, **fn_kwargs)`.

    Raises:
        ValueError: from that call, if the state keeps no value or no gradient.
        KeyError: from that call, if it keeps several.
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
    name: str, tx: Pair, failures: Callable[[OptState, Array], dict[str, Array]] | None, conjugated: bool = False
) -> Pair:
    """The line search under Optax's signature; `failures` gives the sentences to print, and when they are true.

    Of complex parameters, gradtx's searches take the gradient as `jax.grad` gives it. `conjugated` says that this one
    is given its conjugate, which is also what goes in as the updates.
    """

    def update(
        updates: Updates, state: OptState, params: Params, *, value: ArrayLike, grad: PyTree,
        value_fn: Callable[..., ArrayLike], **extra_args: Any,
    ) -> Updated:  # fmt: skip
        unknown = _unknown(value_fn, extra_args)
        if unknown:
            raise TypeError(f"Unexpected keyword arguments for {name}: value_fn does not take {', '.join(unknown)}")
        grad = jax.tree.map(jnp.conj, grad) if conjugated else grad
        new, state = tx.update(updates, state, params, value=value, grad=grad, value_fn=value_fn, **extra_args)
        if failures is not None:
            for sentence, true in failures(state, slope(grad, updates)).items():
                jax.lax.cond(true, lambda sentence=sentence: jax.debug.print(sentence), lambda: None)
        return new, state

    return Pair(tx.init, update)


def _unknown(value_fn: Callable[..., Any], extra_args: dict[str, Any]) -> list[str]:
    """The extra arguments that a function does not take."""
    takes = inspect.signature(value_fn).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in takes.values())
    return [] if takes_all else [name for name in extra_args if name not in takes]
