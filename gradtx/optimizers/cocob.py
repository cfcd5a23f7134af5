"""COCOB: each parameter bets on the sign of its next gradient, and the wealth won is its step size."""

from typing import NamedTuple

import jax.numpy as jnp

from gradtx.combine.chain import chain
from gradtx.combine.optimizer import optimizer
from gradtx.core.hyperparameters import NonNegative, Positive, PositiveNumber
from gradtx.core.lifted import lifted
from gradtx.core.slots import CopySlot, Slot
from gradtx.core.transformation import GradientTransformation
from gradtx.core.typing import Array, ArrayLike
from gradtx.transforms.decay import DecayKind
from gradtx.transforms.own_decay import coupled_links
from gradtx.transforms.scale import scale


class COCOBState(NamedTuple):
    init_particles: CopySlot  # theta_0
    cumulative_gradients: Slot  # C, sum of -g
    scale: Slot  # L, the largest |g|
    subgradients: Slot  # G, sum of |g|
    reward: Slot  # R, what the bets have won


def cocob_rule(g: Array, s: COCOBState, p: Array, *, alpha: ArrayLike) -> tuple[Array, COCOBState]:
    """u = theta_0 - theta + C / max(G + L, alpha L) (L + R) / L."""
    largest = jnp.maximum(s.scale, jnp.abs(g))
    total = s.subgradients + jnp.abs(g)
    reward = jnp.maximum(s.reward - g * (p - s.init_particles), 0)
    c = s.cumulative_gradients - g
    share = c / jnp.maximum(total + largest, alpha * largest)
    u = s.init_particles - p + share * (1 + reward / largest)
    return u, s._replace(cumulative_gradients=c, scale=largest, subgradients=total, reward=reward)


@lifted(cocob_rule, COCOBState, real_only=True)
def scale_by_cocob(alpha: Positive = 100.0, eps: PositiveNumber = 1e-8):
    """Continuous coin betting, with backpropagation's form of it: turn gradients into steps, without a learning rate.

    Per element, from L = eps and G = R = C = 0:

        L <- max(L, |g|)
        G <- G + |g|
        R <- max(R - g (theta - theta_0), 0)
        C <- C - g
        u <- theta_0 - theta + C (L + R) / (L max(G + L, alpha L))

    u is the step itself, to be added to the parameters.

    Args:
        alpha: above 0; while G < (alpha - 1) L a bet is a share of at most |C| / (alpha L).
        eps: above 0, L at the start.

    Source: Orabona & Tommasi 2017, arXiv:1705.07795, Algorithm 2; differs: eps, where the paper has 0 / 0.
    """
    return {"scale": eps}


@optimizer(scale_by_cocob)
def cocob(
    learning_rate: NonNegative = 1.0, alpha: Positive = 100.0, eps: PositiveNumber = 1e-8, *,
    weight_decay: DecayKind = None,
) -> GradientTransformation:  # fmt: skip
    """COCOB-Backprop: descent without a learning rate.

    Args:
        learning_rate: at least 0, a factor of the gradients, or a schedule; a constant one changes next to nothing.
        weight_decay: None; a strength or `coupled(..)`, added to the gradient. A bet starts from theta_0 each time,
            so the other kinds, which move theta, mean nothing here.

    State: a tuple, of the states of decay and factor, then `COCOBState`; five values per parameter.

    Raises: ValueError for another kind of decay, or from `update` without params; TypeError for complex parameters.
    """
    return chain(*coupled_links("cocob", weight_decay), scale(learning_rate), scale_by_cocob(alpha, eps))
