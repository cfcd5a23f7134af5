"""Polyak's step size: steps by hand, the step that solves a quadratic, its cap, its variants, its errors."""

import chex
import jax.numpy as jnp
import pytest

import gradtx

THETA = jnp.array([3.0, 4.0])  # f = |theta|^2 / 2 = 12.5, g = theta


def step(tx, value=12.5, g=THETA):
    return tx.update(g, tx.init(THETA), THETA, value=jnp.float32(value))[0]


def test_one_step_by_hand():
    """12.5 / 25 = 1/2; with f_min = 5 and eps = 5, 7.5 / 30 = 1/4."""
    chex.assert_trees_all_close(step(gradtx.scale_by_polyak()), 0.5 * THETA)
    chex.assert_trees_all_close(step(gradtx.polyak_sgd()), -0.5 * THETA)
    chex.assert_trees_all_close(step(gradtx.scale_by_polyak(5.0, eps=5.0)), 0.25 * THETA)


def test_c_one_half_solves_a_quadratic_in_one_step():
    chex.assert_trees_all_close(step(gradtx.polyak_sgd(scaling=2.0)), -THETA)


def test_the_cap_holds_whatever_the_scaling():
    chex.assert_trees_all_close(step(gradtx.polyak_sgd(0.1, scaling=50.0)), -0.1 * THETA)
    chex.assert_trees_all_close(step(gradtx.polyak_sgd(float("inf"), scaling=50.0)), -25 * THETA)


def test_a_loss_below_f_min_turns_sps_around_and_stops_sps_plus():
    chex.assert_trees_all_close(step(gradtx.polyak_sgd(f_min=25.0)), 0.5 * THETA)
    chex.assert_trees_all_close(step(gradtx.polyak_sgd(f_min=25.0, variant="sps+")), 0 * THETA)


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e18])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_extreme_gradients_give_finite_steps(size, value):
    chex.assert_tree_all_finite(step(gradtx.polyak_sgd(), value, size * THETA))


def test_weight_decay_follows_the_step_size_and_its_mask():
    params = {"w": THETA, "b": THETA}
    tx = gradtx.polyak_sgd(weight_decay=gradtx.decoupled(0.1, {"w": True, "b": False}))
    updates, _ = tx.update(params, tx.init(params), params, value=jnp.float32(12.5))
    chex.assert_trees_all_close(updates, {"w": -0.25 * 1.1 * THETA, "b": -0.25 * THETA})


def test_coupled_decay_is_part_of_the_gradient():
    """g + 1 theta = 2 theta, so the step size is 12.5 / 100."""
    chex.assert_trees_all_close(step(gradtx.polyak_sgd(weight_decay=gradtx.coupled(1.0))), -0.25 * THETA)


def test_errors():
    tx = gradtx.polyak_sgd()
    with pytest.raises(TypeError, match=r"scale_by_polyak needs value: call update\(.*value=\.\.\.\)"):
        tx.update(THETA, tx.init(THETA), THETA)
    with pytest.raises(ValueError, match="scale_by_polyak: variant must be one of 'sps', 'sps\\+', got 'spss'"):
        gradtx.scale_by_polyak(variant="spss")
    with pytest.raises(ValueError, match="weight_decay must be"):
        gradtx.polyak_sgd(weight_decay=gradtx.cautious_decay(0.1))
