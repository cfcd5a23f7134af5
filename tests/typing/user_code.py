"""A user's program under pyright's strict mode: what gradtx hands out has useful types. Checked by `.ci/run`."""

from typing import Any, assert_type

import jax
import jax.numpy as jnp

import gradtx
from gradtx.transforms.decay import DecayKind


@gradtx.transformation
def scale_by_two(strength: gradtx.Positive = 2.0) -> gradtx.GradientTransformation:
    return gradtx.scale(strength)


@gradtx.optimizer(scale_by_two)
def twice(learning_rate: gradtx.NonNegative, strength: gradtx.Positive = 2.0, *, weight_decay: DecayKind = None):
    """Descent by twice the gradient."""


@gradtx.schedule
def hyperbola(step: jax.Array, peak: gradtx.Number, offset: gradtx.Number = 1.0) -> jax.Array:
    return peak / (step + offset)


warm = hyperbola(0.1, offset=2.0)
tx = gradtx.chain(scale_by_two(3.0), gradtx.clip_by_global_norm(1.0), gradtx.adamw(warm, b1=0.9))
params = {"w": jnp.ones(3)}
params, state = gradtx.step(tx, params, tx.init(params), params)
init, update = tx

assert_type(tx, gradtx.GradientTransformation)
assert_type(gradtx.adam(1e-3, b2=0.99, weight_decay=gradtx.coupled(0.1)), gradtx.GradientTransformation)
assert_type(twice(0.1, strength=3.0), gradtx.GradientTransformation)
gradtx.adam(1e-3, beta=0.9)  # pyright: ignore[reportCallIssue]
assert_type(warm, gradtx.Schedule)
assert_type(warm(0), jax.Array)
assert_type(gradtx.hyperparameters(tx), dict[str, Any])
