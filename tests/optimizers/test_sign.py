"""signSGD, Signum and Lion: steps by hand, invariance to scale, agreement with Optax, errors."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import assert_same_run, make_grads, make_params, train


def test_two_lion_steps_by_hand():
    """b1 = 1/2, b2 = 3/4, eta = 0.1, lambda = 1/2, theta = 1, g = 4 then -1.

    Step 1: c = 2, u = 1, mu = 1; theta <- 1 - 0.1 (1 + 1/2) = 0.85.
    Step 2: c = 1/2 - 1/2 = 0, u = 0, mu = 3/4 - 1/4 = 1/2; theta <- 0.85 - 0.1 0.425.
    """
    tx = gradtx.lion(0.1, 0.5, 0.75, weight_decay=0.5)
    params = jnp.ones(1)
    params, state = gradtx.step(tx, params, tx.init(params), jnp.array([4.0]))
    chex.assert_trees_all_close((params, state[0].mu), (jnp.array([0.85]), jnp.array([1.0])))
    params, state = gradtx.step(tx, params, state, jnp.array([-1.0]))
    chex.assert_trees_all_close((params, state[0].mu), (jnp.array([0.8075]), jnp.array([0.5])))


@pytest.mark.parametrize("make", [gradtx.sign_sgd, gradtx.signum, lambda lr: gradtx.lion(lr, weight_decay=None)])
def test_every_element_moves_by_the_learning_rate(make):
    grads = make_grads(5)
    for size in (1e-6, 1.0, 1e6):
        scaled = jax.tree.map(lambda g, size=size: size * g, grads)
        _, _, updates = train(make(0.25), make_params(), scaled)
        chex.assert_trees_all_close(jax.tree.map(jnp.abs, updates), jax.tree.map(lambda g: 0 * g + 0.25, grads))


@pytest.mark.parametrize("mode", ["hard", "smooth", "refined"])
def test_complex_directions_keep_the_phase(mode):
    tx = gradtx.scale_by_lion(0.0, mode=mode, smooth_beta=2.0)
    g = jnp.array([0.3 + 0.4j, -3 + 4j, 0])
    u, _ = tx.update(g, tx.init(g))
    size = {"hard": [1, 1], "smooth": np.tanh([1.0, 10.0]), "refined": [0.5, 1]}[mode]
    np.testing.assert_allclose(u, [*(np.array([0.6 + 0.8j, -0.6 + 0.8j]) * size), 0], rtol=1e-6)


@pytest.mark.parametrize("mode", ["hard", "smooth", "refined"])
def test_lion_agrees_with_optax(mode):
    optax = pytest.importorskip("optax")
    theirs = optax.scale_by_lion(0.8, 0.95, mode=mode, smooth_beta=2.0)
    assert_same_run(gradtx.scale_by_lion(0.8, 0.95, mode=mode, smooth_beta=2.0), theirs)


def test_defaults_agree_with_optax():
    optax = pytest.importorskip("optax")
    assert_same_run(gradtx.lion(0.01), optax.lion(0.01))
    assert_same_run(gradtx.sign_sgd(0.01), optax.sign_sgd(0.01))
    assert_same_run(gradtx.signum(0.01), optax.signum(0.01))


def test_errors():
    with pytest.raises(ValueError, match=r"scale_by_lion: mode must be one of 'hard', 'smooth', 'refined', got 'soft'"):
        gradtx.scale_by_lion(mode="soft")
    with pytest.raises(ValueError, match=r"lion: b2 must be in \[0, 1\), got 1.0"):
        gradtx.lion(0.1, b2=1.0)
    with pytest.raises(ValueError, match=r"add_decayed_weights needs params"):
        gradtx.lion(0.1).update(jnp.ones(2), gradtx.lion(0.1).init(jnp.ones(2)))
