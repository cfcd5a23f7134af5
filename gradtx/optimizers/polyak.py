"""Polyak's step size: how far the loss is from its least value, over the squared norm of the gradient."""

from typing import Annotated, TypeAlias

import jax.numpy as jnp

from gradtx.combine.chain import chain
from gradtx.combine.optimizer import optimizer
from gradtx.core import tree
from gradtx.core.arguments import OneOf
from gradtx.core.averages import divide_up_to, saturate
from gradtx.core.extras import one_number
from gradtx.core.hyperparameters import NonNegative, Real, Threshold
from gradtx.core.leafwise import Leafwise, leafwise
from gradtx.core.transformation import GradientTransformation, transformation
from gradtx.core.typing import Array, ArrayLike, Mask, PyTree
from gradtx.transforms.decay import DecayKind
from gradtx.transforms.own_decay import own_decay
from gradtx.transforms.scale import scale_by_lr, scale_rule

PolyakVariant: TypeAlias = Annotated[str, OneOf("sps", "sps+")]
"""What a loss below its least value does: turn the step around, or stop it."""


def decayed_rule(g: Array, p: Array, *, step_size: ArrayLike, weight_decay: ArrayLike) -> Array:
    """u = step_size (g + weight_decay p)."""
    return step_size * (g + weight_decay * p)


def polyak_step(
    updates: PyTree, value: Array, f_min: Array, max_learning_rate: Array, eps: Array, variant: str, scaling: Array
) -> dict[str, Array]:
    """min(scaling (f - f_min) / (||g||^2 + eps), max_learning_rate)."""
    gap = scaling * (one_number("scale_by_polyak", "value", value) - f_min)
    if variant == "sps+":
        gap = jnp.maximum(gap, 0)
    return {"step_size": divide_up_to(gap, saturate(tree.norm_sq(updates) + eps), max_learning_rate)}


@transformation
def scale_by_polyak(
    f_min: Real = 0.0, max_learning_rate: Threshold = 1.0, eps: NonNegative = 0.0, variant: PolyakVariant = "sps", *,
    scaling: NonNegative = 1.0, weight_decay: NonNegative | None = None, mask: Mask = None,
) -> Leafwise:  # fmt: skip
    """Scale updates by Polyak's step size, from the loss given as `update(updates, state, params, value=loss)`.

    Over the whole tree:

        eta <- min(scaling (f - f_min) / (||g||^2 + eps), max_learning_rate)
        u   <- eta g, or eta (g + weight_decay theta)

    f is the loss that g is the gradient of; sps+ has max(f - f_min, 0) for f - f_min. A zero gradient gives zero.

    Args:
        f_min: the least value of the loss, or a guess below it.
        max_learning_rate: gamma_b >= 0, the largest step size; infinity for none.
        variant: "sps", where a loss below f_min turns the step around, or "sps+", where it stops it.
        scaling: at least 0, 1/c in the paper, which proves most for c = 1/2.
        weight_decay: None, or lambda >= 0, decay at the step size eta.
        mask: which parameters decay, as in `add_decayed_weights`.

    State: none, or a step count (4 bytes) with a schedule.

    Raises: TypeError from `update` without `value`.

    Source: Loizou et al. 2021, arXiv:2002.10542; sps+: Garrigos et al. 2023, arXiv:2307.14528.
    """
    rule, masks = (scale_rule, None) if weight_decay is None else (decayed_rule, {"weight_decay": mask})
    return leafwise(
        rule, reduce=polyak_step, masks=masks, f_min=f_min, max_learning_rate=max_learning_rate, eps=eps,
        variant=variant, scaling=scaling, weight_decay=weight_decay,
    )  # fmt: skip


@optimizer(scale_by_polyak)
def polyak_sgd(
    max_learning_rate: Threshold = 1.0, scaling: NonNegative = 1.0, f_min: Real = 0.0, eps: NonNegative = 0.0,
    variant: PolyakVariant = "sps", *, weight_decay: DecayKind = None,
) -> GradientTransformation:  # fmt: skip
    """Gradient descent with Polyak's step size: theta <- theta - min(s (f - f_min) / (||g||^2 + eps), eta_max) g.

    Call `update(updates, state, params, value=loss)`.

    Args:
        max_learning_rate: eta_max >= 0, the largest step size; infinity for none.
        scaling: s >= 0, 1/c in the paper.
        weight_decay: None; a strength or `decoupled(..)`, decay at Polyak's step size; or `coupled(..)`, for which
            `value` should contain the penalty; `independent(..)` takes 1 for the learning rate.

    Source: Loizou et al. 2021, arXiv:2002.10542, SPS_max. Optax documents s outside the minimum, and in its code
        g is multiplied by s before its norm is taken; with s = 1 all agree.
    """
    decay = own_decay(weight_decay, 1.0)
    direction = scale_by_polyak(
        f_min, max_learning_rate, eps, variant, scaling=scaling, weight_decay=decay.weight_decay, mask=decay.mask
    )
    return chain(*decay.before, direction, scale_by_lr(1.0), *decay.after)
