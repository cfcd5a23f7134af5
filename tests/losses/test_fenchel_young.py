"""Fenchel-Young losses."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from gradtx import losses
from gradtx.projections import projection_simplex

SCORES = np.random.default_rng(0).standard_normal((2, 4, 3)).astype(np.float32)
LABELS = np.array([[0, 2, 1, 1], [2, 0, 0, 1]])
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]


def test_the_losses_of_three_maxima():
    def quadratic(s):
        p = projection_simplex(s)
        return p @ s - p @ p / 2 + 1 / 2

    wanted = {
        logsumexp: losses.softmax_cross_entropy_with_integer_labels,
        jnp.max: losses.multiclass_perceptron_loss,
        quadratic: losses.multiclass_sparsemax_loss,
    }
    for maximum, loss in wanted.items():
        got = jax.jit(losses.make_fenchel_young_loss(maximum))(SCORES, ONE_HOT)
        np.testing.assert_allclose(got, loss(SCORES, LABELS), rtol=1e-5, atol=1e-6)


def test_the_gradient_is_the_maximiser_less_the_target():
    loss = losses.make_fenchel_young_loss(logsumexp)
    grads = jax.grad(lambda s: jnp.sum(loss(s, ONE_HOT)))(jnp.asarray(SCORES))
    np.testing.assert_allclose(grads, jax.nn.softmax(SCORES) - ONE_HOT, atol=1e-6)


def test_a_maximum_with_a_rule_of_its_own_is_not_differentiated():
    @jax.custom_jvp
    def smoothed(s):
        return jax.pure_callback(lambda s: np.max(s), jax.ShapeDtypeStruct((), s.dtype), s, vmap_method="sequential")

    smoothed.defjvps(lambda ds, _, s: jnp.sum(jax.nn.softmax(s) * ds))
    loss = losses.make_fenchel_young_loss(smoothed)
    np.testing.assert_allclose(loss(SCORES[0], ONE_HOT[0]), losses.multiclass_perceptron_loss(SCORES[0], LABELS[0]))
    grad = jax.grad(loss)(jnp.asarray(SCORES[0, 0]), ONE_HOT[0, 0])
    np.testing.assert_allclose(grad, jax.nn.softmax(SCORES[0, 0]) - ONE_HOT[0, 0], atol=1e-6)


def test_further_arguments_go_to_the_maximum():
    loss = losses.make_fenchel_young_loss(
        lambda s, temperature, *, shift: temperature * logsumexp(s / temperature) + shift
    )
    got = loss(SCORES, ONE_HOT, 2.0, shift=1.0)
    np.testing.assert_allclose(got, 2 * losses.softmax_cross_entropy(SCORES / 2, ONE_HOT) + 1, rtol=1e-5)
