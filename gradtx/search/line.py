"""What line searches share: the loss along a line, their arguments, and reuse of what they found."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, TypeAlias, cast

import jax
import jax.numpy as jnp

from gradtx.core import checks, errors, extras, precision, tree
from gradtx.core.apply import apply_updates
from gradtx.core.averages import divide_up_to
from gradtx.core.errors import is_none
from gradtx.core.fields import NumberMark, field_of
from gradtx.core.leafwise import leafwise
from gradtx.core.loops import either
from gradtx.core.slots import like
from gradtx.core.states import EmptyState
from gradtx.core.typing import Array, ArrayLike, Extra, PyTree
from gradtx.core.varying import settled
from gradtx.core.walk import outermost

Loss = Callable[[PyTree], Array]


class FoundMark(NumberMark):
    """Marks the loss where a line search stopped, in a state that has the gradient there in `grad`."""


FoundValue: TypeAlias = Annotated[Array, FoundMark()]
"""The type of a field with the loss where a line search stopped."""


class Line(NamedTuple):
    """The loss on the line theta + step u, and where it starts."""

    loss: Loss
    params: PyTree
    updates: PyTree
    value: Array  # at step 0
    slope: Array  # at step 0
    grad: PyTree  # at step 0, as `jax.grad` gives it

    def point(self, step: Array) -> PyTree:
        """theta + step u."""
        return apply_updates(self.params, tree.map_given(lambda u: times(step, u), self.updates))

    def at(self, step: Array) -> tuple[Array, Array, PyTree]:
        """The loss at a step, its derivative there by the step, and its gradient."""
        value, grad = jax.value_and_grad(self.loss)(self.point(step))
        return precision.cast(value, self.value.dtype), slope(grad, self.updates), grad


def least_of_parabola(value: ArrayLike | None, slope: Array, otherwise: ArrayLike) -> Array:
    """2 |f| / slope, where a parabola that is 0 at its least has it.

    f is the loss, and falls by slope >= 0 for each unit. `otherwise` is for a loss that is 0, not finite, or None, and
    for a slope of 0.
    """
    if value is None:
        return jnp.full_like(slope, otherwise)
    size = 2 * jnp.abs(precision.cast(value, slope.dtype))
    known = (size > 0) & jnp.isfinite(size) & (slope > 0)
    least = divide_up_to(jnp.where(known, size, 1), slope, float(jnp.finfo(slope.dtype).max))
    return jnp.where(known, least, otherwise)


def first_length(params: PyTree, value: ArrayLike | None, slope: Array, part: float = 1.0) -> Array:
    """How far to go first, where no more is known than the loss f, and by how much it falls for each unit of length.

    min(2 |f| / slope, part ||params||), of those that are above 0, and 1 without any. Another unit of the loss or of
    the parameters does not change where that leads.
    """
    size = part * precision.cast(tree.scaled_norm(params), slope.dtype)
    known = (size > 0) & jnp.isfinite(size)
    length = least_of_parabola(value, slope, jnp.where(known, size, 1))
    return jnp.where(known, jnp.minimum(length, size), length)


def times(factor: Array, x: Array) -> Array:
    """A real number times an array of any dtype."""
    return precision.cast(factor, x.dtype) * x


def slope(grad: PyTree, updates: PyTree) -> Array:
    """The derivative of the loss along `updates`; a complex `grad` is what `jax.grad` gives, dL/dx - i dL/dy."""
    return tree.sum_of(lambda g, u: g * u, grad, updates)


def start_line(
    name: str, updates: PyTree, params: PyTree, state: Any, extra: Extra, *, keeps_grad: bool = True
) -> Line:
    """The line that a call of `update` asks for, without derivatives of its own: a step is a number.

    Raises:
        TypeError: `value`, `grad` or `value_fn` is missing.
        ValueError: `params` is missing, or a tree is not that of `params`.
    """
    given = {argument: extras.given(name, argument, extra) for argument in ("value", "grad", "value_fn")}
    errors.check_params(name, params)
    if state.grad is not None or keeps_grad:
        checks.check_tree(name, "the state's grad", params, state.grad)
    loss = bound(name, extra)
    grad = filled(name, "grad", params, given["grad"])
    updates = matched(name, "updates", params, updates)
    grad = jax.tree.map(lambda g, p: precision.cast(g, p.dtype), grad, params)
    params, updates, grad = jax.lax.stop_gradient((params, updates, grad))
    wide = precision.compute_dtype(state.value.dtype)
    value = jax.lax.stop_gradient(precision.cast(extras.one_number(name, "value", given["value"]), wide))
    return Line(loss, params, updates, value, precision.cast(slope(grad, updates), value.dtype), grad)


def bound(name: str, extra: Extra) -> Loss:
    """`value_fn` with the extra arguments that it takes; the others are for other links of the chain.

    Raises:
        TypeError: it is missing or no function.
    """
    value_fn = extras.function(name, "value_fn", extra)
    rest = {k: v for k, v in extra.items() if k not in ("value", "grad", "value_fn")}
    parameters = inspect.signature(value_fn).parameters.values()
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        rest = {k: v for k, v in rest.items() if k in {p.name for p in parameters}}
    return lambda params: cast(Array, extras.one_number(name, "what value_fn gives", value_fn(params, **rest)))


def matched(name: str, other: str, params: PyTree, given: PyTree) -> PyTree:
    """`given`, of the tree of `params`; a leaf of it may be None."""
    leaves, treedef = jax.tree.flatten(params, is_leaf=is_none)
    try:
        found = treedef.flatten_up_to(given)
    except ValueError:
        errors.structure_mismatch(name, *(("params", given, params) if other == "updates" else (other, params, given)))
    for path, p, x in zip(errors.paths_of(params), leaves, found, strict=True):
        if x is not None:
            errors.check_inexact(name, other, path, x)
        if p is not None and x is not None and jnp.shape(p) != jnp.shape(x):
            raise ValueError(
                f"{name}: params and {other} differ at {errors.path_str(path)}: {jnp.shape(p)} != {jnp.shape(x)}"
            )
    return treedef.unflatten(found)


def filled(name: str, other: str, params: PyTree, given: PyTree) -> PyTree:
    """`given`, of the tree of `params`, with zeros for each None."""
    zeros = lambda p, x: jnp.zeros_like(p) if x is None else x
    return tree.map_given(zeros, params, matched(name, other, params, given))


def check_leaves(name: str, params: PyTree, *, real_only: bool = False) -> None:
    """Refuse parameters that are no floating-point or complex arrays."""
    for path, p in jax.tree_util.tree_leaves_with_path(params):
        errors.check_inexact(name, "parameter", path, p, real_only=real_only)


def zeros_like(params: PyTree) -> PyTree:
    """Zeros of the types and shardings of the parameters."""
    return jax.tree.map(lambda p: like(p, p.dtype, value=0), params)


def scaled(step: Array, updates: PyTree) -> PyTree:
    """u <- step u, and zero for a step of 0 whatever u is."""
    return leafwise(step_rule, step_size=step).named("linesearch").update(updates, EmptyState())[0]


def step_rule(g: Array, *, step_size: Array) -> Array:
    """u = step_size g, and 0 for a step size of 0, whatever g is."""
    return jnp.where(step_size == 0, 0, times(step_size, g))


def is_search(x: Any) -> bool:
    """Whether `x` is a line search's state: what declares the loss where a search stopped."""
    return field_of(type(x), FoundMark) is not None


