"""Links of chains that are no directions: rates, decay, noise, counts, and clipping of examples and units."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp

import gradtx
from gradtx.compat.optax import base
from gradtx.compat.optax.base import MaskOrFn, Number, Pair, PyTree, ScalarOrSchedule, as_floats, expose, translated
from gradtx.compat.optax.combine import masked
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.states import renamed
from gradtx.compat.optax.table import Make, translation
from gradtx.compat.optax.transforms.spelled import made
from gradtx.core.errors import describe
from gradtx.transforms.adaptive_clip import unit_norm


@remembered
def scale_by_learning_rate(learning_rate: ScalarOrSchedule | None = None, *, flip_sign: bool = True) -> Pair:
    """As `gradtx.scale_by_lr`; with None, as `identity`."""
    if learning_rate is None:
        return base.identity()
    sign = -1 if flip_sign else 1
    if callable(learning_rate):
        return made.scale_by_schedule(lambda count: sign * learning_rate(count))
    return made.scale(sign * learning_rate)


@remembered
def add_decayed_weights(weight_decay: ScalarOrSchedule = 0.0, mask: MaskOrFn = None) -> Pair:
    """As `gradtx.add_decayed_weights`; a mask makes it `masked`."""
    tx = expose(gradtx.add_decayed_weights, weight_decay)
    tx = renamed(tx, "WeightDecaySchedule") if callable(weight_decay) else tx
    return tx if mask is None else masked(tx, mask)


def add_noise(eta: Number, gamma: Number, key: jax.Array | int | None = None, *, seed: int | None = None) -> Pair:
    """As `gradtx.add_noise`; `seed` is an old name of `key`."""
    return expose(gradtx.add_noise, eta, gamma, key_or_seed(key, seed))


def key_or_seed(key: jax.Array | int | None, seed: int | None) -> jax.Array | int:
    """The key of two arguments of which one is old; 0 where neither is given.

    Raises:
        ValueError: both are given.
    """
    if seed is not None:
        warnings.warn("seed is deprecated, give key", DeprecationWarning, stacklevel=3)
        if key is not None:
            raise ValueError("give key or seed, not both")
        return seed
    if key is None:
        warnings.warn("no key is given, so it is 0", stacklevel=3)
        return 0
    return key


@translation("k", gradtx.apply_every)
def apply_every(make: Make, k: int) -> Pair:
    """As `gradtx.apply_every`, with a count that starts anew every k steps."""
    return translated(make(), lambda s: s._replace(count=s.count % k), lambda s: s)


@translation("", gradtx.zero_nans)
def zero_nans(make: Make) -> Pair:
    """As `gradtx.zero_nans`, whatever state is given."""
    own = make()
    return Pair(own.init, lambda updates, state, params=None, **extra_args: own.update(updates, own.init(updates)))


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
