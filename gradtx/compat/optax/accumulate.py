"""Gradient accumulation by `MultiSteps`, and its rules for gradients that are left out."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import gradtx
from gradtx.combine import accumulate
from gradtx.compat.optax import base
from gradtx.compat.optax.base import DTypeOrNone, GradientTransformation, OptState, Pair, Params, Updated, Updates
from gradtx.compat.optax.states import MultiStepsState, ShouldSkipUpdateFunction
from gradtx.core import precision
from gradtx.core.peers import Related


def skip_not_finite(updates: Updates, gradient_step: jax.Array, params: Params | None) -> tuple[jax.Array, Any]:
    """Leave out gradients with a NaN or an infinity: whether to, and `{"should_skip", "num_not_finite"}`."""
    return gradtx.skip_not_finite()(updates, gradient_step, params)


def skip_large_updates(
    updates: Updates, gradient_step: jax.Array, params: Params | None, max_squared_norm: float
) -> tuple[jax.Array, Any]:
    """Leave out gradients whose squared norm is too large or a NaN; and `{"should_skip", "norm_squared"}`."""
    return gradtx.skip_large_updates(max_squared_norm)(updates, gradient_step, params)


class MultiSteps(Related):
    """Gather the gradients of several micro-steps, then take one step with them.

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
        should_skip_update_fn: ShouldSkipUpdateFunction | None = None,
        accumulator_dtype: DTypeOrNone = jnp.float32,
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
        return base.translated(base.expose(accumulate.accumulate, inner, self._every, **self._options), _pack, _unpack)


def _arrays(tree: Any) -> Any:
    """The tree with Python numbers as arrays."""
    return jax.tree.map(lambda x: jnp.asarray(x) if isinstance(x, int | float | complex) else x, tree)


def _pack(state: accumulate.MultiStepsState) -> MultiStepsState:
    return MultiStepsState(*state[:5])


def _unpack(state: MultiStepsState) -> accumulate.MultiStepsState:
    """The state in which every micro-step so far weighed 1."""
    weight = precision.cast(state.mini_step, precision.scalar_dtype(state.acc_grads))
    return accumulate.MultiStepsState(*state, weight, jnp.zeros((), jnp.bool_))
