"""Prodigy and D-Adaptation: first steps by hand, estimates that stay below the distance, decay, errors."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx

THETA = jnp.array([3.0, -4.0])
MAKERS = {"prodigy": gradtx.prodigy, "dadapt_adamw": gradtx.dadapt_adamw}
every_method = pytest.mark.parametrize("name", MAKERS)


@every_method
def test_the_first_step_is_the_first_estimate(name):
    """m / sqrt(v) = (1 - b1) / sqrt(1 - b2) sign(g), and the step size has the inverse factor."""
    tx = MAKERS[name](0.5, estim_lr0=0.01, eps=1e-20)
    updates, state = tx.update(jnp.array([2.0, -5.0]), tx.init(THETA), THETA)
    chex.assert_trees_all_close(updates, jnp.array([-0.005, 0.005]), rtol=1e-5)
    assert state.estim_lr == jnp.float32(0.01)
    assert state.count == 1


def test_prodigys_second_step_by_hand():
    """Without averages (b1 = b2 = 0): k = d, and d_2 = max(d, <g, theta_0 - theta> / ||g||_1) = 0.1."""
    tx = gradtx.prodigy(1.0, 0.0, 0.0, 0.0, 1e-20, 0.1)
    g = jnp.array([1.0, 0.0])
    updates, state = tx.update(g, tx.init(THETA), THETA)
    chex.assert_trees_all_close(updates, jnp.array([-0.1, 0.0]))
    updates, state = tx.update(g, state, THETA + 3 * updates)
    chex.assert_trees_all_close(updates, jnp.array([-0.1, 0.0]))
    chex.assert_trees_all_close(state.estim_lr, 0.3, rtol=1e-5)


@every_method
@pytest.mark.parametrize("distance", [0.1, 10.0])
def test_the_estimate_grows_to_the_scale_of_the_distance(name, distance):
    """On |x - c|_1, from a first estimate that is 1e5 or 1e7 times too small. Averages make the bound a loose one."""
    tx, target = MAKERS[name](), jnp.array([1.0, -1.0, 1.0]) * distance
    loss = lambda x: jnp.sum(jnp.abs(x - target))

    def body(carry, _):
        x, state = carry
        updates, state = tx.update(jax.grad(loss)(x), state, x)
        return (x + updates, state), state.estim_lr

    start = jnp.zeros(3)
    (last, _), estimates = jax.lax.scan(body, (start, tx.init(start)), None, length=2000)
    assert jnp.all(jnp.diff(estimates) >= 0)
    assert 0.1 * distance < estimates[-1] < 3 * distance
    assert loss(last) < loss(start) / 2


@every_method
def test_a_zero_learning_rate_stands_still(name):
    tx = MAKERS[name](0.0)
    updates, state = tx.update(THETA, tx.init(THETA), THETA)
    chex.assert_trees_all_equal(updates, jnp.zeros(2))
    chex.assert_tree_all_finite(state)


@every_method
def test_decay_is_lambda_times_the_step_size(name):
    """k = d sqrt(1 - b2) / (1 - b1) at the first step."""
    options: dict[str, Any] = dict(b1=0.5, b2=0.75, estim_lr0=0.01)
    params = {"w": THETA, "b": THETA}
    plain = MAKERS[name](**options)
    decayed = MAKERS[name](**options, weight_decay=gradtx.decoupled(0.1, {"w": True, "b": False}))
    without, _ = plain.update(params, plain.init(params), params)
    updates, _ = decayed.update(params, decayed.init(params), params)
    chex.assert_trees_all_close(updates, {"w": without["w"] - 0.1 * 0.01 * THETA, "b": without["b"]}, rtol=1e-5)


@every_method
def test_other_kinds_of_decay_stand_around_it(name):
    g = jnp.array([2.0, -5.0])
    plain = MAKERS[name](0.5, estim_lr0=0.01)
    coupled = MAKERS[name](0.5, estim_lr0=0.01, weight_decay=gradtx.coupled(1.0))
    independent = MAKERS[name](0.5, estim_lr0=0.01, weight_decay=gradtx.independent(0.1, 1.0))
    expected, _ = plain.update(g + THETA, plain.init(THETA), THETA)
    chex.assert_trees_all_close(coupled.update(g, coupled.init(THETA), THETA)[0], expected)
    expected, _ = plain.update(g, plain.init(THETA), THETA)
    updates, _ = independent.update(g, independent.init(THETA), THETA)
    chex.assert_trees_all_close(updates, expected - 0.05 * THETA)


def test_prodigy_without_bias_correction_starts_slower():
    """(1 - b1) / sqrt(1 - b2) of the corrected step."""
    tx = gradtx.prodigy(1.0, 0.9, 0.99, estim_lr0=0.01, eps=1e-20, bias_correction=False)
    updates, _ = tx.update(THETA, tx.init(THETA), THETA)
    chex.assert_trees_all_close(updates, jnp.array([-0.01, 0.01]), rtol=1e-5)
    tx = gradtx.prodigy(1.0, 0.9, 0.9964, estim_lr0=0.01, eps=1e-20, bias_correction=False)
    updates, _ = tx.update(THETA, tx.init(THETA), THETA)
    chex.assert_trees_all_close(updates, jnp.array([-0.01, 0.01]) * 0.1 / 0.06, rtol=1e-4)


@every_method
def test_errors(name):
    tx = MAKERS[name]()
    with pytest.raises(ValueError, match=f"{name} needs params"):
        tx.update(THETA, tx.init(THETA))
    with pytest.raises(ValueError, match=f"{name}: estim_lr0 must be in \\(0, inf\\), got 0.0"):
        MAKERS[name](estim_lr0=0.0)
    with pytest.raises(ValueError, match="weight_decay must be"):
        MAKERS[name](weight_decay=gradtx.cautious_decay(0.1))
