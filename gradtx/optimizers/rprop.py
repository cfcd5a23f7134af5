"""Rprop: a step size per element, steered by the signs of its gradients."""

from typing import NamedTuple

import jax.numpy as jnp

from gradtx.combine.descend import descend
from gradtx.combine.optimizer import optimizer
from gradtx.core.averages import sign
from gradtx.core.hyperparameters import Fraction, NonNegative, NonNegativeNumber, Positive, check_ordered
from gradtx.core.lifted import lifted
from gradtx.core.slots import Slot
from gradtx.core.transformation import GradientTransformation
from gradtx.core.typing import Array, ArrayLike
from gradtx.transforms.decay import DecayKind


class ScaleByRpropState(NamedTuple):
    step_sizes: Slot  # delta, the step size of each element
    prev_updates: Slot  # u of the step before, 0 after a change of sign


def rprop_rule(
    g: Array, s: ScaleByRpropState, *, eta_minus: ArrayLike, eta_plus: ArrayLike, min_step_size: ArrayLike,
    max_step_size: ArrayLike,
) -> tuple[Array, ScaleByRpropState]:  # fmt: skip
    """u = delta sign(g), delta grown while the sign stays; u = 0 and delta shrunk where it changes."""
    agreement = sign(g) * sign(s.prev_updates)
    factor = jnp.where(agreement > 0, eta_plus, jnp.where(agreement < 0, eta_minus, 1))
    delta = jnp.clip(s.step_sizes * factor, min_step_size, max_step_size)
    u = jnp.where(agreement < 0, 0, delta * sign(g))
    return u, ScaleByRpropState(step_sizes=delta, prev_updates=u)


@lifted(rprop_rule, ScaleByRpropState, real_only=True, degree=0)
def scale_by_rprop(
    learning_rate: NonNegativeNumber, eta_minus: Fraction = 0.5, eta_plus: Positive = 1.2,
    min_step_size: NonNegative = 1e-6, max_step_size: NonNegative = 50.0,
):  # fmt: skip
    """Replace each element of the update by its sign times a step size of its own.

    Per element, from delta = learning_rate, with c = g_t g_(t-1):

        delta <- clip(delta (eta_plus if c > 0, eta_minus if c < 0, else 1), min_step_size, max_step_size)
        u     <- delta sign(g), or 0 if c < 0, and then g counts as 0 at the next step

    Args:
        learning_rate: the step size at the start, >= 0.
        eta_minus: in [0, 1], the factor after a change of sign.
        eta_plus: above 0, the factor while the sign stays, usually above 1.
        max_step_size: at least 0, not below `min_step_size`.

    Raises: ValueError for numbers min_step_size > max_step_size; TypeError from `init` for complex parameters.

    Source: Riedmiller & Braun 1993, in the form without weight backtracking (Igel & Huesken 2000), as in PyTorch.
    Optax 0.2.8 applies each step size one step late, so its first update is 0; here it is applied at once.
    """
    check_ordered("scale_by_rprop", min_step_size=min_step_size, max_step_size=max_step_size)
    return {"step_sizes": learning_rate}


@optimizer(scale_by_rprop)
def rprop(
    learning_rate: NonNegativeNumber, eta_minus: Fraction = 0.5, eta_plus: Positive = 1.2,
    min_step_size: NonNegative = 1e-6, max_step_size: NonNegative = 50.0, *, weight_decay: DecayKind = None,
) -> GradientTransformation:  # fmt: skip
    """Rprop, for gradients without noise: theta <- theta - delta sign(g).

    Args:
        weight_decay: None, a strength, or a kind such as `coupled(1e-4)`. The steps have no common rate, so a
            strength is the share of theta taken at each step: theta <- theta - delta sign(g) - lambda theta.
    """
    direction = scale_by_rprop(learning_rate, eta_minus, eta_plus, min_step_size, max_step_size)
    return descend(direction, 1.0, weight_decay)
