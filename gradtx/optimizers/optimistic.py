"""Optimistic methods: the last gradient predicts the next."""

from typing import NamedTuple

import jax.numpy as jnp

from gradtx.combine.optimizer import optimizer
from gradtx.core.fields import History
from gradtx.core.hyperparameters import Decay, NonNegative, Real
from gradtx.core.lifted import lifted
from gradtx.core.slots import Slot
from gradtx.core.typing import Array, ArrayLike
from gradtx.optimizers.adam import scale_by_adam
from gradtx.transforms.decay import DecayKind


class ScaleByOptimisticGradientState(NamedTuple):
    is_initial_step: History  # whether no step has been taken, bool
    previous_gradient: Slot  # g of the step before


def optimistic_rule(
    g: Array, s: ScaleByOptimisticGradientState, *, alpha: ArrayLike, beta: ArrayLike, first: Array
) -> tuple[Array, ScaleByOptimisticGradientState]:
    """u = alpha g + beta (g - g_previous)."""
    change = jnp.where(first > 0, 0, g - s.previous_gradient)
    return alpha * g + beta * change, s._replace(previous_gradient=g)


def whether_first(state: ScaleByOptimisticGradientState) -> dict[str, Array]:
    """Whether this step is the first; the next is not."""
    return {"first": state.is_initial_step, "is_initial_step": jnp.zeros_like(state.is_initial_step)}


@lifted(optimistic_rule, ScaleByOptimisticGradientState, reduce=whether_first, degree=1)
def scale_by_optimistic_gradient(alpha: Real = 1.0, beta: Real = 1.0):
    """Add what the gradient changed by: u <- alpha g_t + beta (g_t - g_(t-1)), with g_0 = g_1.

    In games and saddle-point problems this converges where plain gradient steps circle.

    Args:
        alpha: the weight of the gradient.
        beta: the weight of its change, "optimism"; 0 gives alpha g.

    Source: Daskalakis et al. 2018, arXiv:1711.00141; Mokhtari, Ozdaglar & Pattathil 2020, arXiv:1901.08511.
    """
    return {"is_initial_step": lambda params: jnp.ones((), bool)}


@optimizer(scale_by_optimistic_gradient)
def optimistic_gradient_descent(
    learning_rate: NonNegative, alpha: Real = 1.0, beta: Real = 1.0, *, weight_decay: DecayKind = None
):
    """Optimistic gradient descent: theta <- theta - eta (alpha g_t + beta (g_t - g_(t-1)))."""


@optimizer(scale_by_adam, scale_by_optimistic_gradient)
def optimistic_adam_v2(
    learning_rate: NonNegative, *, alpha: Real = 1.0, beta: Real = 1.0, b1: Decay = 0.9, b2: Decay = 0.999,
    eps: NonNegative = 1e-8, eps_root: NonNegative = 0.0, nesterov: bool = True, weight_decay: DecayKind = None,
):  # fmt: skip
    """Optimistic Adam: theta <- theta - eta (alpha d_t + beta (d_t - d_(t-1))), d Adam's direction.

    Optax's deprecated `optimistic_adam(eta, optimism)` is this with `beta = optimism / eta`, so gradtx has no second
    one. The paper's form is `nesterov=False`.

    Args:
        alpha: the weight of the direction.
        beta: the weight of its change.

    State: those of `scale_by_adam` and `scale_by_optimistic_gradient`, three values per parameter.

    Source: Daskalakis et al. 2018, Algorithm 1, arXiv:1711.00141.
    """
