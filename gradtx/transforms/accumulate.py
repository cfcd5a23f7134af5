"""Accumulated updates: their sum, now and then."""

from typing import NamedTuple

import jax.numpy as jnp

from gradtx.core.fields import Count
from gradtx.core.hyperparameters import PositiveInt
from gradtx.core.lifted import lifted
from gradtx.core.slots import Slot
from gradtx.core.typing import Array


class ApplyEvery(NamedTuple):
    """State of `apply_every`."""

    count: Count  # steps taken, int32
    grad_acc: Slot  # sum of updates since the last that was let through


def apply_every_rule(g: Array, s: ApplyEvery, *, k: int) -> tuple[Array, ApplyEvery]:
    """a <- g at the first of k steps, else a + g; u = a at the last of them, else 0."""
    place = (s.count - 1) % k
    total = jnp.where(place == 0, g, s.grad_acc + g)
    return jnp.where(place == k - 1, total, 0), s._replace(grad_acc=total)


@lifted(apply_every_rule, ApplyEvery, degree=1)
def apply_every(k: PositiveInt = 1):
    """Let through the sum of the last k updates at every k-th step, and zeros between.

    Other links of a chain still see every step; to run a whole optimizer on accumulated gradients, use `accumulate`.
    """
