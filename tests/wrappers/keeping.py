"""Runs of `kept`, for its tests."""

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import gradtx

BF16 = ml_dtypes.bfloat16
RATE = np.float32(0.01)
KEEPINGS = {
    "stochastic": gradtx.stochastic(3),
    "kahan": gradtx.kahan(),
    "residual-8": gradtx.residual(),
    "residual-16": gradtx.residual(16),
    "master": gradtx.master(),
}
every_keeping = pytest.mark.parametrize("keeping", KEEPINGS.values(), ids=KEEPINGS)


def draw(steps, seed=0, size=2000):
    """Parameters of many magnitudes that bfloat16 has, and the gradients of some steps, in float32."""
    rng = np.random.default_rng(seed)
    p = (rng.normal(size=size) * 10.0 ** rng.uniform(-4, 3, size)).astype(BF16)
    return p, (rng.normal(size=(steps, size)) * np.abs(p.astype(np.float32)) * 0.3).astype(np.float32)


def run(keeping, p, grads, rate=RATE):
    tx = gradtx.kept(gradtx.sgd(rate), keeping)
    state = tx.init(jnp.asarray(p))
    for g in grads:
        p, state = gradtx.step(tx, jnp.asarray(p), state, jnp.asarray(g))
    return p, state
