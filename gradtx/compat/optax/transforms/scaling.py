"""Scaling: by numbers and schedules, to parameters, to the loss, to the last steps."""

from typing import Any

import jax
import jax.numpy as jnp

import gradtx
from gradtx.compat.optax.base import (
    DTypeOrNone,
    GradientTransformationExtraArgs,
    Number,
    ScalarOrSchedule,
    Schedule,
    expose,
    identity,
    refused_at_update,
    translated,
)
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.states import EmptyState, ScaleByDistanceOverGradientsState


def scale(step_size: Number) -> GradientTransformationExtraArgs:
    """As `gradtx.scale`."""
    return expose(gradtx.scale, step_size)


@remembered
def scale_by_learning_rate(
    learning_rate: ScalarOrSchedule | None = None, *, flip_sign: bool = True
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_lr`; with None, as `identity`."""
    if learning_rate is None:
        return identity()
    sign = -1 if flip_sign else 1
    if callable(learning_rate):
        return scale_by_schedule(lambda count: sign * learning_rate(count))
    return scale(sign * learning_rate)


def scale_by_schedule(step_size_fn: Schedule) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_schedule`."""
    return expose(gradtx.scale_by_schedule, step_size_fn)


def scale_by_param_block_norm(min_scale: Number = 1e-3) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_param_block_norm`."""
    return expose(gradtx.scale_by_param_block_norm, min_scale)


def scale_by_param_block_rms(min_scale: Number = 1e-3) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_param_block_rms`."""
    return expose(gradtx.scale_by_param_block_rms, min_scale)


def scale_by_trust_ratio(
    min_norm: Number = 0.0, trust_coefficient: Number = 1.0, eps: Number = 0.0
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_trust_ratio`."""
    return expose(gradtx.scale_by_trust_ratio, min_norm, trust_coefficient, eps)


def normalize_by_update_norm(scale_factor: Number = 1.0, eps: Number = 1e-6) -> GradientTransformationExtraArgs:
    """As `gradtx.normalize_by_update_norm`."""
    return expose(gradtx.normalize_by_update_norm, scale_factor, eps)


def centralize() -> GradientTransformationExtraArgs:
    """As `gradtx.centralize`."""
    return expose(gradtx.centralize)


def scale_by_optimistic_gradient(alpha: Number = 1.0, beta: Number = 1.0) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_optimistic_gradient`."""
    return expose(gradtx.scale_by_optimistic_gradient, alpha, beta)


def scale_by_polyak(
    f_min: Number = 0.0, max_learning_rate: Number = 1.0, eps: Number = 0.0, variant: str = "sps"
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_polyak`; an unknown variant is refused at the first update."""
    try:
        return expose(gradtx.scale_by_polyak, f_min, max_learning_rate, eps, variant)
    except ValueError as error:
        return refused_at_update(identity(), error)


@remembered
def scale_by_distance_over_gradients(
    reps_rel: Number = 1e-6, eps: Number = 1e-8, param_dtype: DTypeOrNone = jnp.float32, global_scale: Number = 1.0
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_distance_over_gradients`, times a number; sums of squares are arrays of one float32."""
    by_distance = gradtx.scale_by_distance_over_gradients

    def ours(*args: Any) -> gradtx.GradientTransformation:
        return gradtx.chain(by_distance(*args, init_params_dtype=param_dtype), gradtx.scale(global_scale))

    def pack(state: Any) -> ScaleByDistanceOverGradientsState:
        sums = jax.tree.map(lambda x: jnp.float32(x).reshape(1), state[0].grad_sum_of_squares)
        return state[0]._replace(grad_sum_of_squares=sums)

    def unpack(state: ScaleByDistanceOverGradientsState) -> Any:
        sums = jax.tree.map(lambda x: x.reshape(()), state.grad_sum_of_squares)
        return state._replace(grad_sum_of_squares=sums), EmptyState()

    return translated(expose(ours, reps_rel, eps), pack, unpack)


def scale_by_lbfgs(memory_size: int = 10, scale_init_precond: bool = True) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_lbfgs(pairs="all")`."""
    if memory_size < 1:
        raise ValueError(f"scale_by_lbfgs: memory_size must be at least 1, got {memory_size}")
    return expose(gradtx.scale_by_lbfgs, memory_size, scale_init_precond, pairs="all")
