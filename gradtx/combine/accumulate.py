"""Gradient accumulation: one optimizer step for several micro-steps."""

from typing import Annotated, Any, NamedTuple, TypeAlias, cast

import jax
import jax.numpy as jnp

from gradtx.combine.skip import Skip, SkipLike
from gradtx.core import checks, precision, tree
from gradtx.core.arguments import Interval, OneOf
from gradtx.core.averages import safe_divide
from gradtx.core.degree import of
from gradtx.core.extras import one_number
from gradtx.core.fields import GatedState, History, RunCount
from gradtx.core.hyperparameters import Hyperparameter
from gradtx.core.leafwise import leafwise
from gradtx.core.loops import either
from gradtx.core.restart import of_run
from gradtx.core.rules import increment, keep_type
from gradtx.core.schedule import Schedule, as_schedule
from gradtx.core.slots import Slot
from gradtx.core.transformation import Inner, Pair, ours, transformation
from gradtx.core.typing import Array, PyTree
from gradtx.core.varying import vary_as_all

Every: TypeAlias = Annotated[Hyperparameter, Interval("[1, inf)", integer=True, schedule=as_schedule)]
"""A whole number >= 1, or a schedule of them."""


class MultiStepsState(NamedTuple):
    mini_step: Array  # micro-steps gathered since the last optimizer step, int32
    gradient_step: RunCount  # optimizer steps taken, int32
    inner_opt_state: GatedState
    acc_grads: Slot  # mean or sum of the gradients gathered so far
    skip_state: PyTree  # what `skip` said of the last micro-step
    acc_weight: History  # sum of their weights
    updated: Array  # whether the last call took an optimizer step, bool


class GatherState(NamedTuple):
    """What the rules below see of it."""

    acc_grads: Slot
    acc_weight: History


def mean_share(state: GatherState, weight: Array) -> dict[str, Array]:
    """w / sum of w, of the micro-steps that a leaf has gathered."""
    total = state.acc_weight + weight
    return {"share": safe_divide(weight, total), "acc_weight": total}


def sum_share(state: GatherState, weight: Array) -> dict[str, Array]:
    """w."""
    return {"share": weight, "acc_weight": state.acc_weight + weight}


def mean_rule(g: Array, s: GatherState, *, share: Array) -> tuple[Array, GatherState]:
    """acc <- acc + share (g - acc), share = w / sum of w; a share of 0 ignores g, whatever it holds."""
    acc = s.acc_grads
    acc = jnp.where(share == 0, acc, acc + _like(acc, share) * (_like(acc, g) - acc))
    return g, s._replace(acc_grads=acc)


def sum_rule(g: Array, s: GatherState, *, share: Array) -> tuple[Array, GatherState]:
    """acc <- acc + share g, share = w; a share of 0 ignores g, whatever it holds."""
    acc = s.acc_grads
    return g, s._replace(acc_grads=jnp.where(share == 0, acc, acc + _like(acc, share) * _like(acc, g)))


def _like(acc: Array, x: Array) -> Array:
    """`x` in the accumulator's precision, which may be wider or narrower than the gradient's."""
    return precision.cast(x, acc.dtype if jnp.iscomplexobj(x) else precision.real_dtype(acc.dtype))


