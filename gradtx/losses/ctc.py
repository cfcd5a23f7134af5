"""Connectionist temporal classification: the likelihood of a sequence of labels over all its alignments."""

from typing import Any

import jax
import jax.numpy as jnp

from gradtx.core.errors import describe
from gradtx.core.typing import Array, ArrayLike
from gradtx.core.varying import vary_with
from gradtx.losses.inputs import Values, as_mask, loss
from gradtx.losses.ranges import held
from gradtx.losses.softmax import log_softmax


def ctc_loss(
    logits: Values, logit_paddings: Values, labels: Values, label_paddings: Values, *, blank_id: int = 0,
    log_epsilon: ArrayLike = -1e5,
) -> Array:  # fmt: skip
    """Negative log-likelihood of labels that are shorter than the frames they are read from (CTC).

        -log(sum over alignments of prod_t p_t(alignment_t)), with p = softmax(logits)

    An alignment names a class or blank for each frame. It reads as the labels when runs of one class count once and
    blanks are then dropped.

    Args:
        logits: of shape (batch, frames, classes), blank among the classes.
        logit_paddings: of shape (batch, frames), not 0 at the frames to skip.
        labels: integers, of shape (batch, labels).
        label_paddings: of shape (batch, labels), 0 at the labels of a sequence and not 0 at all that follow.
        blank_id: the class that is the blank.
        log_epsilon: what stands for the logarithm of 0, and so for the loss of labels that have no alignment.

    Returns:
        The losses, of shape (batch,).

    Raises:
        TypeError: labels that are not integers.
        ValueError: other shapes.

    Source: Graves, Fernández, Gomez & Schmidhuber 2006, Connectionist temporal classification.
    """
    return ctc_loss_with_forward_probs(
        logits, logit_paddings, labels, label_paddings, blank_id=blank_id, log_epsilon=log_epsilon
    )[0]


@loss("logits")
def ctc_loss_with_forward_probs(
    logits: Values, logit_paddings: Values, labels: Values, label_paddings: Values, *, blank_id: int = 0,
    log_epsilon: ArrayLike = -1e5,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """CTC loss, and the forward probabilities it is computed from.

    With y the labels, b the blank and all in logarithms, from blank(0, 0) = 1 and everything else 0,

        blank(t, n) = p_t(b) (blank(t-1, n) + emit(t-1, n))
        emit(t, n)  = p_t(y_n) (emit(t-1, n) + blank(t-1, n-1) + [y_n != y_(n-1)] emit(t-1, n-1))
        loss        = -log(blank(T, N) + emit(T, N))

    where n counts labels read: emit(t, n) is the probability of all beginnings of alignments that are at label n in
    frame t, blank(t, n) of those at the blank after it.

    Args:
        logits: of shape (batch, frames, classes), blank among the classes.
        logit_paddings: of shape (batch, frames), not 0 at the frames to skip.
        labels: integers, of shape (batch, labels).
        label_paddings: of shape (batch, labels), 0 at the labels of a sequence and not 0 at all that follow.
        blank_id: the class that is the blank.
        log_epsilon: what stands for the logarithm of 0, and so for the loss of labels that have no alignment.

    Returns:
        The losses, of shape (batch,); log blank(t, n), of shape (frames, batch, labels + 1), for n from 0; and
        log emit(t, n), of shape (frames, batch, labels), for n from 1. The last frame of log blank has emit added:
        it is the logarithm of the likelihood of the first n labels.

    Raises:
        TypeError: labels that are not integers.
        ValueError: other shapes.

    Source: Graves, Fernández, Gomez & Schmidhuber 2006, Connectionist temporal classification, section 4.1.
    """
    labels = _checked(logits.shape, logit_paddings, labels, label_paddings)
    skipped, absent = as_mask(logit_paddings, logits.shape[:2]), as_mask(label_paddings, labels.shape)
    labels = jnp.where(absent, jnp.clip(labels, 0, logits.shape[-1] - 1), labels)
    log_p = log_softmax(jnp.where(skipped[..., None], 0, logits))
    log_p = jnp.where(log_p == -jnp.inf, log_epsilon, log_p)
    again = jnp.pad(labels[:, 1:] == labels[:, :-1], ((0, 0), (1, 0)))[:, : labels.shape[1]]
    frames = (log_p[..., blank_id], jnp.take_along_axis(log_p, labels[:, None, :], -1), skipped)
    frames = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), frames)
    read, log_blank, log_emit = _forward(frames, again, log_epsilon)
    read = held(read, high=0)  # logarithms of probabilities
    losses = -jnp.take_along_axis(read, jnp.sum(~absent, -1, keepdims=True), -1)[:, 0]
    last = jnp.arange(len(log_blank)) == len(log_blank) - 1
    return losses, jnp.where(last[:, None, None], read, log_blank), log_emit


def _forward(frames: tuple[Array, Array, Array], again: Array, log_epsilon: ArrayLike) -> tuple[Array, Array, Array]:
    """The forward recursion.

    Args:
        frames: of each, log p(b) of shape (batch,), log p(y) of shape (batch, labels), and whether it is skipped.
        again: where a label is the one before it.
        log_epsilon: the logarithm of 0.

    Returns:
        log(blank + emit) after the last frame, and log blank and log emit after each.
    """
    log_zero = jnp.full(again.shape, log_epsilon, frames[1].dtype)
    nothing = jnp.full((len(again), 1), log_epsilon, log_zero.dtype)
    before = lambda emit: jnp.concatenate([nothing, emit], -1)  # the emit of the label before each blank

    def advance(alpha: tuple[Array, Array], frame: tuple[Array, Array, Array]) -> tuple[Any, Any]:
        (blank, emit), (log_blank, log_label, skip) = alpha, frame
        direct = before(emit)[:, :-1] + jnp.where(again, log_epsilon, 0)
        after = (
            log_blank[:, None] + jnp.logaddexp(blank, before(emit)),
            log_label + jnp.logaddexp(jnp.logaddexp(emit, blank[:, :-1]), direct),
        )
        alpha = jax.tree.map(lambda old, new: jnp.where(skip[:, None], old, new), alpha, after)
        return alpha, alpha

    start = vary_with((before(log_zero).at[:, 0].set(0), log_zero), (frames, again))
    (blank, emit), (log_blank, log_emit) = jax.lax.scan(advance, start, frames)
    return jnp.logaddexp(blank, before(emit)), log_blank, log_emit


def _checked(shape: tuple[int, ...], logit_paddings: Values, labels: Values, label_paddings: Values) -> Array:
    """The labels as integers, when all shapes fit."""
    labels = jnp.asarray(labels)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"ctc_loss: labels must be integers, got {describe(labels)}")
    pads, label_pads = jnp.shape(logit_paddings), jnp.shape(label_paddings)
    if len(shape) != 3 or pads != shape[:2]:
        raise ValueError(
            "ctc_loss: wanted logits of shape (batch, frames, classes) and logit_paddings of shape (batch, frames), "
            f"got {shape} and {pads}"
        )
    if labels.ndim != 2 or label_pads != labels.shape or len(labels) != shape[0]:
        raise ValueError(
            "ctc_loss: wanted labels and label_paddings of shape (batch, labels), "
            f"got {labels.shape} and {label_pads}, for logits of shape {shape}"
        )
    return labels.astype(jnp.int32)
