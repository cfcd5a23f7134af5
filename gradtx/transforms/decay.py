"""Weight decay: the term itself, and the choice of where it enters an optimizer, as a value."""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, ParamSpec, TypeAlias, cast

import jax.numpy as jnp

from gradtx.core.arguments import Accept, Interval
from gradtx.core.averages import agreement
from gradtx.core.hyperparameters import Hyperparameter, NonNegative, Positive, Real
from gradtx.core.lifted import lifted
from gradtx.core.schedule import as_schedule
from gradtx.core.transformation import GradientTransformation
from gradtx.core.typing import Array, ArrayLike, Mask
from gradtx.core.values import Value, maker

P = ParamSpec("P")


def decay_rule(g: Array, p: Array, *, weight_decay: ArrayLike) -> Array:
    """u = g + weight_decay p."""
    return g + weight_decay * p


def independent_rule(
    g: Array, p: Array, *, weight_decay: ArrayLike, learning_rate: ArrayLike, peak: ArrayLike
) -> Array:
    """u = g - (learning_rate / peak) weight_decay p."""
    return g - learning_rate / peak * weight_decay * p


def proximal_rule(g: Array, p: Array, *, weight_decay: ArrayLike, learning_rate: ArrayLike) -> Array:
    """u = (g - c p) / (1 + c), c = learning_rate weight_decay; so p + u = (p + g) / (1 + c)."""
    shrinkage = learning_rate * weight_decay
    return (g - shrinkage * p) / (1 + shrinkage)


def corrected_rule(g: Array, p: Array, *, weight_decay: ArrayLike, learning_rate: ArrayLike, peak: ArrayLike) -> Array:
    """u = g + weight_decay (learning_rate / peak) p."""
    return g + weight_decay * (learning_rate / peak) * p


def cautious_decay_rule(g: Array, p: Array, *, weight_decay: ArrayLike) -> Array:
    """u = g + weight_decay p where g and p do not point apart, else g."""
    return g + jnp.where(agreement(g, p) >= 0, weight_decay * p, 0)


@lifted(decay_rule, degree=1)
def add_decayed_weights(weight_decay: Real = 0.0, mask: Mask = None):
    """Add a multiple of the parameters: u <- g + weight_decay theta.

    Args:
        weight_decay: a number or a schedule.
        mask: which parameters decay: a tree of booleans or a prefix of one, a function of the parameters that
            gives it, or a pattern on paths such as `"*/kernel"`; None means all.
    """


@lifted(independent_rule, degree=1)
def add_independent_decay(weight_decay: NonNegative, learning_rate: NonNegative, peak: Positive, mask: Mask = None):
    """Shrink the parameters by a share that follows the learning rate's shape but not its size.

    u <- g - (learning_rate / peak) weight_decay theta, after the learning rate has been applied to g.

    Args:
        learning_rate: the optimizer's, >= 0.

    Source: Wortsman et al. 2023, arXiv:2309.14322.
    """


@lifted(proximal_rule, degree=1)
def add_proximal_decay(weight_decay: NonNegative, learning_rate: NonNegative, mask: Mask = None):
    """Shrink the parameters after the step: theta <- (theta + g) / (1 + learning_rate weight_decay).

    u <- (g - c theta) / (1 + c), c = learning_rate weight_decay, after the learning rate has been applied to g.

    Args:
        learning_rate: the optimizer's, >= 0.

    Source: Xie et al. 2024, Algorithm 1, arXiv:2208.06677.
    """


@lifted(corrected_rule, degree=1)
def add_corrected_decay(weight_decay: NonNegative, learning_rate: NonNegative, peak: Positive, mask: Mask = None):
    """Add a multiple of the parameters that follows the learning rate: u <- g + (learning_rate / peak) lambda theta.

    Args:
        learning_rate: the optimizer's, >= 0, which is applied to u later.

    Source: Defazio 2025, arXiv:2506.02285.
    """


@lifted(cautious_decay_rule)
def add_cautious_decay(weight_decay: NonNegative, mask: Mask = None):
    """Add a multiple of the parameters where it does not work against g: u <- g + lambda theta [g theta >= 0].

    Source: Chen et al. 2025, arXiv:2510.12402.
    """


class DecayLinks(NamedTuple):
    """Where weight decay enters a chain: before the direction, after it, and after the learning rate."""

    before: tuple[GradientTransformation, ...] = ()
    between: tuple[GradientTransformation, ...] = ()
    after: tuple[GradientTransformation, ...] = ()


class WeightDecay(Value):
    """A kind of weight decay with its strength and mask, as a value; every optimizer takes one."""

    def links(self, learning_rate: Any) -> DecayLinks:
        """The links that this kind adds to an optimizer with this learning rate."""
        return self.build()(learning_rate)


