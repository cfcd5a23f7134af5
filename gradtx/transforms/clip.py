"""Clipping: by value and by norm."""

import jax
import jax.numpy as jnp

from gradtx.core import tree
from gradtx.core.averages import shortening
from gradtx.core.extras import one_number
from gradtx.core.hyperparameters import Threshold
from gradtx.core.lifted import lifted
from gradtx.core.typing import Array, ArrayLike, PyTree
from gradtx.transforms.scale import scale_rule


def clip_rule(g: Array, *, max_delta: ArrayLike) -> Array:
    """u = min(max(g, -max_delta), max_delta), real and imaginary parts apart."""
    if jnp.iscomplexobj(g):
        return jax.lax.complex(clip_rule(g.real, max_delta=max_delta), clip_rule(g.imag, max_delta=max_delta))
    return jnp.clip(g, -max_delta, max_delta)


def global_shortening(updates: PyTree, max_norm: ArrayLike, global_norm: Array | None = None) -> dict[str, Array]:
    """The factor min(1, max_norm / ||g||); where the norm is given, it counts as ||g||."""
    given = global_norm is not None
    norm = one_number("clip_by_global_norm", "global_norm", global_norm) if given else tree.norm(updates)
    return {"step_size": shortening(norm, max_norm)}


@lifted(clip_rule)
def clip(max_delta: Threshold):
    """Limit every element: u <- min(max(g, -max_delta), max_delta)."""


@lifted(scale_rule, reduce=global_shortening, degree=(0, 1))
def clip_by_global_norm(max_norm: Threshold):
    """Shorten the whole update where it is too long: u <- g min(1, max_norm / ||g||).

    The norm is over all leaves, in float32 or wider. Where the sum of squares overflows it is infinite, and the result
    is zero. A NaN passes through.
    A norm given as `update(..., global_norm=...)` takes its place: `partition` can give that of the whole tree.

    Args:
        max_norm: at least 0, a number or a schedule; infinity clips nothing.

    Source: Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063.
    """
