"""Schedule-free learning under Optax's conventions: a count from 1, and no average kept beside the iterates."""

from typing import Any, NamedTuple

import jax

from gradtx.compat.optax import alias
from gradtx.compat.optax.base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    OptState,
    Params,
    ScalarOrSchedule,
    expose,
    translated,
    with_extra_args_support,
)
from gradtx.compat.optax.combine import chain
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.schedules import warmup_constant_schedule
from gradtx.compat.optax.transforms.adding import add_decayed_weights
from gradtx.compat.optax.transforms.scaling import scale_by_learning_rate
from gradtx.compat.optax.transforms.squares import scale_by_rms
from gradtx.wrappers import schedule_free as wrapper


class ScheduleFreeState(NamedTuple):
    """State of `schedule_free`."""

    b1: jax.Array
    weight_sum: jax.Array
    step_count: jax.Array
    max_lr: jax.Array
    base_optimizer_state: OptState
    z: Params

    def evaluation_params(self, params: Params) -> Params:
        """The average of the iterates; `gradtx.evaluation_params` finds it here."""
        return _unpack(self).evaluation_params(params)


def schedule_free_eval_params(state: OptState, params: Params) -> Params:
    """The parameters to evaluate: the average of the iterates.

    Args:
        state: a `ScheduleFreeState`.
        params: the parameters being trained, which belong to it.
    """
    return state.evaluation_params(params)


@remembered
def schedule_free(
    base_optimizer: GradientTransformation, learning_rate: ScalarOrSchedule, b1: float = 0.9,
    weight_lr_power: float = 2.0, state_dtype: jax.typing.DTypeLike | None = None,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """Train at a point between an optimizer's iterates and their average; see `gradtx.schedule_free`.

    Args:
        base_optimizer: an optimizer without momentum.
        learning_rate: the base's; a schedule is called with the step from 1 on here, while the base counts from 0.
        b1: above 0, the share of the average in the parameters.
        weight_lr_power: how little the steps of a warm-up count.
        state_dtype: the dtype of the iterates; by default the parameters'.

    State: `ScheduleFreeState(b1, weight_sum, step_count, max_lr, base_optimizer_state, z)`.
    """
    rate: Any = (lambda step: learning_rate(step + 1)) if callable(learning_rate) else learning_rate
    names: dict[str, Any] = dict(z_dtype=state_dtype)
    base = with_extra_args_support(base_optimizer)
    return translated(expose(wrapper.schedule_free, base, rate, b1, weight_lr_power, **names), _pack, _unpack)


def schedule_free_sgd(
    learning_rate: ScalarOrSchedule = 1.0, warmup_steps: int | None = None, b1: float = 0.9,
    weight_decay: float | None = None, weight_lr_power: float = 2.0,
    state_dtype: jax.typing.DTypeLike | None = None,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """Schedule-free SGD.

    Args:
        learning_rate: the learning rate.
        warmup_steps: over which it grows from 0, or None.
        b1: as in `schedule_free`.
        weight_decay: added to the gradient, times the parameters, or None.
        weight_lr_power: as in `schedule_free`.
        state_dtype: as in `schedule_free`.
    """
    rate = _warmed_up(learning_rate, warmup_steps)
    base = alias.sgd(rate)
    if weight_decay is not None:
        base = chain(add_decayed_weights(weight_decay), base)
    return schedule_free(base, rate, b1, weight_lr_power, state_dtype)


def schedule_free_adamw(
    learning_rate: ScalarOrSchedule = 0.0025, warmup_steps: int | None = None, b1: float = 0.9, b2: float = 0.999,
    eps: float = 1e-8, weight_decay: float = 0.0, weight_lr_power: float = 2.0,
    state_dtype: jax.typing.DTypeLike | None = None,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """Schedule-free AdamW.

    Args:
        learning_rate: the learning rate.
        warmup_steps: over which it grows from 0, or None.
        b1: as in `schedule_free`.
        b2: decay of the average of squares.
        eps: added outside the root.
        weight_decay: the decoupled decay's strength.
        weight_lr_power: as in `schedule_free`.
        state_dtype: as in `schedule_free`.
    """
    rate = _warmed_up(learning_rate, warmup_steps)
    base = chain(
        scale_by_rms(decay=b2, eps=eps, eps_in_sqrt=False, bias_correction=True),
        add_decayed_weights(weight_decay),
        scale_by_learning_rate(rate),
    )
    return schedule_free(base, rate, b1, weight_lr_power, state_dtype)


def _warmed_up(learning_rate: Any, warmup_steps: int | None) -> ScalarOrSchedule:
    return learning_rate if warmup_steps is None else warmup_constant_schedule(0, learning_rate, warmup_steps)


def _pack(own: wrapper.ScheduleFreeState) -> ScheduleFreeState:
    return ScheduleFreeState(*own[:6])._replace(step_count=own.step_count + 1)


def _unpack(state: ScheduleFreeState) -> wrapper.ScheduleFreeState:
    none_kept = jax.tree.map(lambda z: (), state.z)
    return wrapper.ScheduleFreeState(*state, none_kept)._replace(step_count=state.step_count - 1)
