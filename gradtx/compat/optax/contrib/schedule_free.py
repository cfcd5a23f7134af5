"""Schedule-free learning under Optax's conventions: a count from 1, and no average kept beside the iterates."""

from typing import Any, NamedTuple

import jax

import gradtx
from gradtx.compat.optax import base
from gradtx.compat.optax.alias import optimizers
from gradtx.compat.optax.base import DTypeOrNone, OptState, Pair, Params, ScalarOrSchedule, expose, translated
from gradtx.compat.optax.combine import chain
from gradtx.compat.optax.names import documented
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.schedules import warmup_constant_schedule
from gradtx.compat.optax.transforms.links import add_decayed_weights, scale_by_learning_rate
from gradtx.compat.optax.transforms.spelled import made
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
    """The parameters to evaluate: the average of the iterates of a `ScheduleFreeState`, of the parameters trained."""
    return state.evaluation_params(params)


@remembered
@documented(gradtx.schedule_free)
def schedule_free(
    base_optimizer: base.GradientTransformation, learning_rate: ScalarOrSchedule, b1: float = 0.9,
    weight_lr_power: float = 2.0, state_dtype: DTypeOrNone = None,
) -> Pair:  # fmt: skip
    """Train at a point between an optimizer's iterates and their average; see `gradtx.schedule_free`.

    A schedule as the learning rate is called with the step from 1 on here, while the base counts from 0.
    """
    rate: Any = (lambda step: learning_rate(step + 1)) if callable(learning_rate) else learning_rate
    inner, stored = base.with_extra_args_support(base_optimizer), {"z": state_dtype}
    return translated(expose(wrapper.schedule_free, inner, rate, b1, weight_lr_power, stored=stored), _pack, _unpack)


@documented(gradtx.schedule_free_sgd)
def schedule_free_sgd(
    learning_rate: ScalarOrSchedule = 1.0, warmup_steps: int | None = None, b1: float = 0.9,
    weight_decay: float | None = None, weight_lr_power: float = 2.0,
    state_dtype: DTypeOrNone = None,
) -> Pair:  # fmt: skip
    """Schedule-free SGD."""
    rate = _warmed_up(learning_rate, warmup_steps)
    inner = optimizers.sgd(rate)
    if weight_decay is not None:
        inner = chain(add_decayed_weights(weight_decay), inner)
    return schedule_free(inner, rate, b1, weight_lr_power, state_dtype)


@documented(gradtx.schedule_free_adamw)
def schedule_free_adamw(
    learning_rate: ScalarOrSchedule = 0.0025, warmup_steps: int | None = None, b1: float = 0.9, b2: float = 0.999,
    eps: float = 1e-8, weight_decay: float = 0.0, weight_lr_power: float = 2.0,
    state_dtype: DTypeOrNone = None,
) -> Pair:  # fmt: skip
    """Schedule-free AdamW."""
    rate = _warmed_up(learning_rate, warmup_steps)
    inner = chain(
        made.scale_by_rms(decay=b2, eps=eps, eps_in_sqrt=False, bias_correction=True),
        add_decayed_weights(weight_decay),
        scale_by_learning_rate(rate),
    )
    return schedule_free(inner, rate, b1, weight_lr_power, state_dtype)


def _warmed_up(learning_rate: Any, warmup_steps: int | None) -> ScalarOrSchedule:
    return learning_rate if warmup_steps is None else warmup_constant_schedule(0, learning_rate, warmup_steps)


def _pack(own: wrapper.ScheduleFreeState) -> ScheduleFreeState:
    return ScheduleFreeState(*own[:6])._replace(step_count=own.step_count + 1)


def _unpack(state: ScheduleFreeState) -> wrapper.ScheduleFreeState:
    none_kept = jax.tree.map(lambda z: (), state.z)
    return wrapper.ScheduleFreeState(*state, none_kept)._replace(step_count=state.step_count - 1)
