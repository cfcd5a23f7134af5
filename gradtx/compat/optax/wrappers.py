"""Wrappers whose states or arguments differ from gradtx's: conditions, slow weights, measurements, accumulation."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

import gradtx
from gradtx.combine import accumulate
from gradtx.compat.optax import base
from gradtx.compat.optax.base import GradientTransformation, OptState, Pair, Params, PyTree, Updated, Updates
from gradtx.compat.optax.names import document
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.states import LookaheadParams, LookaheadState, MonitorState, MultiStepsState, SnapshotState
from gradtx.compat.optax.states import ShouldSkipUpdateFunction as Skips
from gradtx.compat.optax.table import Make, same, translation
from gradtx.compat.optax.transforms.spelled import made
from gradtx.core import precision
from gradtx.core.peers import Related
from gradtx.wrappers import lookahead as fast

ConditionFn: TypeAlias = Callable[..., Any]
Measure: TypeAlias = Callable[[Updates], PyTree]


@remembered
def _asking(make: Callable[..., Any], inner: Pair, should_transform_fn: ConditionFn, forward_extra_args: bool) -> Pair:
    """As `expose`; `forward_extra_args` says whether the function gets the extra arguments of `update`."""

    def ask(step: jax.Array, **extra_args: Any) -> jax.Array:
        return jnp.asarray(should_transform_fn(step, **extra_args if forward_extra_args else {}), jnp.bool_)

    return base.expose(make, inner, ask)


globals().update(
    same(
        __name__,
        """
conditionally_transform | inner:inner! should_transform_fn:condition! forward_extra_args=False | |
    Run a transformation at some steps; at the others updates pass through.
conditionally_mask      | inner:inner! should_transform_fn:condition! forward_extra_args=False | |
    Run a transformation at some steps; at the others updates are zero.
