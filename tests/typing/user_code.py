"""A user's program under pyright's strict mode: what gradtx hands out has useful types. Checked by `.ci/run`."""

from typing import Any, assert_type

import jax
import jax.numpy as jnp

import gradtx


@gradtx.transformation
def scale_by_two(strength: gradtx.Positive = 2.0) -> gradtx.GradientTransformation:
    return gradtx.scale(strength)


@gradtx.schedule
def hyperbola(step: jax.Array, peak: gradtx.Number, offset: gradtx.Number = 1.0) -> jax.Array:
    return peak / (step + offset)


warm = hyperbola(0.1, offset=2.0)
tx = gradtx.chain(scale_by_two(3.0), gradtx.clip_by_global_norm(1.0), gradtx.adamw(warm, b1=0.9))
params = {"w": jnp.ones(3)}
params, state = gradtx.step(tx, params, tx.init(params), params)
init, update = tx

assert_type(tx, gradtx.GradientTransformation)
assert_type(gradtx.adam(1e-3), gradtx.GradientTransformation)
assert_type(warm, gradtx.Schedule)
assert_type(warm(0), jax.Array)
assert_type(gradtx.hyperparameters(tx), dict[str, Any])
