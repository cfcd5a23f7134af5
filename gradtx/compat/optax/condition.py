"""Transformations that run at some steps only, and gradients that are left out."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from gradtx.combine import condition
from gradtx.compat.optax.base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    expose,
    with_extra_args_support,
)
from gradtx.compat.optax.remember import remembered

ConditionFn: TypeAlias = Callable[..., Any]


@remembered
def conditionally_transform(
    inner: GradientTransformation, should_transform_fn: ConditionFn, forward_extra_args: bool = False
) -> GradientTransformationExtraArgs:
    """Run a transformation at some steps; at the others updates pass through.

    Args:
        inner: the transformation.
        should_transform_fn: `(step) -> bool`, or `(step, **extra_args) -> bool`.
        forward_extra_args: whether it gets the extra arguments of `update`.

    State: `ConditionallyTransformState(inner_state, step)`.
    """
    asked = _asked(should_transform_fn, forward_extra_args)
    return expose(condition.conditionally_transform, with_extra_args_support(inner), asked)


@remembered
def conditionally_mask(
    inner: GradientTransformation, should_transform_fn: ConditionFn, forward_extra_args: bool = False
) -> GradientTransformationExtraArgs:
    """Run a transformation at some steps; at the others updates are zero.

    Args:
        inner: the transformation.
        should_transform_fn: `(step) -> bool`, or `(step, **extra_args) -> bool`.
        forward_extra_args: whether it gets the extra arguments of `update`.

    State: `ConditionallyMaskState(step, inner_state)`.
    """
    asked = _asked(should_transform_fn, forward_extra_args)
    return expose(condition.conditionally_mask, with_extra_args_support(inner), asked)


def apply_if_finite(inner: GradientTransformation, max_consecutive_errors: int) -> GradientTransformationExtraArgs:
    """Leave out gradients that are not finite, until there were too many in a row.

    Args:
        inner: the transformation.
        max_consecutive_errors: how many in a row are left out.

    State: `ApplyIfFiniteState(notfinite_count, last_finite, total_notfinite, inner_state)`.
    """
    return expose(condition.apply_if_finite, with_extra_args_support(inner), max_consecutive_errors)


def _asked(should_transform_fn: ConditionFn, forward_extra_args: bool) -> Callable[..., jax.Array]:
    def ask(step: jax.Array, **extra_args: Any) -> jax.Array:
        return jnp.asarray(should_transform_fn(step, **extra_args if forward_extra_args else {}), jnp.bool_)

    return ask
