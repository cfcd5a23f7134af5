"""A program written for Optax under pyright's strict mode: `gradtx.compat.optax` has types. Checked by `.ci/run`."""

from typing import Any, assert_type

import jax
import jax.numpy as jnp

import gradtx.compat.optax as optax

rate = optax.warmup_cosine_decay_schedule(0.0, 1e-3, 10, 100)
tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate, b1=0.9, mu_dtype="bfloat16", mask=None))
params = {"w": jnp.ones(3)}
state = tx.init(params)
updates, state = tx.update(params, state, params)
params = optax.apply_updates(params, updates)


def make(learning_rate: optax.ScalarOrSchedule = 0.1) -> optax.GradientTransformation:
    return optax.MultiSteps(optax.sgd(learning_rate, momentum=0.9), 4).gradient_transformation()


assert_type(tx, optax.GradientTransformationExtraArgs)
assert_type(optax.lookahead(make(), 5, 0.5), optax.GradientTransformationExtraArgs)
assert_type(optax.contrib.prodigy(betas=(0.9, 0.99)), optax.GradientTransformationExtraArgs)
assert_type(optax.transforms.clip(1.0), optax.GradientTransformationExtraArgs)
assert_type(optax.scale_by_adam().init(params), Any)
assert_type(optax.ScaleByAdamState._fields, tuple[str, ...])
assert_type(optax.losses.l2_loss(params["w"]), jax.Array)
assert_type(optax.tree.norm(params), jax.Array)
optax.adam(1e-3, beta=0.9)  # pyright: ignore[reportCallIssue]
optax.adam("fast")  # pyright: ignore[reportArgumentType]
optax.no_such_name  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
