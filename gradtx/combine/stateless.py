"""Transformations without state, from a function."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import jax

from gradtx.core import errors
from gradtx.core.functions import IsFunction, taken_by
from gradtx.core.leafwise import Leafwise, leafwise
from gradtx.core.states import EmptyState
from gradtx.core.transformation import Pair, transformation
from gradtx.core.typing import Array, PyTree


@transformation
def stateless(f: Annotated[Callable[..., PyTree], IsFunction("(updates, params) -> updates", least=1, most=2)]) -> Pair:
    """A transformation from a function of the whole tree of updates.

    Args:
        f: `(updates, params) -> updates`, or `updates -> updates`. It sees float32 or wider, and must keep the tree
            and its shapes; `params` is None where they are not given.

    State: `EmptyState()`.

    Raises:
        ValueError: from `update`, where f's result has another tree or other shapes.
    """
    both = _second(f) is not None

    def init(params: PyTree) -> EmptyState:
        return EmptyState()

    def update(updates: PyTree, state: Any, params: PyTree = None) -> tuple[PyTree, Any]:
        new = f(updates, params) if both else f(updates)
        if jax.tree.structure(new, is_leaf=errors.is_none) != jax.tree.structure(updates, is_leaf=errors.is_none):
            errors.structure_mismatch("stateless", "the function's result", updates, new)
        for (path, g), u in zip(jax.tree_util.tree_leaves_with_path(updates), jax.tree.leaves(new), strict=True):
            errors.check_same_shape("stateless", "the function's result", path, g, u)
        return new, state

    return Pair(init, update, "numbers", EmptyState, theirs=True)


@transformation
def stateless_leafwise(f: Annotated[Callable[..., Any], IsFunction("(g, p) -> u", least=1, most=2)]) -> Leafwise:
    """A transformation from a function of one array: a rule without state and without hyperparameters.

        clip_relative = gradtx.stateless_leafwise(lambda g, p: jnp.clip(g, -abs(p), abs(p)))

    Args:
        f: `(g, p) -> u`, or `g -> u`, arrays of one leaf in float32 or wider.

    State: `EmptyState()`.

    Raises:
        ValueError: from `update` without params, where f takes p and has no default for it.
    """

    def alone(g: Array) -> Any:
        return f(g)

    def with_params(g: Array, p: Array) -> Any:
        return f(g, p)

    def with_params_or_none(g: Array, p: Array | None = None) -> Any:
        return f(g, p)

    second = _second(f)
    if second is None:
        return leafwise(alone)
    return leafwise(with_params if second.default is inspect.Parameter.empty else with_params_or_none)


def _second(f: Callable[..., Any]) -> inspect.Parameter | None:
    """A function's second positional parameter."""
    takes = taken_by(f)
    return takes.positional[1] if takes and len(takes.positional) > 1 else None
