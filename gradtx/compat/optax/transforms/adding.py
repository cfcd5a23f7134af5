"""What is added to updates: weight decay and noise."""

import warnings

import jax

import gradtx
from gradtx.compat.optax.base import (
    GradientTransformationExtraArgs,
    MaskOrFn,
    Number,
    ScalarOrSchedule,
    expose,
    translated,
)
from gradtx.compat.optax.combine import masked
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.states import ScaleByScheduleState, WeightDecaySchedule


@remembered
def add_decayed_weights(weight_decay: ScalarOrSchedule = 0.0, mask: MaskOrFn = None) -> GradientTransformationExtraArgs:
    """As `gradtx.add_decayed_weights`; a mask makes it `masked`."""
    tx = expose(gradtx.add_decayed_weights, weight_decay)
    if callable(weight_decay):
        tx = translated(tx, lambda s: WeightDecaySchedule(s.count), lambda s: ScaleByScheduleState(s.count))
    return tx if mask is None else masked(tx, mask)


def add_noise(
    eta: Number, gamma: Number, key: jax.Array | int | None = None, *, seed: int | None = None
) -> GradientTransformationExtraArgs:
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
