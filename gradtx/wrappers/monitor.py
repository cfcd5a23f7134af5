"""Watch training: norms, the learning rate and numbers of your own, in the state."""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple, TypeAlias, cast

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.core import errors, precision, tree
from gradtx.core.averages import safe_divide
from gradtx.core.containers import MappingOf
from gradtx.core.degree import of
from gradtx.core.extras import one_number, with_asked
from gradtx.core.fields import InnerState, RunCount
from gradtx.core.functions import IsFunction
from gradtx.core.rules import increment
from gradtx.core.transformation import Inner, Pair, ours, transformation
from gradtx.core.typing import Array, PyTree
from gradtx.core.varying import vary_with
from gradtx.wrappers.rates import applied_rates

KNOWN = {"gradients", "updates", "params", "state"}
Measure = Callable[..., Any]

Measures: TypeAlias = Annotated[Mapping[str, Measure], MappingOf(IsFunction("of named arguments", by_name=True), str)]
"""Functions by name."""


class MonitorState(NamedTuple):
    count: RunCount  # updates so far, int32
    measurements: dict[str, Any]  # by name, of the last update; zeros before the first
    inner_state: InnerState


@transformation(degree=of("optimizer"))
def monitor(
    optimizer: Inner, measures: Measures | None = None, *, gradient_norm: bool = True,
    update_norm: bool = True, update_ratio: bool = True, learning_rates: bool = True, on: bool = True,
) -> Pair:  # fmt: skip
    """Put numbers about each update into the state, where they are read like any array; the optimizer is left alone.

        tx = gradtx.monitor(gradtx.adam(1e-3), {"loss": lambda value: value})
        updates, state = tx.update(grads, state, params, value=loss)
        state.measurements["gradient_norm"]

    Args:
        optimizer: any transformation.
        measures: functions by name. Each takes any of `gradients`, `updates`, `params`, `state` (the optimizer's new
            one) and of the extra arguments of `update`, by name, and gives an array or a tree of them. A parameter
            with another name is an extra argument, which must be a number.
        gradient_norm: whether to measure ||g|| under this name, over the whole tree.
        update_norm: ||u||, of what the optimizer makes of g.
        update_ratio: ||u|| / ||theta||, 0 where theta is 0, NaN in an update without params; about 1e-3 is healthy.
        learning_rates: the optimizer's `learning_rate`, where it has one, as it was applied; where it has several, each
            under its path. An update that takes no step (in `accumulate`, `apply_if_finite`) leaves that of the last
            step, 0 before the first with a schedule. What scales whole updates (`reduce_on_plateau`, `scale`) counts
            wherever it stands, as far as it reaches the step: through momentum it does; before Adam's direction, which
            cancels it, only its sign does. Averages count as if it had always been so. The product is NaN where a link
            between the two tells neither (`clip`, a function of yours; see `degree` of `transformation`); one behind
            the rate is not counted.
        on: False measures nothing and changes nothing else.

    State: `MonitorState(count, measurements, inner_state)`.

    Raises:
        ValueError: from `update`, where a measure changes its shape.
        TypeError: from `update`, where one needs an extra argument that is missing.
    """
    tx = ours(optimizer)
    asked = {name for f in (measures or {}).values() for name in inspect.signature(f).parameters} - KNOWN

    def measured(count: Array, gradients: PyTree, updates: PyTree, params: PyTree, state: Any, extra: Any) -> Any:
        found: dict[str, Any] = {}
        if gradient_norm:
            found["gradient_norm"] = tree.norm(tree.inexact(gradients))
        if update_norm:
            found["update_norm"] = tree.norm(tree.inexact(updates))
        if update_ratio:
            nowhere = jnp.full((), jnp.nan, precision.scalar_dtype(updates))
            found["update_ratio"] = nowhere if params is None else ratio(updates, params)
        if learning_rates:
            rates = applied_rates(tx, state, count)
            found |= dict(zip(["learning_rate"], rates.values(), strict=True)) if len(rates) == 1 else rates
        known = extra | dict(gradients=gradients, updates=updates, params=params, state=state)
        for name, measure in (measures or {}).items():
            found[name] = jax.tree.map(jnp.asarray, with_asked(f"monitor: the measure {name!r}", measure, known))
        return found

    def init(params: PyTree) -> MonitorState:
        count, state = jnp.zeros((), jnp.int32), tx.init(params)
        if not on:
            return MonitorState(count, {}, state)
        number = jax.ShapeDtypeStruct((), precision.scalar_dtype(params))
        shapes = jax.eval_shape(measured, count, params, params, params, state, dict.fromkeys(asked, number))
        nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        return MonitorState(count, vary_with(nothing, params), state)

    def update(
        updates: PyTree, state: MonitorState, params: PyTree = None, **extra: Any
    ) -> tuple[PyTree, MonitorState]:
        new, inner_state = tx.within(updates, state.inner_state, params, **extra)
        numbers = extra | {name: one_number("monitor", name, extra[name]) for name in asked if on and name in extra}
        found = measured(state.count, updates, new, params, inner_state, numbers) if on else {}
        return new, MonitorState(increment(state.count), keep_types(found, state.measurements), inner_state)

    return Pair(init, update, "anything", MonitorState)


def ratio(updates: PyTree, params: PyTree) -> Array:
    """||u|| / ||theta||, 0 where theta is 0."""
    size = tree.norm(tree.inexact(params))
    return safe_divide(precision.cast(tree.norm(tree.inexact(updates)), size.dtype), size)


def keep_types(found: dict[str, Any], like: Any) -> dict[str, Any]:
    """Measurements in the dtypes that the state has."""
    if jax.tree.structure(found) != jax.tree.structure(like):
        given = sorted(cast("dict[str, Any]", like)) if isinstance(like, dict) else errors.describe(like)
        raise ValueError(f"monitor: measurements {sorted(found)} do not have the tree of the state's, {given}")

    def keep(path: Any, x: Any, old: Any) -> Any:
        name = jax.tree_util.keystr(path)
        if not isinstance(old, jax.Array | np.ndarray | np.generic):
            raise TypeError(f"monitor: the state's measurement {name} is {errors.describe(old)}, wanted an array")
        if x.shape != old.shape:
            raise ValueError(
                f"monitor: the measurement {name} is {errors.describe(x)}, and was {errors.describe(old)} at first"
            )
        return precision.cast(x, old.dtype)

    return jax.tree_util.tree_map_with_path(keep, found, like)
