"""A row for each loss, which drives the laws: an instance, inputs, and the formula again from SciPy or NumPy."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy import special
from scipy.optimize import brentq

from gradtx import losses
from tests.losses.alignments import ctc

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((2, 4, 5))
TRUE, SIGNS = RNG.integers(0, 2, (4, 5)).astype(float), RNG.choice([-1.0, 1.0], (4, 5))
P, Q = RNG.dirichlet(np.ones(5), (2, 4))
WEIGHTS = RNG.uniform(0.5, 2, (4, 5))
LABELS = np.array([3, 0, 4, 0])
PIXELS = RNG.standard_normal((2, 3, 2, 4))
REGIONS = np.eye(4)[RNG.integers(0, 4, (2, 3, 2))]
FRAMES, SKIPPED = RNG.standard_normal((3, 4, 3)), np.array([[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
WORDS, ABSENT = np.array([[1, 2], [2, 2], [1, 1]]), np.array([[0, 0], [0, 0], [0, 1]])


class Row(NamedTuple):
    """One loss."""

    loss: Callable[..., Any]  # of the arrays alone
    oracle: Callable[..., Any]  # the same in float64
    inputs: tuple[np.ndarray, ...]
    floats: int = 2  # how many of the inputs, the first ones, are differentiated and share a dtype


def cross_entropy(x, y):
    return -np.sum(y * special.log_softmax(x, -1), -1)


def with_label(x, labels):
    return -special.log_softmax(x, -1)[np.arange(len(x)), labels]


def poly(x, y, epsilon=2.0):
    return cross_entropy(x, y) + epsilon * np.sum(y * (1 - special.softmax(x, -1)), -1)


def binary(x, y):
    return -special.xlogy(y, special.expit(x)) - special.xlog1py(1 - y, -special.expit(x))


def focal(x, y, alpha, gamma):
    p = special.expit(x)
    right = y * p + (1 - y) * (1 - p)
    return (alpha * y + (1 - alpha) * (1 - y)) * (1 - right) ** gamma * binary(x, y)


def cosine(x, y):
    return np.sum(x * y, -1) / np.linalg.norm(x, axis=-1) / np.linalg.norm(y, axis=-1)


def ntxent(x, labels, temperature):
    s = cosine(x[:, None], x[None]) / temperature
    pairs = []
    for i, j in np.ndindex(s.shape):
        if i != j and labels[i] == labels[j]:
            others = np.exp(s[i][labels != labels[i]]).sum()
            pairs.append(-np.log(np.exp(s[i, j]) / (np.exp(s[i, j]) + others)))
    return np.mean(pairs)


def triplet(a, p, n, degree, margin, eps):
    distance = lambda x: (np.sum(np.abs(x) ** degree, -1) + eps) ** (1 / degree)
    return np.maximum(distance(a - p) - distance(a - n) + margin, 0)


def sparsemax(s):
    """The projection of one vector onto the simplex, by the root of its threshold's equation."""
    tau = brentq(lambda tau: np.sum(np.maximum(s - tau, 0)) - 1, s.min() - 1, s.max(), xtol=1e-15, rtol=1e-15)
    return np.maximum(s - tau, 0)


def multiclass_sparsemax(s, labels):
    p = np.stack([sparsemax(row) for row in s])
    return np.sum(p * s, -1) - np.sum(p * p, -1) / 2 + 0.5 - s[np.arange(len(s)), labels]


def binary_sparsemax(s, y):
    two = np.stack([s.ravel(), np.zeros(s.size)], -1)
    return multiclass_sparsemax(two, (y.ravel() == 0).astype(int)).reshape(s.shape)


def hinge(s, labels):
    right = s[np.arange(len(s)), labels]
    wrong = [np.delete(row, label).max() for row, label in zip(s, labels, strict=True)]
    return np.maximum(1 + np.array(wrong) - right, 0)


def dice(p, t, smooth=1.0, alpha=0.5, beta=0.5):
    axes = tuple(range(1, p.ndim - 1))
    both, only_p, only_t = (np.sum(x, axes) for x in (p * t, p * (1 - t), (1 - p) * t))
    return 1 - (both + smooth) / (both + alpha * only_p + beta * only_t + smooth)


def generalized_dice(x, t):
    v = 1 / (np.sum(t, (0, 1, 2)) ** 2 + 1e-7)
    return np.sum(dice(special.softmax(x, -1), t) * v / v.sum(), -1).mean()


def softmax_dice(x, t):
    weights = np.array([0.5, 1.0, 2.0, 0.25])
    return np.sum((weights * dice(special.softmax(x, -1), t, 0.5, 0.3, 0.9))[:, 1:], -1)


