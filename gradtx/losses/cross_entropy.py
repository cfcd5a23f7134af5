"""Cross entropies of logits: over classes by softmax, with one label or a distribution, and of each logit by itself."""

import math
import operator

import jax
import jax.numpy as jnp

from gradtx.core.typing import Array, ArrayLike
from gradtx.losses.inputs import Axis, Values, as_mask, hide, loss, pick
from gradtx.losses.ranges import not_below_zero
from gradtx.losses.softmax import log_softmax, weighted


@loss("logits", "labels")
def softmax_cross_entropy(logits: Values, labels: Values, axis: Axis = -1, where: Values | None = None) -> Array:
    """Cross entropy of softmax probabilities against distributions.

        -sum(y log softmax(x)), with 0 log 0 = 0

    Args:
        logits: x, of shape (..., classes) for the default axis; -inf excludes a class.
        labels: y, one-hot or any distributions, of a shape that broadcasts with it.
        where: True at the entries that count: of the shape of the result, for examples, or of the rank of `logits`,
            for single logits. What is left out counts in neither sum; an example without entries costs 0.
    """
    log_p, labels = _log_likelihoods(logits, labels, axis, where)
    return -jnp.sum(weighted(labels, log_p), axis)


@loss("logits", "labels")
def safe_softmax_cross_entropy(logits: Values, labels: Values) -> Array:
    """Cross entropy over the last axis, for logits of -inf: `softmax_cross_entropy`, which is as safe.

        -sum(y log softmax(x)), with 0 log 0 = 0

    Args:
        logits: x, of shape (..., classes); a class of logit -inf costs nothing where its label is 0.
        labels: y, one-hot or any distributions, of a shape that broadcasts with it.

    Returns:
        The loss of each example, of shape (...); inf where a class with a label has the logit -inf.
    """
    return softmax_cross_entropy(logits, labels)


@loss("logits")
def softmax_cross_entropy_with_integer_labels(
    logits: Values, labels: Values, axis: Axis = -1, where: Values | None = None
) -> Array:
    """Cross entropy of softmax probabilities against one label each.

        -log softmax(x)[label]

    Args:
        logits: x, of shape (..., classes) for the default axis; -inf excludes a class.
        labels: integers below the number of classes, of the shape without those axes; as indices do, negative ones
            count from the end. The loss of a label that is no class is NaN.
        axis: along which the classes lie: an axis, or None or several for classes numbered as the elements of an
            array of these axes, in their order.
        where: True at the entries that count: of the shape of the result, for examples, or of the rank of `logits`,
            for single logits. An example whose label's logit is left out costs 0, as with one-hot labels.

    Raises:
        TypeError: labels that are not integers.
        ValueError: labels that do not broadcast to the examples.
    """
    axes = _axes(axis, logits.ndim)
    where = _over_classes(where, logits.ndim, axis)
    kept = None if where is None else _classes_last(as_mask(where, logits.shape), axes)
    log_p = log_softmax(_classes_last(logits, axes), -1, kept)
    losses = -pick("softmax_cross_entropy_with_integer_labels", log_p, labels)
    return losses if kept is None else jnp.where(jnp.any(kept, -1), losses, 0)


@loss("logits", "labels")
def poly_loss_cross_entropy(
    logits: Values, labels: Values, *, epsilon: ArrayLike = 2.0, axis: Axis = -1, where: Values | None = None
) -> Array:
    """PolyLoss-1: softmax cross entropy with another weight on its term linear in the probability.

        -sum(y log p) + epsilon sum(y (1 - p)), with p = softmax(x)

    Args:
        logits: x, of shape (..., classes) for the default axis.
        labels: y, one-hot or any distributions, of a shape that broadcasts with it.
        epsilon: what is added to the coefficient 1 of 1 - p; a number, or an array of the shape of the result.
        where: True at the entries that count, of the shape of the result or of the rank of `logits`.

    Source: Leng et al. 2022, arXiv:2204.12511.
    """
    log_p, labels = _log_likelihoods(logits, labels, axis, where)
    cross_entropy, linear = -jnp.sum(weighted(labels, log_p), axis), -jnp.sum(labels * jnp.expm1(log_p), axis)
    return not_below_zero(cross_entropy + epsilon * linear, cross_entropy)


@loss("logits", "labels")
def sigmoid_binary_cross_entropy(logits: Values, labels: Values) -> Array:
    """Cross entropy of independent yes-or-no predictions.

        -y log p - (1 - y) log(1 - p), with p = 1 / (1 + exp(-x)) and 0 log 0 = 0

    Args:
        logits: x, of any shape.
        labels: y in [0, 1], of a shape that broadcasts with it.
    """
    return weighted(labels, jax.nn.softplus(-logits)) + weighted(1 - labels, jax.nn.softplus(logits))


@loss("logits", "labels")
def sigmoid_focal_loss(
    logits: Values, labels: Values, *, alpha: ArrayLike | None = None, gamma: ArrayLike = 2.0
) -> Array:
    """Binary cross entropy with less weight on what is predicted well.

        a (1 - q)^gamma (-y log p - (1 - y) log(1 - p)), with p = 1 / (1 + exp(-x)),
        q = y p + (1 - y) (1 - p) and a = alpha y + (1 - alpha) (1 - y)

    Args:
        logits: x, of any shape.
        labels: y in [0, 1], of a shape that broadcasts with it.
        alpha: in [0, 1], the weight of the positive labels against the negative ones; None for a = 1.
        gamma: at least 0, how fast the weight falls.

    Source: Lin, Goyal, Girshick, He & Dollár 2017, arXiv:1708.02002.
    """
    wrong = labels * jax.nn.sigmoid(-logits) + (1 - labels) * jax.nn.sigmoid(logits)
    wrong = jnp.maximum(wrong, math.sqrt(jnp.finfo(wrong.dtype).tiny))  # no derivative of the power overflows
    losses = wrong**gamma * sigmoid_binary_cross_entropy(logits, labels)
    return losses if alpha is None else losses * (alpha * labels + (1 - alpha) * (1 - labels))


def _log_likelihoods(logits: Values, labels: Values, axis: Axis, where: Values | None) -> tuple[Array, Array]:
    """log softmax(x) and the labels, of one shape, both 0 where a mask leaves an entry out."""
    where = _over_classes(where, max(logits.ndim, labels.ndim), axis)
    logits, labels = hide(where, logits, labels)
    return log_softmax(logits, axis, where), labels


def _over_classes(where: Values | None, ndim: int, axis: Axis) -> Values | None:
    """A mask of examples as one that broadcasts over their classes; another mask as it is."""
    axes = _axes(axis, ndim)
    return jnp.expand_dims(where, axes) if where is not None and jnp.ndim(where) == ndim - len(axes) else where


def _axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    """The axes that `axis` names, in its order."""
    axes = tuple(range(ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return tuple(operator.index(i) % ndim for i in axes)


def _classes_last(x: Values, axes: tuple[int, ...]) -> Array:
    """`x` with the axes moved to the end, in their order, and joined to one."""
    moved = jnp.moveaxis(x, axes, range(-len(axes), 0))
    batch = x.ndim - len(axes)
    return jnp.reshape(moved, (*moved.shape[:batch], math.prod(moved.shape[batch:])))
