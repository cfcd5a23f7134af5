"""Margin losses of scores: hinge, perceptron and sparsemax, for two classes and for many."""

import jax
import jax.numpy as jnp

from gradtx.core.precision import cast
from gradtx.core.typing import Array
from gradtx.losses.inputs import Values, loss, pick
from gradtx.losses.ranges import held
from gradtx.losses.softmax import weighted
from gradtx.projections.simplex import projection_simplex


@loss("predictor_outputs", "targets")
def hinge_loss(predictor_outputs: Values, targets: Values) -> Array:
    """Hinge loss of two classes.

        max(1 - y s, 0)

    Args:
        predictor_outputs: scores s, of any shape.
        targets: y, -1 or 1, of a shape that broadcasts with it.

    Source: Cortes & Vapnik 1995, Support-vector networks.
    """
    return jnp.maximum(1 - targets * predictor_outputs, 0)


@loss("predictor_outputs", "targets", shapes="equal")
def perceptron_loss(predictor_outputs: Values, targets: Values) -> Array:
    """Perceptron loss of two classes.

        max(-y s, 0)

    Args:
        predictor_outputs: scores s, of any shape.
        targets: y, -1 or 1, of the same shape.

    Source: Rosenblatt 1958, The perceptron.
    """
    return jnp.maximum(-targets * predictor_outputs, 0)


@loss("logits", "labels")
def sparsemax_loss(logits: Values, labels: Values) -> Array:
    """Sparsemax loss of two classes: a hinge, rounded between the margins.

        0                where z <= -1
        (z + 1)^2 / 4    where -1 < z < 1
        z                where z >= 1, with z = -(2 y - 1) s

    Args:
        logits: scores s, of any shape.
        labels: y, 0 or 1, of a shape that broadcasts with it.

    Source: Blondel, Martins & Niculae 2020, arXiv:1901.02324, section 4.4.
    """
    z = (1 - 2 * labels) * logits
    return jnp.square(jnp.clip(z, -1, 1) + 1) / 4 + jnp.maximum(z - 1, 0)


@loss("scores")
def multiclass_hinge_loss(scores: Values, labels: Values) -> Array:
    """Hinge loss of many classes: by how much the best other class comes within 1 of the right one.

        max(max_j (s_j + [j != label]) - s_label)

    Args:
        scores: s, of shape (..., classes).
        labels: integers below the number of classes, of shape (...).

    Returns:
        The loss of each example, of shape (...).

    Raises:
        TypeError: labels that are not integers.
        ValueError: labels that do not broadcast to the examples.

    Source: Crammer & Singer 2001, On the algorithmic implementation of multiclass kernel-based vector machines.
    """
    right = pick("multiclass_hinge_loss", scores, labels)
    classes = scores.shape[-1]
    others = jnp.arange(classes, dtype=jnp.int32) != jnp.mod(cast(labels, jnp.int32), classes)[..., None]
    return jnp.max(jnp.where(others, scores + 1, scores), -1) - right


@loss("scores")
def multiclass_perceptron_loss(scores: Values, labels: Values) -> Array:
    """Perceptron loss of many classes: by how much the best class beats the right one.

        max_j s_j - s_label

    Args:
        scores: s, of shape (..., classes).
        labels: integers below the number of classes, of shape (...).

    Returns:
        The loss of each example, of shape (...).

    Raises:
        TypeError: labels that are not integers.
        ValueError: labels that do not broadcast to the examples.

    Source: Collins 2002, Discriminative training methods for hidden Markov models.
    """
    return jnp.max(scores, -1) - pick("multiclass_perceptron_loss", scores, labels)


@loss("scores")
def multiclass_sparsemax_loss(scores: Values, labels: Values) -> Array:
    """Sparsemax loss of many classes: 0 where the right one leads by at least 1.

        <s, p> - ||p||^2 / 2 + 1/2 - s_label, with p = sparsemax(s), the projection of s onto the simplex

    Its gradient is p less the one-hot label.

    Args:
        scores: s, of shape (..., classes).
        labels: integers below the number of classes, of shape (...).

    Returns:
        The loss of each example, of shape (...).

    Raises:
        TypeError: labels that are not integers.
        ValueError: labels that do not broadcast to the examples.

    Source: Martins & Astudillo 2016, arXiv:1602.02068.
    """
    s = scores - jnp.max(jax.lax.stop_gradient(scores), -1, keepdims=True)  # an offset changes nothing but the rounding
    p = jnp.vectorize(projection_simplex, signature="(n)->(n)")(s)
    value = jnp.sum(weighted(p, s), -1) + (1 - jnp.sum(jnp.square(p), -1)) / 2
    return held(value - pick("multiclass_sparsemax_loss", s, labels), 0)