ROWS = {
    "squared_error": Row(losses.squared_error, lambda x, y: (x - y) ** 2, (X, Y)),
    "l2_loss": Row(losses.l2_loss, lambda x, y: (x - y) ** 2 / 2, (X, Y)),
    "huber_loss": Row(partial(losses.huber_loss, delta=0.8), lambda x, y: special.huber(0.8, x - y), (X, Y)),
    "log_cosh": Row(losses.log_cosh, lambda x, y: np.log(np.cosh(x - y)), (X, 3 * Y)),
    "softmax_cross_entropy": Row(losses.softmax_cross_entropy, cross_entropy, (X, P)),
    "safe_softmax_cross_entropy": Row(losses.safe_softmax_cross_entropy, cross_entropy, (X, P)),
    "integer_labels": Row(losses.softmax_cross_entropy_with_integer_labels, with_label, (X, LABELS), 1),
    "poly_loss": Row(partial(losses.poly_loss_cross_entropy, epsilon=-0.6), partial(poly, epsilon=-0.6), (X, P)),
    "sigmoid_binary_cross_entropy": Row(losses.sigmoid_binary_cross_entropy, binary, (X, P)),
    "sigmoid_focal_loss": Row(
        partial(losses.sigmoid_focal_loss, alpha=0.3, gamma=1.5), partial(focal, alpha=0.3, gamma=1.5), (X, P)
    ),
    "hinge_loss": Row(losses.hinge_loss, lambda s, y: np.maximum(1 - y * s, 0), (X, SIGNS)),
    "perceptron_loss": Row(losses.perceptron_loss, lambda s, y: np.maximum(-y * s, 0), (X, SIGNS)),
    "sparsemax_loss": Row(losses.sparsemax_loss, binary_sparsemax, (X, TRUE.astype(int)), 1),
    "multiclass_hinge_loss": Row(losses.multiclass_hinge_loss, hinge, (X, LABELS), 1),
    "multiclass_perceptron_loss": Row(
        losses.multiclass_perceptron_loss, lambda s, y: s.max(-1) - s[np.arange(len(s)), y], (X, LABELS), 1
    ),
    "multiclass_sparsemax_loss": Row(losses.multiclass_sparsemax_loss, multiclass_sparsemax, (X, LABELS), 1),
    "kl_divergence": Row(losses.kl_divergence, lambda p, q: special.rel_entr(q, np.exp(p)).sum(-1), (np.log(P), Q)),
    "kl_divergence_with_log_targets": Row(
        losses.kl_divergence_with_log_targets,
        lambda p, q: special.rel_entr(np.exp(q), np.exp(p)).sum(-1),
        (np.log(P), np.log(Q)),
    ),
    "generalized_kl_divergence": Row(
        losses.generalized_kl_divergence, lambda p, q: special.kl_div(q, np.exp(p)).sum(-1), (np.log(P), 2 * Q)
    ),
    "cosine_similarity": Row(losses.cosine_similarity, cosine, (X, Y)),
    "cosine_distance": Row(losses.cosine_distance, lambda x, y: 1 - cosine(x, y), (X, Y)),
    "ntxent": Row(partial(losses.ntxent, temperature=0.5), partial(ntxent, temperature=0.5), (X, LABELS), 1),
    "triplet_margin_loss": Row(
        partial(losses.triplet_margin_loss, norm_degree=3, margin=2.0, eps=0.1),
        partial(triplet, degree=3, margin=2.0, eps=0.1),
        (X, Y, X[::-1] + P),
        3,
    ),
    "ranking_softmax_loss": Row(
        lambda s, y, w: losses.ranking_softmax_loss(s, y, weights=w),
        lambda s, y, w: cross_entropy(s, w * y).mean(),
        (X, 3 * P, WEIGHTS),
        3,
    ),
    "dice_loss": Row(
        lambda x, t: losses.dice_loss(
            x, t, class_weights=np.array([0.5, 1.0, 2.0, 0.25]), smooth=0.5, alpha=0.3, beta=0.9, reduction="sum",
            ignore_background=True,
        ),
        softmax_dice,
        (PIXELS, REGIONS),
    ),
    "binary_dice_loss": Row(
        losses.binary_dice_loss, lambda x, t: dice(special.expit(x)[..., None], t[..., None])[..., 0], (X, TRUE)
    ),
    "multiclass_generalized_dice_loss": Row(
        losses.multiclass_generalized_dice_loss, generalized_dice, (PIXELS, REGIONS)
    ),
    "ctc_loss": Row(losses.ctc_loss, ctc, (FRAMES, SKIPPED, WORDS, ABSENT), 1),
    "fenchel_young": Row(
        losses.make_fenchel_young_loss(jax.scipy.special.logsumexp),
        lambda s, y: special.logsumexp(s, -1) - np.sum(s * y, -1),
        (X, Q),
    ),
    "smooth_labels": Row(partial(losses.smooth_labels, alpha=0.3), lambda y: 0.7 * y + 0.06, (P,), 1),
}  # fmt: skip
