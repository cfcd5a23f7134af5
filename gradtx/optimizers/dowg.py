"""DoWG, distance over weighted gradients: DoG whose sum weighs later gradients by the way travelled."""

from typing import NamedTuple

import jax.numpy as jnp

from gradtx.combine.descend import descend
from gradtx.combine.optimizer import optimizer
from gradtx.core import tree
from gradtx.core.averages import saturate, sqrt
from gradtx.core.fields import Scalar
from gradtx.core.hyperparameters import NonNegative, PositiveNumber
from gradtx.core.lifted import lifted
from gradtx.core.slots import CopySlot
from gradtx.core.transformation import GradientTransformation
from gradtx.core.typing import Array, PyTree
from gradtx.transforms.decay import DecayKind
from gradtx.transforms.own_decay import or_coupled
from gradtx.transforms.scale import scale_rule


class DoWGState(NamedTuple):
    """State of `scale_by_dowg`."""

    init_params: CopySlot  # theta_0
    weighted_sq_norm_grads: Scalar  # v, sum of r^2 ||g||^2
    estim_sq_dist: Scalar  # r^2, the largest ||theta - theta_0||^2


def dowg_step(updates: PyTree, state: DoWGState, params: PyTree, eps: Array) -> dict[str, Array]:
    """r^2 <- max(r^2, ||theta - theta_0||^2); v <- v + r^2 ||g||^2; step = r^2 / (sqrt(v) + eps)."""
    r_sq = jnp.maximum(state.estim_sq_dist, saturate(tree.distance_sq(params, state.init_params)))
    norm_sq = saturate(tree.norm_sq(updates))
    v = saturate(state.weighted_sq_norm_grads + r_sq * norm_sq)
    root = jnp.maximum(sqrt(v), sqrt(r_sq) * sqrt(norm_sq))  # the larger only where v has overflowed
    return {"step_size": r_sq / (root + eps), "estim_sq_dist": r_sq, "weighted_sq_norm_grads": v}


@lifted(scale_rule, DoWGState, reduce=dowg_step)
def scale_by_dowg(init_estim_sq_dist: PositiveNumber | None = None, eps: PositiveNumber = 1e-4):
    """Scale updates by the largest squared distance from the start over the root of weighted squared gradients.

    Over the whole tree, from v = 0 and r^2 = init_estim_sq_dist:

        r^2 <- max(r^2, ||theta - theta_0||^2)
        v   <- v + r^2 ||g||^2
        u   <- r^2 / (sqrt(v) + eps) g

    Args:
        init_estim_sq_dist: r^2 > 0 at the start; None means eps.

    Source: Khaled, Mishchenko & Jin 2023, arXiv:2305.16284; differs: eps, which is from the authors' code.
    """
    return {"estim_sq_dist": eps if init_estim_sq_dist is None else init_estim_sq_dist}


@optimizer(scale_by_dowg)
def dowg(
    learning_rate: NonNegative = 1.0, init_estim_sq_dist: PositiveNumber | None = None, eps: PositiveNumber = 1e-4, *,
    weight_decay: DecayKind = None,
) -> GradientTransformation:  # fmt: skip
    """DoWG: descent without a learning rate to tune.

    Args:
        learning_rate: a factor >= 0 of the step, best left at 1, or a schedule.
        weight_decay: None; a strength, which means `coupled` as in Optax; or a kind, as in `descend`. Decoupled decay
            has the rate `learning_rate`, not DoWG's step size.
    """
    return descend(scale_by_dowg(init_estim_sq_dist, eps), learning_rate, or_coupled(weight_decay))