""",
        through=_asking,
        condition=ConditionFn,
    )
)


@translation("fast_optimizer:inner! sync_period:int! slow_step_size:float! reset_state", gradtx.lookahead)
def lookahead(make: Make, fast_optimizer: Pair, sync_period: int, **_: Any) -> Pair:
    """Let an optimizer run ahead, then move a share of the way after it; see `gradtx.lookahead`.

    State: `LookaheadState(fast_state, steps_since_sync)`. Parameters and updates are `LookaheadParams(fast, slow)`,
        and gradients are those of the fast ones.

    Raises:
        ValueError: `sync_period` below 1.
        TypeError: from `update`, other parameters. `init` takes plain ones too.
    """
    if sync_period < 1:
        raise ValueError(f"lookahead: sync_period must be at least 1, got {sync_period!r}")
    own = make()

    def init(params: Params) -> OptState:
        return LookaheadState(fast_optimizer.init(getattr(params, "fast", params)), jnp.zeros((), jnp.int32))

    def update(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> Updated:
        if not isinstance(params, LookaheadParams):
            raise TypeError(f"lookahead: params must be LookaheadParams, got {type(params).__name__}")
        before = fast.LookaheadState(state.fast_state, state.steps_since_sync, params.slow)
        updates, after = own.update(updates, before, params.fast, **extra_args)
        moved = jax.tree.map(jnp.subtract, after.slow, params.slow)
        return LookaheadParams(updates, moved), LookaheadState(after.fast_state, after.steps_since_sync)

    return Pair(init, update)


@remembered
def snapshot(measure_name: str, measure: Measure) -> Pair:
    """Keep what a function says of the updates, which pass through, and at first what it says of the parameters.

    State: `SnapshotState` of a dictionary of one entry.
    """
    taken = lambda tree: SnapshotState({measure_name: measure(tree)})
    return Pair(taken, lambda updates, state, params=None, **extra_args: (updates, taken(updates)))


@remembered
def monitor(measures: Mapping[str, GradientTransformation | Measure]) -> Pair:
    """Keep what several functions, or transformations such as `measure_with_ema` makes, say of the updates.

    State: `MonitorState(measurements, measure_states)`; there are no measurements before the first update.
    """

    def as_transformation(measure: Any) -> Pair:
        if isinstance(measure, GradientTransformation):
            return base.with_extra_args_support(measure)
        return base.stateless(lambda updates, params: measure(updates))

    transforms = {name: as_transformation(measure) for name, measure in measures.items()}

    def init(params: Params) -> OptState:
        return MonitorState({}, tuple(tx.init(params) for tx in transforms.values()))

    def update(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> Updated:
        each = zip(transforms.values(), state.measure_states, strict=True)
        found = [tx.update(updates, own, params, **extra_args) for tx, own in each]
        values = dict(zip(transforms, (value for value, _ in found), strict=True))
        return updates, MonitorState(values, tuple(own for _, own in found))

    return Pair(init, update)


@remembered
def measure_with_ema(measure: Measure, decay: float, debias: bool = True, accumulator_dtype: Any | None = None) -> Pair:
    """The `ema` of what a function says of the updates, for `monitor`.

    State: that of `stateless` and of `ema`.
    """
    average = made.ema(decay, debias, accumulator_dtype)

    def init(params: Params) -> OptState:
        return base.EmptyState(), average.init(measure(params))

    def update(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> Updated:
        value, average_state = average.update(measure(updates), state[1])
        return value, (state[0], average_state)

    return Pair(init, update)


def skip_not_finite(updates: Updates, gradient_step: jax.Array, params: Params | None) -> tuple[jax.Array, Any]:
    """Whether to leave these gradients out, and `{"should_skip", "num_not_finite"}`."""
    return gradtx.skip_not_finite()(updates, gradient_step, params)


def skip_large_updates(
    updates: Updates, gradient_step: jax.Array, params: Params | None, max_squared_norm: float
) -> tuple[jax.Array, Any]:
    """Whether to leave these gradients out, and `{"should_skip", "norm_squared"}`."""
    return gradtx.skip_large_updates(max_squared_norm)(updates, gradient_step, params)


class MultiSteps(Related):
    """Gather the gradients of several micro-steps, then take one step with them; see `gradtx.accumulate`.

    Args:
        opt: the optimizer.
        every_k_schedule: micro-steps per optimizer step, or a function of the optimizer step that gives them.
        use_grad_mean: whether the step is taken with the mean of the gradients, or with their sum.
        should_skip_update_fn: which gradients to leave out as if they had not been, such as `skip_not_finite`.
        accumulator_dtype: the dtype they are gathered in; None is the parameters'.

    State: `MultiStepsState(mini_step, gradient_step, inner_opt_state, acc_grads, skip_state)`.
    """

    def __init__(
        self, opt: GradientTransformation, every_k_schedule: int | Callable[[Any], Any], use_grad_mean: bool = True,
        should_skip_update_fn: Skips | None = None, accumulator_dtype: base.DTypeOrNone = jnp.float32,
    ) -> None:  # fmt: skip
        self._opt = base.with_extra_args_support(opt)
        self._every = every_k_schedule
        self._options: dict[str, Any] = {
            "reduction": "mean" if use_grad_mean else "sum",
            "skip": should_skip_update_fn,
            "stored": {"acc_grads": accumulator_dtype},
        }

    @property
    def inner_opt(self) -> GradientTransformation:
        """The optimizer."""
        return self._opt

    def init(self, params: Params) -> MultiStepsState:
        """Make the first state."""
        return self._accumulating({}).init(_arrays(params))

    def update(
        self, updates: Updates, state: OptState, params: Params = None, **extra_args: Any
    ) -> tuple[Updates, MultiStepsState]:
        """Take a micro-step: zeros, or after the last one of a group the optimizer's updates."""
        return self._accumulating(extra_args).update(_arrays(updates), state, params)

    def has_updated(self, state: OptState) -> Any:
        """Whether the call that made this state took an optimizer step; False right after `init`."""
        return (state.mini_step == 0) & (state.gradient_step > 0)

    def gradient_transformation(self) -> GradientTransformation:
        """Return the same as a pair."""
        return Pair(self.init, self.update)

    def _accumulating(self, extra_args: dict[str, Any]) -> Pair:
        """The pair for one call, whose extra arguments all go to the optimizer and none to the accumulation."""

        def update(updates: Updates, state: OptState, params: Params = None) -> Updated:
            return self._opt.update(updates, state, params, **extra_args)

        inner = GradientTransformation(self._opt.init, update)
        own = base.expose(accumulate.accumulate, inner, self._every, **self._options)
        return base.translated(own, lambda state: MultiStepsState(*state[:5]), _unpack)


def _arrays(tree: Any) -> Any:
    """The tree with Python numbers as arrays."""
    return jax.tree.map(lambda x: jnp.asarray(x) if isinstance(x, int | float | complex) else x, tree)


def _unpack(state: MultiStepsState) -> accumulate.MultiStepsState:
    """The state in which every micro-step so far weighed 1."""
    weight = precision.cast(state.mini_step, precision.scalar_dtype(state.acc_grads))
    return accumulate.MultiStepsState(*state, weight, jnp.zeros((), jnp.bool_))


document(__name__)
