"""Losses of directions and distances: cosine similarity, contrastive and triplet losses."""

import math

import jax
import jax.numpy as jnp

from gradtx.core.averages import safe_divide, sqrt
from gradtx.core.typing import Array, ArrayLike
from gradtx.losses.inputs import Axis, Values, hide, loss
from gradtx.losses.ranges import held
from gradtx.losses.softmax import log_sum_exp


@loss("predictions", "targets")
def cosine_similarity(
    predictions: Values,
    targets: Values,
    *,
    epsilon: ArrayLike = 0.0,
    axis: Axis = -1,
    where: Values | None = None,
) -> Array:
    """Cosine of the angle between vectors.

        <x, y> / (max(||x||, sqrt(epsilon)) max(||y||, sqrt(epsilon)))

    A vector of zeros has similarity 0 to all others, with finite gradients; no length under- or overflows.

    Args:
        predictions: vectors x.
        targets: vectors y, of a shape that broadcasts with theirs.
        epsilon: at least 0, the least squared norm in the denominator.

    Returns:
        The similarities, in [-1, 1], of the shape without those axes.
    """
    x, y = hide(where, predictions, targets)
    return held(jnp.sum(_unit(x, axis, epsilon) * _unit(y, axis, epsilon), axis), -1, 1)


@loss("predictions", "targets")
def cosine_distance(
    predictions: Values,
    targets: Values,
    *,
    epsilon: ArrayLike = 0.0,
    axis: Axis = -1,
    where: Values | None = None,
) -> Array:
    """One less the cosine of the angle between vectors.

        1 - <x, y> / (max(||x||, sqrt(epsilon)) max(||y||, sqrt(epsilon)))

    Args:
        predictions: vectors x.
        targets: vectors y, of a shape that broadcasts with theirs.
        epsilon: at least 0, the least squared norm in the denominator.

    Returns:
        The distances, in [0, 2], of the shape without those axes.
    """
    return 1 - cosine_similarity(predictions, targets, epsilon=epsilon, axis=axis, where=where)


@loss("embeddings")
def ntxent(embeddings: Values, labels: Values, temperature: ArrayLike = 0.07) -> Array:
    """Normalised, temperature-scaled cross entropy (NT-Xent): pulls together what has the same label.

    With s_ij the cosine similarity of two embeddings over the temperature, the mean over all ordered pairs i != j of
    the same label of

        log(exp(s_ij) + sum_k exp(s_ik)) - s_ij, k over the embeddings of other labels than i's

    Args:
        embeddings: of shape (n, features).
        labels: of shape (n,).
        temperature: above 0.

    Returns:
        A scalar, 0 where no two labels are the same.

    Raises:
        ValueError: shapes other than these.

    Source: Chen, Kornblith, Norouzi & Hinton 2020, arXiv:2002.05709; with labels, any number may be alike.
    """
    labels = jnp.asarray(labels)
    if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1]:
        raise ValueError(
            "ntxent: wanted embeddings of shape (n, features) and labels of shape (n,), "
            f"got {embeddings.shape} and {labels.shape}"
        )
    u = _unit(embeddings, -1, 0.0)
    s = jnp.matmul(u, u.T, precision=jax.lax.Precision.HIGHEST) / temperature
    alike = labels[:, None] == labels[None, :]
    pairs = alike & ~jnp.eye(len(labels), dtype=bool)
    others = log_sum_exp(s, -1, ~alike)
    losses = jax.nn.softplus(others[:, None] - s)
    return jnp.sum(losses, where=pairs) / jnp.maximum(jnp.sum(pairs), 1).astype(s.dtype)


@loss("anchors", "positives", "negatives")
def triplet_margin_loss(
    anchors: Values, positives: Values, negatives: Values, axis: Axis = -1, norm_degree: ArrayLike = 2,
    margin: ArrayLike = 1.0, eps: ArrayLike = 1e-6,
) -> Array:  # fmt: skip
    """Asks that an anchor is closer to its positive than to its negative, by a margin.

        max(d(a, p) - d(a, n) + margin, 0), with d(x, y) = (sum |x - y|^degree + eps)^(1 / degree)

    Args:
        anchors: vectors a.
        positives: vectors p, which should be near, of a shape that broadcasts with theirs.
        negatives: vectors n, which should be far.
        norm_degree: above 0; for math.inf the distance is the largest difference, without eps.
        margin: by how much.
        eps: at least 0, inside the root. At 0 the gradient of the distance of equal vectors is 0.

    Returns:
        The loss of each triplet, of the shape without those axes.

    Source: Balntas, Riba, Ponsa & Mikolajczyk 2016, Learning local feature descriptors with triplets. Optax 0.2.8
        takes the powers of the signed differences, which agrees for even degrees only.
    """
    near = _norm(anchors - positives, axis, norm_degree, eps)
    far = _norm(anchors - negatives, axis, norm_degree, eps)
    return jnp.maximum(near - far + margin, 0)


def _unit(x: Values, axis: Axis, epsilon: ArrayLike) -> Array:
    """x / max(||x||, sqrt(epsilon)), and 0 for 0; the largest |x| is divided out first, so that no square overflows."""
    scale = _largest(x, axis)
    scale = jnp.where(scale == 0, 1, scale)
    scaled = _divide(x, scale)
    norm = sqrt(jnp.sum(jnp.square(scaled), axis, keepdims=True))
    return safe_divide(scaled, jnp.maximum(norm, sqrt(jnp.asarray(epsilon, x.dtype)) / scale))


def _largest(x: Values, axis: Axis) -> Array:
    """The largest |x|, which scales a formula and does not change it, and so has no derivative."""
    return jnp.max(jnp.abs(jax.lax.stop_gradient(x)), axis, keepdims=True, initial=0)


def _divide(x: Values, scale: Array) -> Array:
    """x / scale in two parts, as compilers multiply by a reciprocal, and that of a huge number is subnormal."""
    part = jnp.where(scale > 1, sqrt(scale), 1)
    return jnp.divide(jnp.divide(x, part), scale / part)


def _norm(x: Values, axis: Axis, degree: ArrayLike, eps: ArrayLike) -> Array:
    """(sum |x|^degree + eps)^(1 / degree), with a gradient of 0 at 0; what is above 1 in |x| is divided out first."""
    if isinstance(degree, int | float) and math.isinf(degree):
        return jnp.max(jnp.abs(x), axis)
    largest = _largest(x, axis)
    scale = jnp.where((largest > 1) & jnp.isfinite(largest), largest, 1)
    total = jnp.sum(_power(jnp.abs(_divide(x, scale)), degree), axis, keepdims=True) + eps * scale**-degree
    return jnp.squeeze(scale * _power(total, 1 / degree), axis)


def _power(x: Array, exponent: ArrayLike) -> Array:
    """x^exponent for x >= 0, with a derivative of 0 at 0."""
    zero = x == 0
    return jnp.where(zero, 0, jnp.where(zero, 1, x) ** exponent)
