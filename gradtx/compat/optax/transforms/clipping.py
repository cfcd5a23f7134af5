"""Clipping: by value, by norm, by unit, by example."""

from typing import Any

import jax
import jax.numpy as jnp

import gradtx
from gradtx.compat.optax.base import GradientTransformationExtraArgs, Number, PyTree, as_floats, expose
from gradtx.core.errors import describe
from gradtx.transforms.adaptive_clip import unit_norm


def clip(max_delta: Number) -> GradientTransformationExtraArgs:
    """As `gradtx.clip`."""
    return expose(gradtx.clip, max_delta)


def clip_by_block_rms(threshold: Number) -> GradientTransformationExtraArgs:
    """As `gradtx.clip_by_block_rms`."""
    return expose(gradtx.clip_by_block_rms, threshold)


def clip_by_global_norm(max_norm: Number) -> GradientTransformationExtraArgs:
    """As `gradtx.clip_by_global_norm`."""
    return expose(gradtx.clip_by_global_norm, max_norm)


def adaptive_grad_clip(
    clipping: Number, eps: Number = 1e-3, axis: int | tuple[int, ...] | None = None
) -> GradientTransformationExtraArgs:
    """As `gradtx.adaptive_grad_clip`."""
    return expose(gradtx.adaptive_grad_clip, clipping, eps, axis)


def per_example_global_norm_clip(grads: PyTree, l2_norm_clip: Number) -> tuple[PyTree, Any]:
    """As `gradtx.per_example_global_norm_clip`."""
    return gradtx.per_example_global_norm_clip(as_floats(grads), l2_norm_clip)


def per_example_layer_norm_clip(
    grads: PyTree, global_l2_norm_clip: Number, uniform: bool = True
) -> tuple[PyTree, PyTree]:
    """As `gradtx.per_example_layer_norm_clip`."""
    return gradtx.per_example_layer_norm_clip(as_floats(grads), global_l2_norm_clip, uniform)


def unitwise_norm(x: Number, axis: int | tuple[int, ...] | None = None) -> jax.Array:
    """The norm of each unit of a weight, repeated over its elements; see `gradtx.adaptive_grad_clip` for units."""
    array: jax.Array = as_floats(jnp.asarray(x))
    return jnp.broadcast_to(unit_norm(array, axis), array.shape)


def unitwise_clip(g_norm: Number, max_norm: Number, grad: Number, div_eps: Number = 1e-6) -> jax.Array:
    """grad min(1, max_norm / g_norm) for norms of grad's shape, dividing by `div_eps` at least.

    Raises:
        ValueError: the shapes differ.
    """
    g_norm, max_norm, grad = jnp.asarray(g_norm), jnp.asarray(max_norm), jnp.asarray(grad)
    if not g_norm.shape == max_norm.shape == grad.shape:
        shown = ", ".join(map(describe, (g_norm, max_norm, grad)))
        raise ValueError(f"unitwise_clip: g_norm, max_norm and grad must have one shape, got {shown}")
    return jnp.where(g_norm < max_norm, grad, grad * (max_norm / jnp.maximum(g_norm, div_eps)))
