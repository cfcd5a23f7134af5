"""Mechanic: learn the scale of any optimizer's updates, so that its learning rate need not be tuned."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from gradtx.combine.around import around
from gradtx.core import tree
from gradtx.core.averages import saturate, sqrt
from gradtx.core.fields import Count, InnerState, Scalar
from gradtx.core.hyperparameters import NonNegative, Positive, PositiveInt, PositiveNumber
from gradtx.core.leafwise import leafwise
from gradtx.core.slots import Slot, check_one_number, scalar
from gradtx.core.transformation import Inner, Pair, ours, transformation
from gradtx.core.typing import Array, ArrayLike, PyTree


class MechanicState(NamedTuple):
    """State of `mechanize`; r, m, v and s have one number for each of the tuner's decays."""

    base_optimizer_state: InnerState
    count: Count  # steps taken, int32
    r: Scalar  # reward
    m: Scalar  # the largest |h|
    v: Scalar  # sum of h^2
    s: Scalar  # scales, whose sum multiplies the base's updates
    x0: Slot  # theta at the first step


def mechanic_rule(
    u: Array, s: MechanicState, p: Array, *, eps: ArrayLike, scale: Array, old_scale: Array
) -> tuple[Array, MechanicState]:
    """delta <- (x0 - theta) / (old scale + eps) - u; theta <- x0 - scale delta."""
    x0 = jnp.where(s.count == 1, p, s.x0)
    delta = (x0 - p) / (old_scale + eps) - u
    return x0 - scale * delta - p, s._replace(x0=x0)


def tuned(
    state: MechanicState, params: PyTree, gradient: PyTree, weight_decay: Array, eps: Array, s_init: Array,
    num_betas: int,
) -> dict[str, Array]:  # fmt: skip
    """The tuner's step: the new scales from h, the gradient's product with the way travelled."""
    betas = jnp.asarray(1 - 0.1 ** np.arange(1, num_betas + 1), state.s.dtype)
    scale = jnp.sum(state.s)
    along = tree.sum_of(lambda g, x0, p: jnp.conj(g) * (x0 - p), gradient, state.x0, params)
    norm = lambda x: sqrt(saturate(tree.norm_sq(x)))
    pull = weight_decay * scale * norm(gradient) / (norm(params) + eps)
    decay = pull * tree.sum_of(lambda p, x0: jnp.conj(p) * (x0 - p), params, state.x0)
    h = (saturate(along) + saturate(decay)) / (scale + eps)
    h = jnp.where(state.count == 0, 0, saturate(h, 2))
    m = jnp.maximum(betas * state.m, jnp.abs(h) + eps)
    v = saturate(betas**2 * state.v + h**2)
    r = betas * state.r + jnp.clip(h, -state.m, state.m) * state.s
    s = (s_init / num_betas * m + jnp.maximum(r, 0)) / (sqrt(v) + eps)
    return {"scale": jnp.sum(s), "old_scale": scale, "r": r, "m": m, "v": v, "s": s}


@transformation
def mechanize(
    base_optimizer: Inner, weight_decay: NonNegative = 0.01, eps: Positive = 1e-8, s_init: PositiveNumber = 1e-6,
    num_betas: PositiveInt = 6
) -> Pair:  # fmt: skip
    """Multiply an optimizer's updates by a scale that is learned on the way.

    The base keeps its schedule, with 1 for its largest value. With u the base's update, S = sum s, inner products over
    the whole tree and, for each of the decays beta_i = 1 - 10^-i:

        h <- <g + lambda S ||g|| theta / ||theta||, (x0 - theta) / S>
        r <- beta r + clip(h, -m, m) s
        m <- max(beta m, |h| + eps)
        v <- beta^2 v + h^2
        s <- (s_init m / n + max(r, 0)) / (sqrt(v) + eps)
        theta <- x0 + S_new (u - (x0 - theta) / S_old)

    S and ||theta|| have eps added where they divide. x0 is theta at the first update. Steps that rounding hides are
    lost: a base whose largest learning rate is far below 1 needs a larger s_init.

    Args:
        base_optimizer: any optimizer; not one that normalises its updates, such as LAMB.
        weight_decay: lambda >= 0, Mechanic's own pull towards 0; the base's decay is apart from it.
        eps: above 0.
        s_init: above 0, the scale at the start.
        num_betas: n, how many decays.

    State: `MechanicState(base_optimizer_state, count, r, m, v, s, x0)`, one value per parameter and the base's.

    Raises: ValueError from `update` without params.

    Source: Cutkosky, Defazio & Mehta 2023, arXiv:2306.00144; differs: h is clipped, a later change of the authors.
    """

    def each(value: ArrayLike) -> Any:
        def start(params: PyTree) -> ArrayLike:
            check_one_number(value)
            return value if isinstance(value, int | float) else jnp.full(num_betas, value)

        return scalar(start, shape=(num_betas,))

    tuner = leafwise(
        mechanic_rule, MechanicState, reduce=tuned, weight_decay=weight_decay, eps=eps, s_init=s_init,
        num_betas=num_betas, r=each(0.0), m=each(0.0), v=each(0.0), s=each(s_init),
    )  # fmt: skip
    return around(ours(base_optimizer), tuner.named("mechanize"))
