"""Transformations that run at some steps only."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

import gradtx
from gradtx.compat.optax.base import GradientTransformation, Pair, expose, with_extra_args_support
from gradtx.compat.optax.names import documented
from gradtx.compat.optax.remember import remembered

ConditionFn: TypeAlias = Callable[..., Any]


@remembered
@documented(gradtx.conditionally_transform)
def conditionally_transform(
    inner: GradientTransformation, should_transform_fn: ConditionFn, forward_extra_args: bool = False
) -> Pair:
    """Run a transformation at some steps; at the others updates pass through.

    `forward_extra_args` says whether `should_transform_fn` gets the extra arguments of `update`.
    """
    asked = _asked(should_transform_fn, forward_extra_args)
    return expose(gradtx.conditionally_transform, with_extra_args_support(inner), asked)


@remembered
@documented(gradtx.conditionally_mask)
def conditionally_mask(
    inner: GradientTransformation, should_transform_fn: ConditionFn, forward_extra_args: bool = False
) -> Pair:
    """Run a transformation at some steps; at the others updates are zero; as `conditionally_transform`."""
    asked = _asked(should_transform_fn, forward_extra_args)
    return expose(gradtx.conditionally_mask, with_extra_args_support(inner), asked)


def _asked(should_transform_fn: ConditionFn, forward_extra_args: bool) -> Callable[..., jax.Array]:
    def ask(step: jax.Array, **extra_args: Any) -> jax.Array:
        return jnp.asarray(should_transform_fn(step, **extra_args if forward_extra_args else {}), jnp.bool_)

    return ask
