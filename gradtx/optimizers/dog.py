"""DoG, distance over gradients: the step size is the way travelled over the root of all squared gradients; DoWG."""

from typing import Annotated, NamedTuple, TypeAlias

import jax.numpy as jnp

from gradtx.combine.optimizer import optimizer
from gradtx.core import precision, tree
from gradtx.core.arguments import OneOf
from gradtx.core.averages import safe_divide, saturate, sqrt
from gradtx.core.eager import compiled
from gradtx.core.fields import Scalar
from gradtx.core.hyperparameters import NonNegative, NonNegativeNumber, PositiveNumber
from gradtx.core.lifted import lifted
from gradtx.core.slots import CopySlot, NumberSlot, scalar
from gradtx.core.typing import Array, ArrayLike, PyTree
from gradtx.transforms.decay import DecayKind, coupled
from gradtx.transforms.scale import scale_rule

FirstStep: TypeAlias = Annotated[str, OneOf("heuristic", "distance", "learning_rate")]
"""What DoG's first number is."""


class DoGState(NamedTuple):
    is_init_step: Array  # whether no step has been taken, bool
    init_params: CopySlot  # theta_0
    max_dist: Scalar  # r, the largest ||theta - theta_0||
    sum_sq_norm_grads: Scalar  # G, sum of ||g||^2


class ScaleByDistanceOverGradientsState(NamedTuple):
    max_dist: NumberSlot  # r, the largest ||theta - theta_0|| of this leaf, a number
    grad_sum_of_squares: NumberSlot  # G, sum of ||g||^2 of this leaf, a number
    init_params: CopySlot  # theta_0


class DoWGState(NamedTuple):
    init_params: CopySlot  # theta_0
    weighted_sq_norm_grads: Scalar  # v, sum of r^2 ||g||^2
    estim_sq_dist: Scalar  # r^2, the largest ||theta - theta_0||^2


@compiled
def relative_to(params: PyTree, share: ArrayLike) -> Array:
    """share (1 + ||params||)."""
    norm = tree.norm(params)
    return precision.number_in(share, norm.dtype) * (1 + norm)


def dog_step(
    updates: PyTree, state: DoGState, params: PyTree, init_step: Array, eps: Array, init_kind: str
) -> dict[str, Array]:
    """r <- max(r, ||theta - theta_0||); G <- G + ||g||^2; step = r / sqrt(G + eps)."""
    r = jnp.maximum(state.max_dist, sqrt(saturate(tree.distance_sq(params, state.init_params))))
    total = saturate(state.sum_sq_norm_grads + tree.norm_sq(updates))
    step = safe_divide(r, sqrt(total + eps))
    if init_kind == "learning_rate":
        step = jnp.where(state.is_init_step, init_step, step)
    no_longer = jnp.zeros_like(state.is_init_step)
    return {"step_size": step, "max_dist": r, "sum_sq_norm_grads": total, "is_init_step": no_longer}


def dowg_step(updates: PyTree, state: DoWGState, params: PyTree, eps: Array) -> dict[str, Array]:
    """r^2 <- max(r^2, ||theta - theta_0||^2); v <- v + r^2 ||g||^2; step = r^2 / (sqrt(v) + eps)."""
    r_sq = jnp.maximum(state.estim_sq_dist, saturate(tree.distance_sq(params, state.init_params)))
    norm_sq = saturate(tree.norm_sq(updates))
    v = saturate(state.weighted_sq_norm_grads + r_sq * norm_sq)
    root = jnp.maximum(sqrt(v), sqrt(r_sq) * sqrt(norm_sq))  # the larger only where v has overflowed
    return {"step_size": r_sq / (root + eps), "estim_sq_dist": r_sq, "weighted_sq_norm_grads": v}


