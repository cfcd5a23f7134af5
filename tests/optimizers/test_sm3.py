"""SM3: one step by hand, memory, AdaGrad on vectors, a bound on AdaGrad's sums, agreement with Optax, errors."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import make_grads, make_params, train


def test_two_steps_by_hand():
    g = jnp.array([[1.0, 2.0], [3.0, 0.0]])
    tx = gradtx.scale_by_sm3(0.0, eps=0.0)
    u, state = tx.update(g, tx.init(g))
    np.testing.assert_allclose(u, [[1, 1], [1, 0]])
    np.testing.assert_allclose(state.mu[0], [4, 9])  # rows
    np.testing.assert_allclose(state.mu[1], [9, 4])  # columns
    u, state = tx.update(g, state)
    v = np.array([[4 + 1, 4 + 4], [9 + 9, 4 + 0]])  # min of row and column, plus g^2
    np.testing.assert_allclose(u, g / np.sqrt(v), rtol=1e-6)
    np.testing.assert_allclose(state.mu[0], v.max(axis=1))


def test_keeps_one_vector_per_axis():
    mu = gradtx.scale_by_sm3().init(make_params()).mu
    assert [x.shape for x in mu["kernel"]] == [(2,), (3,), (2,), (4,)]
    assert [x.shape for x in mu["vector"]] == [(5,)]
    assert [x.shape for x in mu["scalar"]] == [()]


def test_vectors_see_adagrad():
    params, grads = {"v": make_params()["vector"]}, {"v": make_grads(10)["vector"]}
    ours = train(gradtx.scale_by_sm3(0.0), params, grads)[2]
    adagrad = train(gradtx.scale_by_rss(0.0, 1e-8), params, grads)[2]
    chex.assert_trees_all_close(ours, adagrad, rtol=1e-5)


def test_sums_are_never_below_adagrads():
    params, grads = make_params(), make_grads(20)
    mu = train(gradtx.scale_by_sm3(0.0), params, grads)[1].mu["matrix"]
    sums = np.sum(np.square(grads["matrix"]), axis=0)
    assert (np.minimum(mu[0][:, None], mu[1][None, :]) >= sums * (1 - 1e-6)).all()


def test_agrees_with_optax():
    optax = pytest.importorskip("optax")
    params, grads = ({k: v for k, v in x.items() if k != "scalar"} for x in (make_params(), make_grads(20)))
    for ours, theirs in (
        (gradtx.sm3(0.1), optax.sm3(0.1)),
        (gradtx.scale_by_sm3(0.8, 0.9), optax.scale_by_sm3(0.8, 0.9)),
    ):
        chex.assert_trees_all_close(
            train(ours, params, grads)[2], train(theirs, params, grads)[2], rtol=1e-5, atol=1e-6
        )


def test_errors():
    with pytest.raises(ValueError, match=r"scale_by_sm3: b2 must be in \[0, 1\]"):
        gradtx.scale_by_sm3(b2=1.1)
