"""Losses of lists of items to be ranked."""

from collections.abc import Callable

import jax.numpy as jnp

from gradtx.core.typing import Array
from gradtx.losses.inputs import Values, as_mask, hide, loss
from gradtx.losses.softmax import log_softmax, weighted


@loss("logits", "labels", "weights")
def ranking_softmax_loss(
    logits: Values, labels: Values, *, where: Values | None = None, weights: Values | None = None,
    reduce_fn: Callable[..., Array] | None = jnp.mean,
) -> Array:  # fmt: skip
    """Softmax cross entropy of the scores of a list of items against their relevance (ListNet).

        -sum(w y log softmax(s)), with 0 log 0 = 0

    Args:
        logits: scores s, of shape (..., items).
        labels: relevances y >= 0, of a shape that broadcasts with it.
        where: True at the items that count, of a shape that broadcasts to that of the lists.
        weights: w of each item, of a shape that broadcasts likewise; 1 by default.
        reduce_fn: from the losses of the lists to a result, such as `jnp.mean` or `jnp.sum`. Where there is a mask it
            is called with `where=` too, False for the lists without items, unless no list has any. None keeps the
            losses as they are.

    Returns:
        What `reduce_fn` returns, or the loss of each list, 0 without items.

    Source: Cao, Qin, Liu, Tsai & Li 2007, Learning to rank: from pairwise approach to listwise approach.
    """
    logits, labels, weights = hide(where, logits, labels, jnp.ones_like(labels) if weights is None else weights)
    losses = -jnp.sum(weighted(weights * labels, log_softmax(logits, -1, where)), -1)
    if reduce_fn is None:
        return losses
    if where is None:
        return reduce_fn(losses)
    listed = jnp.any(as_mask(where, logits.shape), -1)
    return reduce_fn(losses, where=listed | ~jnp.any(listed))
