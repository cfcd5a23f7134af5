"""Wrappers of `optax.contrib`: schedule-free learning, sharpness-aware minimisation, plateaus."""

from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import gradtx
from gradtx.compat.optax import base
from gradtx.compat.optax.alias import optimizers
from gradtx.compat.optax.base import OptState, Pair, Params, ScalarOrSchedule, Updated, Updates, translated
from gradtx.compat.optax.combine import chain
from gradtx.compat.optax.schedules import warmup_constant_schedule
from gradtx.compat.optax.states import SAMState
from gradtx.compat.optax.table import Make, translation
from gradtx.compat.optax.transforms.links import add_decayed_weights, scale_by_learning_rate
from gradtx.compat.optax.transforms.spelled import made
from gradtx.wrappers import sam as sharpness
from gradtx.wrappers import schedule_free as wrapper


class ScheduleFreeState(NamedTuple):
    """State of `schedule_free`."""

    b1: jax.Array
    weight_sum: jax.Array
    step_count: jax.Array  # from 1
    max_lr: jax.Array
    base_optimizer_state: OptState
    z: Params

    def evaluation_params(self, params: Params) -> Params:
        """The average of the iterates; `gradtx.evaluation_params` finds it here."""
        return _unpack(self).evaluation_params(params)


def schedule_free_eval_params(state: OptState, params: Params) -> Params:
    """The parameters to evaluate: the average of the iterates of a `ScheduleFreeState`, of the parameters trained."""
    return state.evaluation_params(params)


@translation("base_optimizer:inner! learning_rate! b1:float weight_lr_power:float state_dtype@z", gradtx.schedule_free)
def schedule_free(make: Make, learning_rate: Any, **_: Any) -> Pair:
    """Train at a point between an optimizer's iterates and their average; see `gradtx.schedule_free`.

    A schedule as the learning rate is called with the step from 1 on here, while the base counts from 0.
    """
    rate = (lambda step: learning_rate(step + 1)) if callable(learning_rate) else learning_rate
    pack = lambda own: ScheduleFreeState(*own[:6])._replace(step_count=own.step_count + 1)
    return translated(make(learning_rate=rate), pack, _unpack)


def _unpack(state: ScheduleFreeState) -> wrapper.ScheduleFreeState:
    none_kept = jax.tree.map(lambda z: (), state.z)
    return wrapper.ScheduleFreeState(*state, none_kept)._replace(step_count=state.step_count - 1)


@translation(
    """learning_rate=1.0 warmup_steps:steps=None b1:float weight_decay:real=None weight_lr_power:float
    state_dtype>-:dtype=None""",
    gradtx.schedule_free_sgd, steps=int | None,
)  # fmt: skip
def schedule_free_sgd(
    make: Make, learning_rate: Any, warmup_steps: int | None, weight_decay: float | None, **given: Any
) -> Pair:
    """Schedule-free SGD."""
    rate = _warmed_up(learning_rate, warmup_steps)
    inner = optimizers.sgd(rate)
    inner = inner if weight_decay is None else chain(add_decayed_weights(weight_decay), inner)
    return schedule_free(inner, rate, **given)


@translation(
    """learning_rate=0.0025 warmup_steps:steps=None b1:float b2:float eps:float weight_decay:float=0.0
    weight_lr_power:float state_dtype>-:dtype=None""",
    gradtx.schedule_free_adamw, steps=int | None,
)  # fmt: skip
def schedule_free_adamw(
    make: Make, learning_rate: Any, warmup_steps: int | None, b2: float, eps: float, weight_decay: float, **given: Any
) -> Pair:
    """Schedule-free AdamW."""
    rate = _warmed_up(learning_rate, warmup_steps)
    direction = made.scale_by_rms(decay=b2, eps=eps, eps_in_sqrt=False, bias_correction=True)
    inner = chain(direction, add_decayed_weights(weight_decay), scale_by_learning_rate(rate))
    return schedule_free(inner, rate, **given)


