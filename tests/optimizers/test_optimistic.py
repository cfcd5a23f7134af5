"""Optimistic methods: steps by hand, a game where plain steps diverge, agreement with Optax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import assert_same_run


def test_steps_by_hand():
    tx = gradtx.scale_by_optimistic_gradient(2.0, 3.0)
    state = tx.init(jnp.zeros(1))
    assert bool(state.is_initial_step)
    u, state = tx.update(jnp.array([5.0]), state)
    np.testing.assert_array_equal(u, 10)  # the first step has no change
    u, state = tx.update(jnp.array([4.0]), state)
    np.testing.assert_array_equal(u, 2 * 4 + 3 * (4 - 5))
    assert not bool(state.is_initial_step)
    np.testing.assert_array_equal(state.previous_gradient, 4)


@pytest.mark.parametrize(("beta", "converges"), [(0.0, False), (1.0, True)])
def test_converges_on_a_bilinear_game(beta, converges):
    """min over x, max over y of x y: gradient steps spiral outwards, optimistic ones inwards."""
    tx = gradtx.optimistic_gradient_descent(0.1, beta=beta)
    xy = (jnp.array(1.0), jnp.array(1.0))

    def step(carry, _):
        (x, y), state = carry
        return gradtx.step(tx, (x, y), state, (y, -x)), None

    (xy, _), _ = jax.lax.scan(step, (xy, tx.init(xy)), length=2000)
    distance = float(jnp.hypot(*xy))
    assert distance < 1e-3 if converges else distance > 10


def test_follows_schedules():
    tx = gradtx.scale_by_optimistic_gradient(lambda step: jnp.float32(1 + step), 0.0)
    g = jnp.ones(2)
    u, state = tx.update(g, tx.init(g))
    np.testing.assert_array_equal(u, 1)
    u, state = tx.update(g, state)
    np.testing.assert_array_equal(u, 2)


def test_agrees_with_optax():
    optax = pytest.importorskip("optax")
    pairs = [
        (gradtx.scale_by_optimistic_gradient(0.7, 1.3), optax.scale_by_optimistic_gradient(0.7, 1.3)),
        (gradtx.optimistic_gradient_descent(0.1), optax.optimistic_gradient_descent(0.1)),
        (gradtx.optimistic_adam_v2(0.1, alpha=0.7), optax.optimistic_adam_v2(0.1, alpha=0.7)),
    ]
    for ours, theirs in pairs:
        assert_same_run(ours, theirs)


@pytest.mark.filterwarnings("ignore:.*optimistic_adam:DeprecationWarning")
def test_the_deprecated_form_is_the_same_algorithm():
    optax = pytest.importorskip("optax")
    assert_same_run(gradtx.optimistic_adam_v2(0.1, beta=0.3 / 0.1, b2=0.9), optax.optimistic_adam(0.1, 0.3, b2=0.9))