def weight_decay_kind(body: Callable[P, Callable[[Any], DecayLinks]]) -> Callable[P, WeightDecay]:
    """Turn a function that says where weight decay goes into a maker of `WeightDecay` values."""
    return cast("Callable[P, WeightDecay]", maker(WeightDecay, body))


@weight_decay_kind
def coupled(weight_decay: NonNegative, mask: Mask = None) -> Callable[[Any], DecayLinks]:
    """L2 regularisation: lambda theta is added to the gradient, before anything else sees it."""
    return lambda learning_rate: DecayLinks(before=(add_decayed_weights(weight_decay, mask),))


@weight_decay_kind
def decoupled(weight_decay: NonNegative, mask: Mask = None) -> Callable[[Any], DecayLinks]:
    """Decoupled decay: theta <- theta - eta (u + lambda theta), u the optimizer's direction.

    Source: Loshchilov & Hutter 2019, arXiv:1711.05101, with lambda times the learning rate as in PyTorch.
    """
    return lambda learning_rate: DecayLinks(between=(add_decayed_weights(weight_decay, mask),))


@weight_decay_kind
def independent(weight_decay: NonNegative, peak: Positive, mask: Mask = None) -> Callable[[Any], DecayLinks]:
    """Independent decay: theta <- theta - eta u - (eta / peak) lambda theta.

    The share lambda does not change when the learning rate is tuned, only with its schedule.

    Source: Wortsman et al. 2023, arXiv:2309.14322.
    """
    return lambda learning_rate: DecayLinks(after=(add_independent_decay(weight_decay, learning_rate, peak, mask),))


@weight_decay_kind
def proximal(weight_decay: NonNegative, mask: Mask = None) -> Callable[[Any], DecayLinks]:
    """Proximal decay: theta <- (theta - eta u) / (1 + eta lambda), stable for any eta lambda.

    Source: Zhuang et al. 2022, arXiv:2202.00089; Adan's form.
    """
    return lambda learning_rate: DecayLinks(after=(add_proximal_decay(weight_decay, learning_rate, mask),))


@weight_decay_kind
def corrected(weight_decay: NonNegative, peak: Positive, mask: Mask = None) -> Callable[[Any], DecayLinks]:
    """Corrected decay: theta <- theta - eta (u + (eta / peak) lambda theta).

    Under a schedule it keeps the balance of gradient and weight norms that plain decay loses where a normalisation
    follows. `adamw(eta, weight_decay=corrected(lambda, peak))` is AdamC.

    Args:
        mask: which parameters decay; the paper corrects layers that a normalisation follows, and leaves
            the others with plain decay (`partition` gives them another optimizer).

    Source: Defazio 2025, arXiv:2506.02285.
    """
    return lambda learning_rate: DecayLinks(between=(add_corrected_decay(weight_decay, learning_rate, peak, mask),))


@weight_decay_kind
def cautious_decay(weight_decay: NonNegative, mask: Mask = None) -> Callable[[Any], DecayLinks]:
    """Cautious decay: theta <- theta - eta (u + lambda theta [u theta >= 0]), u the optimizer's direction.

    A parameter decays only where the step already shrinks it, so the minima of the loss stay where they are.

    Source: Chen et al. 2025, arXiv:2510.12402.
    """
    return lambda learning_rate: DecayLinks(between=(add_cautious_decay(weight_decay, mask),))


class IsWeightDecay(Accept):
    """None, a strength (decoupled), or a `WeightDecay`."""

    wanted = "a number in [0, inf), a schedule, or a kind such as coupled(1e-4)"

    def convert(self, where: str, name: str, x: Any) -> Any:
        if isinstance(x, WeightDecay):
            return x
        return Interval("[0, inf)", schedule=as_schedule)(where, name, x)


DecayKind: TypeAlias = Annotated[Hyperparameter | WeightDecay | None, IsWeightDecay()]
"""None for no decay, a strength or schedule for decoupled decay, or one of the kinds with its mask."""


def kind_of(weight_decay: Any, strength: Callable[[Any], WeightDecay] = decoupled) -> WeightDecay | None:
    """The kind that a `weight_decay` argument stands for, where a number is the strength of one."""
    return weight_decay if weight_decay is None or isinstance(weight_decay, WeightDecay) else strength(weight_decay)


def decay_links(weight_decay: Any, learning_rate: Any) -> DecayLinks:
    """The links that an optimizer's `weight_decay` argument stands for."""
    kind = kind_of(weight_decay)
    return DecayLinks() if kind is None else kind.links(learning_rate)
