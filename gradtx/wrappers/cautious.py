"""Cautious optimizers: only the parts of an update that the gradient agrees with."""

from typing import Any

import jax.numpy as jnp

from gradtx.core.averages import agreement, mean
from gradtx.core.degree import of
from gradtx.core.hyperparameters import FractionNumber
from gradtx.core.leafwise import leafwise
from gradtx.core.states import EmptyState
from gradtx.core.transformation import Inner, Pair, ours, transformation
from gradtx.core.typing import Array, ArrayLike, PyTree


def cautious_rule(g: Array, *, gradient: Array, min_share: ArrayLike | None) -> Array:
    """u = g where it descends; larger by the share of the leaf that does not."""
    agrees = agreement(g, gradient) < 0
    kept = jnp.where(agrees, 1, jnp.zeros((), g.real.dtype))
    share = mean(kept) + 1 / max(g.size, 1) if min_share is None else jnp.maximum(mean(kept), min_share)
    return jnp.where(agrees, g, 0) / share


@transformation(degree=of("optimizer"))
def cautious(optimizer: Inner, min_share: FractionNumber | None = None) -> Pair:
    """Drop the elements of an update that do not descend, and lengthen the others to make up for it.

    Per leaf of n elements, D the optimizer's update and phi = 1 where D g < 0, else 0:

        u <- D phi n / (sum(phi) + 1), or with `min_share` D phi / max(mean(phi), min_share)

    Args:
        optimizer: any optimizer; D has its learning rate and its weight decay in it. To leave decay out of the mask,
            chain it behind: `chain(cautious(adam(eta)), add_independent_decay(...))`.
        min_share: in [0, 1], above 0 to keep a leaf without agreement finite; None is the paper's form, which
            halves the update of a scalar, and 1e-3 is timm's.

    State: the optimizer's.

    Source: Liang et al. 2024, Algorithm 1, arXiv:2411.16085.
    """
    inner = ours(optimizer)
    keep_agreeing = leafwise(cautious_rule, beside=("gradient",), min_share=min_share).named("cautious")

    def update(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, Any]:
        steps, state = inner.within(updates, state, params, **extra)
        steps, _ = keep_agreeing.update(steps, EmptyState(), gradient=updates)
        return steps, state

    return Pair(inner.init, update, "numbers")
