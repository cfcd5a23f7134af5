"""Rprop: steps by hand, signs alone matter, where Optax lags, errors."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import make_grads, make_params, train


def test_steps_by_hand():
    """delta: 0.1, grown to 0.12, shrunk to 0.06 without a move, kept after it, grown to 0.072."""
    tx = gradtx.rprop(0.1)
    _, state, updates = train(tx, jnp.zeros(1), jnp.array([[5.0], [0.1], [-3.0], [-2.0], [-1.0]]))
    np.testing.assert_allclose(updates[:, 0], [-0.1, -0.12, 0, 0.06, 0.072], rtol=1e-6)
    np.testing.assert_allclose(state[0].step_sizes, 0.072, rtol=1e-6)


def test_steps_stay_between_their_limits():
    grads = jnp.tile(jnp.array([[1.0, 1.0], [1.0, -1.0]]), (15, 1))
    _, state, updates = train(gradtx.rprop(0.1, 0.5, 1.2, 0.01, 1.0), jnp.zeros(2), grads)
    np.testing.assert_allclose(state[0].step_sizes, [1.0, 0.01])
    np.testing.assert_allclose(updates[-1, 0], -1.0)


def test_only_signs_matter():
    params, grads = make_params(), make_grads(20)
    tx = gradtx.rprop(0.01)
    _, _, updates = train(tx, params, jax.tree.map(lambda g: jnp.sign(g) * g**4, grads))
    chex.assert_trees_all_equal(updates, train(tx, params, grads)[2])


def test_optax_is_one_step_late():
    """What Optax 0.2.8 applies at step t + 1 is ours of step t, but where the newest gradient changes sign: 0."""
    optax = pytest.importorskip("optax")
    params, grads = make_params(), make_grads(20)
    ours = train(gradtx.rprop(0.01), params, grads)[2]
    with jax.numpy_dtype_promotion("standard"):
        theirs = train(optax.rprop(0.01), params, grads)[2]
    for mine, late in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_array_equal(late[0], 0)
        np.testing.assert_allclose(late[1:], np.where(mine[1:] == 0, 0, mine[:-1]), rtol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match=r"min_step_size must not be above max_step_size, got 1.0 > 0.5"):
        gradtx.rprop(0.1, min_step_size=1.0, max_step_size=0.5)
    with pytest.raises(TypeError, match=r"scale_by_rprop: the parameter at \['w'\] is complex64"):
        gradtx.rprop(0.1).init({"w": jnp.ones(2, jnp.complex64)})
    with pytest.raises(TypeError, match=r"rprop: learning_rate must be a number"):
        gradtx.rprop(lambda step: 0.1)  # pyright: ignore[reportArgumentType]
