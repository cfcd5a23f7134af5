"""Weight decay of methods that find their own step size."""

from typing import Any, NamedTuple

from gradtx.core.transformation import GradientTransformation
from gradtx.core.typing import Array, ArrayLike, Mask
from gradtx.transforms.decay import DecayLinks, coupled, decoupled, kind_of


class OwnDecay(NamedTuple):
    """Weight decay of a method that finds its own step size: what its rule applies, and the links around it."""

    weight_decay: Any = None
    mask: Mask = None
    before: tuple[GradientTransformation, ...] = ()
    after: tuple[GradientTransformation, ...] = ()


def own_decay(weight_decay: Any, learning_rate: Any) -> OwnDecay:
    """What a `weight_decay` argument means where the step size is the method's own: decoupled decay follows it.

    Raises:
        ValueError: a kind that stands between direction and learning rate, which such a method does not have.
    """
    kind = kind_of(weight_decay)
    if kind is None:
        return OwnDecay()
    if kind.name == decoupled.__name__:
        return OwnDecay(kind.weight_decay, kind.mask)
    before, between, after = kind.links(learning_rate)
    if between:
        raise ValueError(f"weight_decay must be a number, decoupled or a kind around the step, got {weight_decay!r}")
    return OwnDecay(before=before, after=after)


def with_decay(u: Array, p: Array, weight_decay: ArrayLike | None) -> Array:
    """u + weight_decay p; u itself without a weight decay."""
    return u if weight_decay is None else u + weight_decay * p


def coupled_links(where: str, weight_decay: Any) -> tuple[GradientTransformation, ...]:
    """The links of a method that takes weight decay in the gradient alone.

    Raises:
        ValueError: another kind than `coupled`.
    """
    kind = kind_of(weight_decay, coupled)
    before, between, after = kind.links(1.0) if kind else DecayLinks()
    if between or after:
        raise ValueError(f"{where}: weight_decay must be a number or coupled, got {weight_decay!r}")
    return before