def searches_in(state: Any) -> list[Any]:
    """The line searches' states in a state."""
    return outermost(state, is_search)


def value_and_grad_from_state(value_fn: Callable[..., ArrayLike]) -> Callable[..., tuple[Array, PyTree]]:
    """`jax.value_and_grad(value_fn)` that takes both from the state of the line search that has just found them.

        value_and_grad = gradtx.value_and_grad_from_state(loss)
        value, grad = value_and_grad(params, state=state)
        updates, state = tx.update(grad, state, params, value=value, grad=grad, value_fn=loss)

    Right where the loss is the same at each step, and the search stands last in the chain, so that the parameters
    are where it stopped. Before the first step, and where the value is not finite, `value_fn` is evaluated. The
    gradient is that of `jax.grad`; for complex parameters, its conjugate is what goes in as the updates.

    Args:
        value_fn: a function of the parameters, and of more arguments, that gives a real scalar.

    Returns:
        A function `(params, *args, state=state, **kwargs)` to the value and the gradient.

    Raises:
        ValueError: from that function, if no line search in the state keeps its gradient.
        KeyError: from that function, if several do.
    """

    def value_and_grad(params: PyTree, *args: Any, state: Any, **kwargs: Any) -> tuple[Array, PyTree]:
        found = [x for x in searches_in(state) if x.grad is not None]
        if not found:
            raise ValueError(
                "value_and_grad_from_state: no line search in the state keeps a gradient; "
                "scale_by_zoom_linesearch does, and scale_by_backtracking_linesearch with store_grad=True"
            )
        if len(found) > 1:
            raise KeyError(f"value_and_grad_from_state: the state has {len(found)} line searches, wanted one")
        return reused(lambda p: cast(Array, value_fn(p, *args, **kwargs)), params, found[0])

    return value_and_grad


def reused(loss: Loss, params: PyTree, search: Any) -> tuple[Array, PyTree]:
    """Value and gradient that a line search left, or new ones where its value is not finite."""
    kept = (search.value, search.grad)

    def evaluate() -> Any:
        found = jax.value_and_grad(loss)(params)
        return jax.tree.map(lambda x, y: precision.cast(x, y.dtype), found, kept)

    kept = settled(lambda _: evaluate(), kept)
    return either(jnp.isfinite(search.value), lambda: kept, evaluate)