def ldog_rule(
    g: Array, s: ScaleByDistanceOverGradientsState, p: Array, *, eps: ArrayLike
) -> tuple[Array, ScaleByDistanceOverGradientsState]:
    """r <- max(r, ||p - p_0||); G <- G + ||g||^2; u = r / sqrt(G + eps) g."""
    r = jnp.maximum(s.max_dist, sqrt(saturate(tree.distance_sq(p, s.init_params))))
    total = saturate(s.grad_sum_of_squares + tree.norm_sq(g))
    return safe_divide(r, sqrt(total + eps)) * g, s._replace(max_dist=r, grad_sum_of_squares=total)


@lifted(scale_rule, DoGState, reduce=dog_step)
def scale_by_dog(init_step: NonNegativeNumber = 1e-6, eps: NonNegative = 1e-8, *, init_kind: FirstStep = "heuristic"):
    """Scale updates by the largest distance from the start over the root of the sum of squared gradient norms.

    Over the whole tree, from G = 0 and r = init_step (1 + ||theta_0||):

        r <- max(r, ||theta - theta_0||)
        G <- G + ||g||^2
        u <- r / sqrt(G + eps) g

    Args:
        init_step: at least 0, what the first step is made of; the paper has 1e-6, or 1e-4 with batch normalisation.
        init_kind: what init_step is: "heuristic", r at the start over 1 + ||theta_0||; "distance", that r itself;
            "learning_rate", the first step size, with r = 0 at the start.

    Source: Ivgi, Hinder & Carmon 2023, arXiv:2302.12022, which averages the iterates; differs: nothing.
    """
    relative = scalar(lambda params: relative_to(params, init_step))
    return {
        "max_dist": {"heuristic": relative, "distance": init_step}.get(init_kind, 0),
        "is_init_step": lambda params: jnp.ones((), bool),
    }


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


@lifted(ldog_rule, ScaleByDistanceOverGradientsState)
def scale_by_distance_over_gradients(reps_rel: NonNegativeNumber = 1e-6, eps: NonNegative = 1e-8):
    """L-DoG: DoG for each parameter array by itself.

    Per leaf, from G = 0 and r = reps_rel (1 + ||theta_0||):

        r <- max(r, ||theta - theta_0||)
        G <- G + ||g||^2
        u <- r / sqrt(G + eps) g

    Args:
        reps_rel: at least 0, what the first step is made of.

    Source: Ivgi, Hinder & Carmon 2023, arXiv:2302.12022; differs: nothing.
    """
    return {"max_dist": scalar(lambda p: relative_to(p, reps_rel))}


@optimizer(scale_by_dog, strength=coupled)
def dog(
    learning_rate: NonNegative = 1.0, init_step: NonNegativeNumber = 1e-6, eps: NonNegative = 1e-8, *,
    init_kind: FirstStep = "heuristic", weight_decay: DecayKind = None,
):  # fmt: skip
    """DoG: descent without a learning rate to tune; average the iterates for the best result.

    theta <- theta - c r / sqrt(G + eps) g; see `scale_by_dog`. The paper's decay is `coupled`; decoupled decay has the
    rate c, not DoG's step size.

    Args:
        learning_rate: c >= 0, best left at 1, or a schedule.
    """


@optimizer(scale_by_distance_over_gradients, strength=coupled)
def ldog(
    learning_rate: NonNegative = 1.0, reps_rel: NonNegativeNumber = 1e-6, eps: NonNegative = 1e-8, *,
    weight_decay: DecayKind = None,
):  # fmt: skip
    """L-DoG: DoG with a step size for each parameter array. The paper's decay is `coupled`.

    Args:
        learning_rate: c >= 0, best left at 1, or a schedule.
    """


@optimizer(scale_by_dowg, strength=coupled)
def dowg(
    learning_rate: NonNegative = 1.0, init_estim_sq_dist: PositiveNumber | None = None, eps: PositiveNumber = 1e-4, *,
    weight_decay: DecayKind = None,
):  # fmt: skip
    """DoWG: descent without a learning rate to tune.

    Optax's decay is `coupled`; decoupled decay has the rate `learning_rate`, not DoWG's step size.

    Args:
        learning_rate: a factor >= 0 of the step, best left at 1, or a schedule.
    """
