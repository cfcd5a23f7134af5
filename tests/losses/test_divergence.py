"""Divergences: what no row can know."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradtx import losses

NONE = -jnp.inf
CASES = {
    "kl_divergence": (losses.kl_divergence, lambda q: q),
    "kl_divergence_with_log_targets": (losses.kl_divergence_with_log_targets, jnp.log),
    "generalized_kl_divergence": (losses.generalized_kl_divergence, lambda q: q),
}


@pytest.mark.parametrize("name", CASES)
def test_classes_that_have_probability_zero(name):
    """Where target and prediction have none, the loss is that of the other classes; where only this has none, inf."""
    loss, given = CASES[name]
    q = jnp.array([[0.0, 0.25, 0.75], [0.5, 0.25, 0.25]])
    log_p = jnp.log(jnp.array([0.0, 0.5, 0.5]))
    both = jax.value_and_grad(lambda p, q: loss(p, given(q)), (0, 1))
    value, grads = both(log_p, q[0])
    np.testing.assert_allclose(value, loss(log_p[1:], given(q[0, 1:])), rtol=1e-6)
    assert np.all(np.isfinite(grads[0]))
    assert np.all(np.isfinite(jax.grad(lambda y: loss(log_p, y))(given(q[0]))))
    value, grads = both(log_p, q[1])
    assert value == np.inf and np.all(np.isfinite(grads[0]))


def test_the_generalised_divergence_is_a_divergence_of_any_numbers():
    p = jnp.array([0.2, 3.0, 1.0])
    value, grad = jax.value_and_grad(losses.generalized_kl_divergence)(jnp.log(p), p)
    np.testing.assert_allclose(value, 0, atol=1e-6)
    np.testing.assert_allclose(grad, 0, atol=1e-6)
    assert losses.generalized_kl_divergence(jnp.log(p), 2 * p) > 0
    q = jnp.array([0.2, 0.3, 0.5])
    log_p = jax.nn.log_softmax(p)
    np.testing.assert_allclose(losses.generalized_kl_divergence(log_p, q), losses.kl_divergence(log_p, q), rtol=1e-6)
