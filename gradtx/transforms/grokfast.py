"""Grokfast: gradients with their slow part amplified."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from gradtx.core.averages import ema, mean
from gradtx.core.fields import Count
from gradtx.core.hyperparameters import Decay, NonNegative, PositiveInt
from gradtx.core.lifted import lifted
from gradtx.core.slots import Slot, zeros_shaped
from gradtx.core.typing import Array, ArrayLike


class GrokfastState(NamedTuple):
    count: Count  # steps taken, int32
    ema: Slot  # running average of g, which starts at the first g


class GrokfastWindowState(NamedTuple):
    count: Count  # steps taken, int32
    window: Slot  # the last gradients, on a leading axis


def grokfast_rule(g: Array, s: GrokfastState, *, alpha: ArrayLike, lamb: ArrayLike) -> tuple[Array, GrokfastState]:
    """u = g + lamb h, h the average of g."""
    h = jnp.where(s.count == 1, g, ema(s.ema, g, alpha))
    return g + lamb * h, s._replace(ema=h)


def window_rule(g: Array, s: GrokfastWindowState, *, size: int, lamb: ArrayLike) -> tuple[Array, GrokfastWindowState]:
    """u = g + lamb (mean of the last `size` g), or g while there are fewer."""
    window = jax.lax.dynamic_update_index_in_dim(s.window, g, (s.count - 1) % size, 0)
    u = g + jnp.where(s.count >= size, lamb * mean(window, 0), 0)
    return u, s._replace(window=window)


@lifted(grokfast_rule, GrokfastState, degree=1)
def grokfast(alpha: Decay = 0.98, lamb: NonNegative = 2.0):
    """Amplify the slow part of gradients, which is what generalises late in training.

    Per leaf, from h = g at the first step:

        h <- alpha h + (1 - alpha) g
        u <- g + lamb h

    Args:
        lamb: at least 0, how much of the average is added.

    Source: Lee et al. 2024, Algorithm 2 (Grokfast-EMA), arXiv:2405.20233.
    """


@lifted(window_rule, GrokfastWindowState, degree=1)
def grokfast_window(size: PositiveInt = 100, lamb: NonNegative = 5.0):
    """Amplify the slow part of gradients by their mean over a window.

    Per leaf, from step t = `size` on, u <- g + lamb (mean of the last `size` gradients); before it, u <- g.

    Args:
        size: how many gradients the window has, >= 1. Static.
        lamb: at least 0, how much of the mean is added.

    State: `GrokfastWindowState(count, window)`, `size` values per parameter.

    Source: Lee et al. 2024, Algorithm 1 (Grokfast-MA), arXiv:2405.20233.
    """
    window = zeros_shaped(lambda p: jnp.broadcast_to(p, (size, *p.shape)))
    return {"window": window}
