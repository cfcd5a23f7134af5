"""Transforms by block: by hand, nothing below the threshold, agreement with Optax, errors."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import at, make_grads, make_params


def test_by_hand():
    g, p = jnp.array([3.0, 4.0]), jnp.array([6.0, 8.0])
    for tx, factor in (
        (gradtx.clip_by_block_rms(1.0), 1 / np.sqrt(12.5)),
        (gradtx.clip_by_block_rms(4.0), 1.0),
        (gradtx.clip_by_block_rms(0.0), 0.0),
        (gradtx.clip_by_block_rms(float("inf")), 1.0),
        (gradtx.scale_by_param_block_rms(), np.sqrt(50)),
        (gradtx.scale_by_param_block_norm(), 10.0),
        (gradtx.scale_by_param_block_norm(20.0), 20.0),
    ):
        u, _ = tx.update(g, tx.init(p), p)
        np.testing.assert_allclose(u, factor * g, rtol=1e-6)


def test_agrees_with_optax():
    optax = pytest.importorskip("optax")
    params, g = make_params(), at(make_grads(1), 0)
    for ours, theirs in (
        (gradtx.clip_by_block_rms(0.5), optax.clip_by_block_rms(0.5)),
        (gradtx.scale_by_param_block_rms(0.9), optax.scale_by_param_block_rms(0.9)),
        (gradtx.scale_by_param_block_norm(1.5), optax.scale_by_param_block_norm(1.5)),
    ):
        with jax.numpy_dtype_promotion("standard"):
            expected, _ = theirs.update(g, theirs.init(params), params)
        chex.assert_trees_all_close(ours.update(g, ours.init(params), params)[0], expected, rtol=1e-6)


def test_errors():
    with pytest.raises(ValueError, match="scale_by_param_block_norm needs params"):
        gradtx.scale_by_param_block_norm().update(jnp.ones(2), ())
