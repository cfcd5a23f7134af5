"""Margin losses: what no row can know."""

import jax
import jax.numpy as jnp
import numpy as np
import sklearn.metrics

from gradtx import losses
from gradtx.projections import projection_simplex

SCORES = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
LABELS = np.array([0, 2, 1, 1, 0, 2])


def test_the_mean_hinge_is_that_of_scikit_learn():
    wanted = sklearn.metrics.hinge_loss(LABELS, SCORES)
    np.testing.assert_allclose(losses.multiclass_hinge_loss(SCORES, LABELS).mean(), wanted, rtol=1e-6)
    signs = np.where(LABELS > 0, 1, -1)
    wanted = sklearn.metrics.hinge_loss(signs, SCORES[:, 0])
    np.testing.assert_allclose(losses.hinge_loss(SCORES[:, 0], signs).mean(), wanted, rtol=1e-6)


def test_two_classes_are_the_binary_case():
    s, y = SCORES[:, 0], (LABELS > 0).astype(int)
    two = np.stack([np.zeros_like(s), s], -1)
    signs = 2 * y - 1
    np.testing.assert_allclose(losses.multiclass_hinge_loss(two, y), losses.hinge_loss(s, signs), rtol=1e-6)
    np.testing.assert_allclose(losses.multiclass_perceptron_loss(two, y), losses.perceptron_loss(s, signs), rtol=1e-6)
    np.testing.assert_allclose(losses.multiclass_sparsemax_loss(two, y), losses.sparsemax_loss(s, y), atol=1e-6)


def test_the_gradient_of_sparsemax_is_its_projection_less_the_label():
    slope = jax.jit(jax.grad(lambda s: jnp.sum(losses.multiclass_sparsemax_loss(s, LABELS))))
    for scale in (1.0, 1e5):
        grads = slope(scale * SCORES)
        wanted = jax.jit(jax.vmap(projection_simplex))(scale * SCORES) - np.eye(3)[LABELS]
        np.testing.assert_allclose(grads, wanted, atol=1e-6)


def test_sparsemax_is_zero_from_a_lead_of_one_on():
    got = losses.multiclass_sparsemax_loss(
        jnp.array([[1.0, 0.0, -jnp.inf], [1e5, 0.0, 0.0], [0.5, 0.0, -9.0]]), jnp.zeros(3, int)
    )
    np.testing.assert_allclose(got, [0, 0, 1 / 16], atol=1e-7)


def test_a_common_offset_of_the_scores_costs_nothing():
    scores, label = jnp.array([0.5, 0.25, 0.0]), jnp.array(1)
    for loss in (losses.multiclass_hinge_loss, losses.multiclass_perceptron_loss, losses.multiclass_sparsemax_loss):
        np.testing.assert_allclose(loss(scores + 2**16, label), loss(scores, label), rtol=1e-6)


def test_any_number_of_leading_axes():
    for loss in (losses.multiclass_hinge_loss, losses.multiclass_perceptron_loss, losses.multiclass_sparsemax_loss):
        loss = jax.jit(loss)
        flat = loss(SCORES, LABELS)
        np.testing.assert_array_equal(loss(SCORES.reshape(2, 3, 3), LABELS.reshape(2, 3)), flat.reshape(2, 3))
        np.testing.assert_array_equal(loss(SCORES[0], LABELS[0]), flat[0])
