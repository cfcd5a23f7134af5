"""Fenchel-Young losses: a loss from a maximum."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from gradtx.core.typing import Array
from gradtx.losses.inputs import Values, loss


def make_fenchel_young_loss(max_fun: Callable[..., Array]) -> Callable[..., Array]:
    """The loss that belongs to a maximum F(s) = max_y <s, y> - R(y).

        F(s) - <s, y>

    It is convex in s, at least -R(y), and that exactly where y is the maximiser. Its gradient is the maximiser less y:
    the gradient of F, which is not differentiated where it comes with a rule of its own, as a perturbed maximum does.
    With F = logsumexp it is the softmax cross entropy, with F = max the perceptron loss.

    Args:
        max_fun: F, from a vector of scores, and further arguments, to a scalar.

    Returns:
        A function `loss(scores, targets, *args, **kwargs)` of s and y, vectors along the last axis of arrays whose
        shapes broadcast. It hands the further arguments to `max_fun`, and returns the losses, without that axis.

    Source: Blondel, Martins & Niculae 2020, arXiv:1901.02324.
    """

    @loss("scores", "targets")
    def fenchel_young_loss(scores: Values, targets: Values, *args: Any, **kwargs: Any) -> Array:
        """F(s) - <s, y> along the last axis."""
        maximum = jnp.vectorize(lambda s: max_fun(s, *args, **kwargs), signature="(n)->()")
        return maximum(scores) - jnp.sum(scores * targets, -1)

    return fenchel_young_loss