def _warmed_up(learning_rate: Any, warmup_steps: int | None) -> ScalarOrSchedule:
    return learning_rate if warmup_steps is None else warmup_constant_schedule(0, learning_rate, warmup_steps)


@translation(
    """optimizer:inner! adv_optimizer>-:tx! sync_period>-:int=2 reset_state>reset_climb:bool=True opaque_mode>-=False
    batch_axis_name>-:axis=None""",
    gradtx.sharpness_aware, axis=str | None,
)  # fmt: skip
def sam(
    make: Make, adv_optimizer: Pair, sync_period: int, opaque_mode: bool, batch_axis_name: str | None, **_: Any
) -> Pair:
    """Give an optimizer the gradient at a point uphill from the parameters, where the adversary leads backwards.

    `sync_period` is one more than the climbs before each step down; `reset_state` starts them anew after it. In the
    opaque mode an update has all of them in it, and takes an extra argument `grad_fn`, a function `(params, climb) ->
    gradients`, which are averaged over the mapped axis `batch_axis_name`.

    State: `SAMState(steps_since_sync, opt_state, adv_state, cache)`; cache is None in the opaque mode.

    Raises:
        ValueError: `sync_period` below 1; from `update` in the opaque mode, no `grad_fn`.
    """
    if sync_period < 1:
        raise ValueError(f"sam: sync_period must be at least 1, got {sync_period!r}")
    tx = make(climb=chain(adv_optimizer, made.scale(-1.0)), climbs=sync_period - 1, alternate=not opaque_mode)

    def pack(own: Any) -> SAMState:
        opt_state, (adv_state, _) = own.opt_state, own.adv_state
        if opaque_mode:
            return SAMState(jnp.zeros((), jnp.int32), opt_state, adv_state, None)
        return SAMState(own.steps_since_sync, opt_state, adv_state, own.cache)

    def unpack(state: SAMState) -> Any:
        adv_state = (state.adv_state, base.EmptyState())
        if opaque_mode:
            return sharpness.SAMState(state.opt_state, adv_state)
        return sharpness.AlternatingSAMState(*state._replace(adv_state=adv_state))

    def update(updates: Updates, state: OptState, params: Params, **extra_args: Any) -> Updated:
        if opaque_mode:
            extra_args["grad_fn"] = _gradients(extra_args.get("grad_fn"), batch_axis_name)
        updates, own = tx.update(updates, unpack(state), params, **extra_args)
        return updates, pack(own)

    return Pair(lambda params: pack(tx.init(params)), update)


def _gradients(grad_fn: Callable[[Params, int], Params] | None, axis_name: str | None) -> Callable[[Params], Params]:
    """`grad_fn` as a function of the parameters that counts its calls."""
    if grad_fn is None:
        raise ValueError("sam: the opaque mode needs grad_fn: call update(updates, state, params, grad_fn=...)")
    calls = count()

    def gradients(params: Params) -> Params:
        grads = grad_fn(params, next(calls))
        return grads if axis_name is None else jax.lax.pmean(grads, axis_name)

    return gradients


@translation(
    "factor:float patience rtol:float atol:float cooldown accumulation_size min_scale:float", gradtx.reduce_on_plateau
)
def reduce_on_plateau(make: Make, factor: float, rtol: float, atol: float, **_: Any) -> Pair:
    """Multiply updates by a scale that falls when a value has stopped falling; `update` without `value` is a TypeError.

    Raises:
        ValueError: factor, rtol or atol out of range, or both tolerances 0.
    """
    if not 0 < factor < 1:
        raise ValueError(f"reduce_on_plateau: factor must be in (0, 1), got {factor!r}")
    if not (0 <= rtol <= 1 and atol >= 0 and rtol + atol > 0):
        raise ValueError(f"reduce_on_plateau: rtol must be in [0, 1], atol >= 0, one of them > 0, got {rtol=}, {atol=}")
    own = make()

    def update(updates: Updates, state: OptState, params: Params = None, *, value: Any, **extra_args: Any) -> Updated:
        return own.update(updates, state, params, value=value)

    return Pair(own.init, update)
