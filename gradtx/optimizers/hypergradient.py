"""Hypergradient descent: the learning rate goes downhill too, by the gradient of the loss with respect to it."""

from typing import Annotated, NamedTuple, TypeAlias, cast

import jax.numpy as jnp

from gradtx.combine.around import around
from gradtx.combine.chain import chain
from gradtx.combine.optimizer import optimizer
from gradtx.core import tree
from gradtx.core.arguments import OneOf
from gradtx.core.averages import safe_divide, saturate
from gradtx.core.fields import InnerState, Scalar
from gradtx.core.hyperparameters import Decay, Fraction, NonNegative, NonNegativeNumber, Threshold
from gradtx.core.leafwise import leafwise
from gradtx.core.slots import Slot
from gradtx.core.transformation import GradientTransformation, Inner, transformation
from gradtx.core.typing import Array, ArrayLike, PyTree, TransformationLike
from gradtx.optimizers.adam import scale_by_adam
from gradtx.transforms.decay import DecayKind, decay_links
from gradtx.transforms.momentum import scale_by_momentum
from gradtx.transforms.scale import identity

HypergradientForm: TypeAlias = Annotated[str, OneOf("additive", "multiplicative")]
"""Whether a gradient is added to the learning rate, or scales it."""


class HypergradientState(NamedTuple):
    inner_state: InnerState  # the direction's
    learning_rate: Scalar  # eta
    direction: Slot  # u of the step before


def follow_rule(u: Array, s: HypergradientState, *, eta: ArrayLike) -> tuple[Array, HypergradientState]:
    """theta <- theta - eta u."""
    return -eta * u, s._replace(direction=u)


def adapted(
    state: HypergradientState, gradient: PyTree, hypergrad_lr: Array, max_learning_rate: Array, form: str
) -> dict[str, Array]:
    """eta <- eta + beta <g, u>, or eta (1 + beta <g, u> / (||g|| ||u||)), u of the step before."""
    product = saturate(tree.vdot(gradient, state.direction))
    if form == "multiplicative":
        cosine = safe_divide(safe_divide(product, tree.norm(gradient)), tree.norm(state.direction))
        eta = state.learning_rate * (1 + hypergrad_lr * cosine)
    else:
        eta = state.learning_rate + hypergrad_lr * product
    eta = jnp.clip(eta, -max_learning_rate, max_learning_rate)
    return {"learning_rate": eta, "eta": eta}


@transformation
def hypergradient(
    direction: Inner, learning_rate: NonNegativeNumber, hypergrad_lr: NonNegative, *,
    form: HypergradientForm = "additive", max_learning_rate: Threshold = float("inf"), weight_decay: DecayKind = None,
) -> TransformationLike:  # fmt: skip
    """Follow a direction downhill with a learning rate that hypergradient descent adapts.

    Over the whole tree, with u_0 = 0:

        eta   <- eta + beta <g_t, u_(t-1)>; multiplicative: eta (1 + beta <g_t, u_(t-1)> / (||g_t|| ||u_(t-1)||))
        theta <- theta - eta u_t

    since -<g_t, u_(t-1)> is the derivative of the loss with respect to the eta of the step before.

    Args:
        direction: a transformation without a learning rate, such as `scale_by_adam()`.
        learning_rate: eta >= 0 at the start; 0 is allowed in the additive form.
        hypergrad_lr: beta >= 0. The additive form multiplies it by squared gradients, so it depends on their scale.
        form: "additive", or "multiplicative", which keeps the sign of eta for beta < 1.
        max_learning_rate: eta is held between this and its negative. Huge gradients need it in the additive form.
        weight_decay: None, a strength or a kind, as in `descend`; it is part of g or u. `coupled(..)` is that of the
            authors' code; `independent` follows the first learning rate.

    State: `HypergradientState(inner_state, learning_rate, direction)`, one value per parameter and the direction's.

    Source: Baydin et al. 2018, arXiv:1703.04782; differs: max_learning_rate.
    """
    before, between, after = decay_links(weight_decay, learning_rate)
    inner = cast(GradientTransformation, direction)
    if before or between or after:
        inner = chain(inner, *between) if between else inner
        bare = hypergradient(inner, learning_rate, hypergrad_lr, form=form, max_learning_rate=max_learning_rate)
        return chain(*before, bare, *after)
    follow = leafwise(
        follow_rule, HypergradientState, reduce=adapted, hypergrad_lr=hypergrad_lr, form=form,
        max_learning_rate=max_learning_rate, learning_rate=learning_rate,
    )  # fmt: skip
    return around(inner, follow.named("hypergradient"))


@optimizer(hypergradient, scale_by_momentum)
def sgd_hd(
    learning_rate: NonNegativeNumber, hypergrad_lr: NonNegative, momentum: Fraction | None = None,
    nesterov: bool = False, *, form: HypergradientForm = "additive", max_learning_rate: Threshold = float("inf"),
    weight_decay: DecayKind = None,
) -> GradientTransformation:  # fmt: skip
    """SGD-HD: gradient descent, with momentum if asked for, whose learning rate adapts; see `hypergradient`.

    Args:
        hypergrad_lr: beta >= 0. No value suits every loss: the paper has 1e-3, its code 1e-6, a steep loss needs less.
        nesterov: look one step ahead (SGDN-HD).

    State: `HypergradientState`, one value per parameter, two with momentum.
    """
    direction = identity() if momentum is None else scale_by_momentum(momentum, nesterov=nesterov)
    return hypergradient(
        direction, learning_rate, hypergrad_lr, form=form, max_learning_rate=max_learning_rate,
        weight_decay=weight_decay,
    )  # fmt: skip


@optimizer(hypergradient, scale_by_adam)
def adam_hd(
    learning_rate: NonNegativeNumber, hypergrad_lr: NonNegative = 1e-8, b1: Decay = 0.9, b2: Decay = 0.999,
    eps: NonNegative = 1e-8, *, form: HypergradientForm = "additive", max_learning_rate: Threshold = float("inf"),
    weight_decay: DecayKind = None,
) -> GradientTransformation:  # fmt: skip
    """Adam-HD: Adam whose learning rate adapts; see `hypergradient` and `scale_by_adam`.

    State: `HypergradientState`, three values per parameter.

    Source: Baydin et al. 2018, arXiv:1703.04782; differs: nothing (the authors' code adds eps before debiasing nu).
    """
    return hypergradient(
        scale_by_adam(b1, b2, eps), learning_rate, hypergrad_lr, form=form, max_learning_rate=max_learning_rate,
        weight_decay=weight_decay,
    )  # fmt: skip
