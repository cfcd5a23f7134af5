"""Conditions: an inner transformation that runs only where a step, or a gradient, allows it."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, TypeAlias

import jax.numpy as jnp

from gradtx.core import precision, tree
from gradtx.core.arguments import Interval
from gradtx.core.degree import of, of_some
from gradtx.core.errors import describe
from gradtx.core.fields import GatedState, RunCount
from gradtx.core.functions import IsFunction, taken_by, try_on_step
from gradtx.core.loops import either
from gradtx.core.rules import increment
from gradtx.core.transformation import GradientTransformation, Inner, Pair, ours, transformation
from gradtx.core.typing import Array, ArrayLike, Extra, PyTree
from gradtx.core.varying import vary_as_all


class IsCondition(IsFunction):
    """A function of the step and, by name, of extra arguments; tried where it takes the step alone."""

    def __init__(self) -> None:
        super().__init__("(step, ...) -> bool", least=1)

    def convert(self, where: str, name: str, x: Any) -> Any:
        x = super().convert(where, name, x)
        takes = taken_by(x)
        if takes and len(takes.positional) == 1 and not (takes.more or takes.named or takes.extra):
            try_on_step(x, gives_bool=True)
        return x


Condition: TypeAlias = Annotated[Callable[..., ArrayLike], IsCondition()]
"""`(step, ...) -> bool`: steps count from 0, and extra arguments of `update` are given by name where it takes them."""

ErrorLimit: TypeAlias = Annotated[ArrayLike, Interval("[0, inf)", integer=True)]
"""A whole number of errors >= 0."""


class ConditionallyTransformState(NamedTuple):
    inner_state: GatedState
    step: RunCount  # calls so far, int32


class ConditionallyMaskState(NamedTuple):
    step: RunCount  # calls so far, int32
    inner_state: GatedState


class ApplyIfFiniteState(NamedTuple):
    notfinite_count: Array  # gradients in a row that were not finite, int32
    last_finite: Array  # whether the last gradient was, bool
    total_notfinite: Array  # all that were not, int32
    inner_state: GatedState


@transformation(degree=of_some)
def conditionally_transform(inner: Inner, should_transform_fn: Condition) -> Pair:
    """Run a transformation at some steps; at the others updates pass through and its state stays.

    Args:
        should_transform_fn: `(step, ...) -> bool`, jittable. Steps count from 0; extra arguments of `update` that it
            names (`lambda step, value: value < 1`) are given to it as well.

    State: `ConditionallyTransformState(inner_state, step)`.
    """
    return _where(should_transform_fn, ours(inner), "conditionally_transform", ConditionallyTransformState)


@transformation(degree=of("inner"))
def conditionally_mask(inner: Inner, should_transform_fn: Condition) -> Pair:
    """Run a transformation at some steps; at the others updates are zero and its state stays.

    Args:
        should_transform_fn: as in `conditionally_transform`.

    State: `ConditionallyMaskState(step, inner_state)`.
    """
    return _where(should_transform_fn, ours(inner), "conditionally_mask", ConditionallyMaskState, tree.where)


@transformation(degree=of("inner"))
def apply_if_finite(inner: Inner, max_consecutive_errors: ErrorLimit) -> Pair:
    """Leave out gradients that hold a NaN or an infinity: zero updates, and the inner state stays.

    After `max_consecutive_errors` such gradients in a row it gives up and lets the next ones through.

    Args:
        max_consecutive_errors: a whole number >= 0; with 0 nothing is left out.

    State: `ApplyIfFiniteState(notfinite_count, last_finite, total_notfinite, inner_state)`, 9 bytes more than inner.
    """
    tx = ours(inner)

    def init(params: PyTree) -> ApplyIfFiniteState:
        zero = lambda: jnp.zeros((), jnp.int32)
        state = ApplyIfFiniteState(zero(), jnp.ones((), jnp.bool_), zero(), tx.init(params))
        return vary_as_all(state, params)

    def update(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> Any:
        finite = tree.all_finite(updates)
        in_a_row = jnp.where(finite, 0, increment(state.notfinite_count))
        total = jnp.where(finite, state.total_notfinite, increment(state.total_notfinite))
        run = finite | (in_a_row > precision.cast(max_consecutive_errors, jnp.int32))
        new, inner_state = update_if(run, tx, updates, state.inner_state, params, extra)
        return tree.where(run, new), ApplyIfFiniteState(in_a_row, finite, total, inner_state)

    return Pair(
        init, update, "arrays", ApplyIfFiniteState, {"notfinite_count": 0, "last_finite": True, "total_notfinite": 0}
    )


def update_if(
    run: Array, tx: GradientTransformation, updates: PyTree, state: Any, params: PyTree, extra: Extra
) -> tuple[PyTree, Any]:
    """`tx.within` where `run`, else updates and state as they are; only one of the two is computed.

    In either case the updates come out of the same buffer, so that XLA copies nothing.
    """
    return either(run, lambda: tx.within(updates, state, params, **extra), lambda: (updates, state))


def _where(
    condition: Condition, tx: GradientTransformation, name: str, kind: type[Any],
    masked: Callable[[Array, PyTree], PyTree] = lambda run, updates: updates,
) -> Pair:  # fmt: skip
    """Run `tx` where the condition holds; `masked` says what becomes of updates."""

    def init(params: PyTree) -> Any:
        return kind(step=jnp.zeros((), jnp.int32), inner_state=tx.init(params))

    def update(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, Any]:
        run = _ask(name, condition, state.step, extra)
        new, inner_state = update_if(run, tx, updates, state.inner_state, params, extra)
        return masked(run, new), kind(step=increment(state.step), inner_state=inner_state)

    return Pair(init, update, "arrays", kind)


def _ask(name: str, condition: Condition, step: Array, extra: Extra) -> Array:
    takes = taken_by(condition)
    takes_all = takes is not None and takes.extra
    named = set() if takes is None else set(inspect.signature(condition).parameters)
    answer = jnp.asarray(condition(step, **{k: v for k, v in extra.items() if takes_all or k in named}))
    if answer.shape or answer.dtype != jnp.bool_:
        raise TypeError(f"{name}: should_transform_fn must return one bool, got {describe(answer)}")
    return answer
