"""Label smoothing."""

import jax.numpy as jnp

from gradtx.core.typing import Array, ArrayLike
from gradtx.losses.inputs import Axis, Values, loss, sum_kept


@loss("labels")
def smooth_labels(labels: Values, alpha: ArrayLike, *, axis: Axis = -1, where: Values | None = None) -> Array:
    """Mix labels with the uniform distribution over the classes.

        (1 - alpha) y + alpha / n, for n classes

    Args:
        labels: one-hot labels, or any distributions y.
        alpha: in [0, 1], the share of the uniform distribution; of a shape that broadcasts to that of the labels.
        where: True at the classes that n counts, of a shape that broadcasts to that of the labels. The other entries
            follow the same formula, and are for the loss to leave out.

    Returns:
        The smoothed labels, of the shape of `labels`.

    Source: Szegedy et al. 2016, arXiv:1512.00567; Müller, Kornblith & Hinton 2019, arXiv:1906.02629.
    """
    n = sum_kept(jnp.ones_like(labels), axis, where, keepdims=True)
    return alpha / jnp.maximum(n, 1) + (1 - alpha) * labels
