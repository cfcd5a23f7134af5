"""Gradient descent with differential privacy."""

import jax

import gradtx
from gradtx.compat.optax.base import GradientTransformationExtraArgs, Number, ScalarOrSchedule, expose, identity
from gradtx.compat.optax.combine import chain
from gradtx.compat.optax.transforms.accumulation import trace
from gradtx.compat.optax.transforms.adding import key_or_seed
from gradtx.compat.optax.transforms.scaling import scale_by_learning_rate


def differentially_private_aggregate(
    l2_norm_clip: Number, noise_multiplier: Number, key: jax.Array | int | None = None, *, seed: int | None = None
) -> GradientTransformationExtraArgs:
    """As `gradtx.differentially_private_aggregate`; `seed` is an old name of `key`."""
    return expose(gradtx.differentially_private_aggregate, l2_norm_clip, noise_multiplier, key_or_seed(key, seed))


def dpsgd(
    learning_rate: ScalarOrSchedule, l2_norm_clip: Number, noise_multiplier: Number, seed: int,
    momentum: Number | None = None, nesterov: bool = False,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """As `gradtx.dpsgd`; `seed` is its key."""
    aggregate = differentially_private_aggregate(l2_norm_clip, noise_multiplier, seed)
    direction = identity() if momentum is None else trace(momentum, nesterov)
    return chain(aggregate, direction, scale_by_learning_rate(learning_rate))
