"""MoMo: steps by hand, the model that its step solves, the lower bound that it learns, errors."""

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx

THETA = jnp.array([3.0, 4.0])  # f = |theta|^2 / 2 = 12.5, g = theta


def step(tx, value=12.5, g=THETA):
    return tx.update(g, tx.init(THETA), THETA, value=jnp.float32(value))


def test_the_first_step_is_polyaks():
    """(12.5 - 25 + 25) / 25 = 1/2."""
    chex.assert_trees_all_close(step(gradtx.momo())[0], -0.5 * THETA)
    chex.assert_trees_all_close(step(gradtx.momo(0.1))[0], -0.1 * THETA)
    chex.assert_trees_all_close(step(gradtx.momo(bias_correction=True))[0], -0.5 * THETA, rtol=1e-5)


def test_one_decayed_step_by_hand():
    """a = 1.5: tau = (1.5 (12.5 - 25) + 25) / 25 = 1/4, theta <- (3/4) theta / 1.5."""
    chex.assert_trees_all_close(step(gradtx.momo(weight_decay=0.5))[0], -0.5 * THETA)


def test_the_first_step_of_momo_adam_by_hand():
    """m / (1 - b1) = g, D = |g|: <m, m / D> / (1 - b1) = 0.1 * 7; tau / (1 - b1) ... = min(eta, 12.5 / 7) sign(g)."""
    chex.assert_trees_all_close(step(gradtx.momo_adam(100.0))[0], -12.5 / 7 * jnp.ones(2), rtol=1e-5)
    chex.assert_trees_all_close(step(gradtx.momo_adam(0.01))[0], -0.01 * jnp.ones(2), rtol=1e-5)


@pytest.mark.parametrize("weight_decay", [None, 0.3])
@pytest.mark.parametrize("make", [gradtx.momo, gradtx.momo_adam])
def test_a_step_below_the_cap_takes_the_model_to_the_lower_bound(make, weight_decay):
    """f + <m, theta_new> - c = rho lb, also with decay: that is what tau is made for."""
    tx = make(50.0, lower_bound=0.5, weight_decay=weight_decay)
    params, state = THETA, tx.init(THETA)
    for t in range(1, 6):
        value, g = 0.5 * jnp.sum(params**2) + 1, params + 0.1 * t
        updates, state = tx.update(g, state, params, value=value)
        params = params + updates
        rho = 1 if make is gradtx.momo else 1 - 0.9**t
        model = state.barf + jnp.vdot(state.exp_avg, params) - state.gamma
        assert model == pytest.approx(0.5 * rho, abs=1e-3) or model < 0.5 * rho


@pytest.mark.parametrize("make", [gradtx.momo, gradtx.momo_adam])
def test_it_learns_a_lower_bound_that_it_was_not_told(make):
    """The least loss is 3; -10 is all that is known."""
    tx = make(lower_bound=-10.0, adapt_lower_bound=True)
    loss = lambda x: 3 + jnp.sum(jnp.square(x)) / 2

    def body(carry, _):
        x, state = carry
        value, g = jax.value_and_grad(loss)(x)
        updates, state = tx.update(g, state, x, value=value)
        return (x + updates, state), state.lb

    (last, _), bounds = jax.lax.scan(body, (THETA, tx.init(THETA)), None, length=3000)
    assert loss(last) == pytest.approx(3, abs=1e-2)
    assert bounds[-1] == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("make", [gradtx.momo, gradtx.momo_adam])
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e18])
def test_extreme_gradients_give_finite_steps(make, size):
    chex.assert_tree_all_finite(step(make(), 1.0, size * THETA))


@pytest.mark.parametrize("make", [gradtx.momo, gradtx.momo_adam])
def test_errors(make):
    tx = make()
    with pytest.raises(TypeError, match=rf"{tx.name} needs value: call update\(.*value=\.\.\.\)"):
        tx.update(THETA, tx.init(THETA), THETA)
    with pytest.raises(ValueError, match=f"{tx.name} needs params"):
        tx.update(THETA, tx.init(THETA), value=1.0)
    with pytest.raises((TypeError, ValueError), match=f"{tx.name}: weight_decay must be"):
        make(weight_decay=gradtx.coupled(0.1))
