"""Regression losses: what no row can know."""

import jax
import jax.numpy as jnp
import numpy as np

from gradtx import losses

EVERY = [losses.squared_error, losses.l2_loss, losses.huber_loss, losses.log_cosh]


def test_targets_are_zeros_by_default():
    x = jnp.array([-3.0, 0.5, 2.0])
    for loss in EVERY:
        np.testing.assert_array_equal(loss(x), loss(x, jnp.zeros(3)))
        assert loss(2.0).shape == ()


def test_huber_by_hand_with_a_delta_for_each_column():
    got = losses.huber_loss(jnp.array([[3.0, 3.0], [0.5, -0.5]]), jnp.zeros(2), delta=jnp.array([1.0, 2.0]))
    np.testing.assert_array_equal(got, [[2.5, 4.0], [0.125, 0.125]])


def test_the_gradient_of_huber_is_clipped():
    slope = jax.vmap(jax.grad(losses.huber_loss))
    np.testing.assert_array_equal(slope(jnp.array([-1e30, -1.0, -0.5, 0.0, 1.0, 1e30])), [-1, -1, -0.5, 0, 1, 1])


def test_log_cosh_keeps_its_digits_near_zero_and_far_out():
    x = jnp.array([0.0, 1e-12, 1e-4, 1e-2, 0.999, 1.001, 30.0, 1e30])
    near, far = np.asarray(x[:3], np.float64) ** 2 / 2, np.asarray(x[6:], np.float64) - np.log(2)
    middle = np.log(np.cosh(np.asarray(x[3:6], np.float64)))
    np.testing.assert_allclose(losses.log_cosh(x), [*near, *middle, *far], rtol=3e-7)
    np.testing.assert_allclose(jax.vmap(jax.grad(losses.log_cosh))(x), np.tanh(np.asarray(x, np.float64)), rtol=3e-7)


def test_integer_targets_follow_the_predictions():
    x = jnp.array([1.5, -1.0], jnp.bfloat16)
    got = losses.squared_error(x, jnp.array([1, 2]))
    assert got.dtype == jnp.bfloat16
    np.testing.assert_array_equal(got, [0.25, 9.0])


def test_numbers_of_another_dtype_do_not_change_the_result():
    got = losses.huber_loss(jnp.ones(2, jnp.bfloat16), delta=jnp.float32(0.5))
    assert got.dtype == jnp.bfloat16