@transformation(degree=of("inner"))
def accumulate(
    inner: Inner,
    every: Every,
    *,
    reduction: Annotated[str, OneOf("mean", "sum")] = "mean",
    skip: SkipLike | None = None,
) -> Pair:
    """Gather the gradients of several micro-steps, then take one step of `inner` with their mean.

    Updates are exact zeros until then, and `inner` is not run: its schedules count optimizer steps. A call
    `update(..., weight=w)` weighs a micro-step, so that with w the number of its tokens (and g the mean over them)
    the step is that of one big batch: sum(w g) / sum(w). Without it every w is 1. A micro-step of weight 0 adds
    nothing, even where g is NaN. Other extra arguments reach `inner` from the last micro-step of each group.

    Args:
        inner: the optimizer.
        every: micro-steps per optimizer step, >= 1: a number, or a schedule of the optimizer step.
        reduction: `"mean"`, sum(w g) / sum(w), or `"sum"`, sum(w g).
        skip: which micro-steps to leave out as if they had not been: `skip_not_finite()`,
            `skip_large_updates(...)`, or a function `(updates, gradient_step, params) -> (bool, info)`.

    State: `MultiStepsState(mini_step, gradient_step, inner_opt_state, acc_grads, skip_state, acc_weight, updated)`,
        one value per parameter and 13 bytes more than inner's.
    """
    tx, judge = ours(inner), cast("Skip | None", skip)
    rule, share = (mean_rule, mean_share) if reduction == "mean" else (sum_rule, sum_share)
    gather = leafwise(rule, GatherState, reduce=share).named("accumulate")

    def init(params: PyTree) -> MultiStepsState:
        zero = lambda: jnp.zeros((), jnp.int32)
        info = () if judge is None else jax.eval_shape(judge, params, zero(), params)[1]
        info = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), info)
        gathered, updated = gather.init(params), jnp.zeros((), jnp.bool_)
        state = MultiStepsState(zero(), zero(), tx.init(params), gathered.acc_grads, info, gathered.acc_weight, updated)
        return state if judge is None else vary_as_all(state, params)

    def update(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, MultiStepsState]:
        skipped, info = jnp.zeros((), jnp.bool_), ()
        if judge is not None:
            skipped, info = judge(updates, state.gradient_step, params)
            checks.check_like("accumulate", "skip_state", state.skip_state, info)
            info = jax.tree.map(keep_type, info, state.skip_state)
        given = one_number("accumulate", "weight", extra.get("weight", 1))
        weight = jnp.where(skipped, 0, precision.cast(given, of_run(state.acc_weight).dtype))
        acc, total = gather.update(updates, GatherState(state.acc_grads, state.acc_weight), weight=weight)[1]
        if "weight" in extra:
            extra["weight"] = of_run(total)

        # One buffer leaves the conditional: the update where a step is taken, else what has been gathered. XLA would
        # copy each of two.
        def take() -> Any:
            grads = tree.map_given(lambda g, x: precision.narrow(x, g.dtype), updates, acc)
            new, inner_state = tx.within(grads, state.inner_opt_state, params, **extra)
            return tree.map_given(lambda g, x, u: precision.cast(u, _widest(g, x)), updates, acc, new), inner_state

        def wait() -> Any:
            return tree.map_given(lambda g, x: precision.cast(x, _widest(g, x)), updates, acc), state.inner_opt_state

        counted = state.mini_step + jnp.where(skipped, 0, 1)
        full = ~skipped & (counted >= _whole(every, state.gradient_step))
        left, inner_state = either(full, take, wait)
        new = tree.map_given(lambda g, x: jnp.where(full, precision.narrow(x, g.dtype), 0), updates, left)
        emptied = lambda old, x: jnp.where(full, 0, old if x is None else precision.narrow(x, old.dtype))
        acc = tree.map_given(emptied, acc, left)
        return new, MultiStepsState(
            mini_step=jnp.where(full, 0, counted),
            gradient_step=jnp.where(full, increment(state.gradient_step), state.gradient_step),
            inner_opt_state=inner_state,
            acc_grads=acc,
            skip_state=info,
            acc_weight=jax.tree.map(lambda x: jnp.where(full, 0, x), total),
            updated=full,
        )

    return Pair(init, update, "numbers", MultiStepsState, {"mini_step": 0, "updated": False})


def has_updated(state: MultiStepsState) -> Array:
    """Whether the call that made this state of `accumulate` took an optimizer step; False right after `init`."""
    return state.updated


def _widest(g: Array, acc: Array) -> Any:
    """A dtype that holds both an update and what has been gathered."""
    return max(g.dtype, acc.dtype, key=lambda dtype: dtype.itemsize)


def _whole(every: Any, gradient_step: Array) -> Array:
    """The number of micro-steps of this group: a schedule's value is rounded, and at least 1."""
    if not isinstance(every, Schedule):
        return precision.cast(every, jnp.int32)
    return jnp.maximum(precision.cast(jnp.round(every(gradient_step)), jnp.int32), 1)
