"""Normalised updates: the direction of the whole update without its length."""

from gradtx.core import tree
from gradtx.core.averages import safe_divide
from gradtx.core.hyperparameters import NonNegative, Real
from gradtx.core.leafwise import Leafwise, leafwise
from gradtx.core.lifted import lifted
from gradtx.core.transformation import transformation
from gradtx.core.typing import Array, ArrayLike, PyTree


def normalized_rule(g: Array, *, scale_factor: ArrayLike, length: Array) -> Array:
    """u = scale_factor g / length, and 0 where the length is 0."""
    return scale_factor * safe_divide(g, length.astype(g.dtype))


def length_of(updates: PyTree, eps: ArrayLike) -> dict[str, Array]:
    """||g|| + eps over the whole tree."""
    return {"length": tree.norm(updates) + eps}


@lifted(normalized_rule, reduce=length_of, degree=0)
def normalize_by_update_norm(scale_factor: Real = 1.0, eps: NonNegative = 1e-6):
    """Divide the whole update by its norm: u <- scale_factor g / (||g|| + eps).

    Args:
        scale_factor: a number or a schedule; the length of the result.
        eps: at least 0; with 0 an update of zeros stays zero.
    """


@transformation(degree=0)
def normalize() -> Leafwise:
    """Divide the whole update by its norm: u <- g / ||g||; an update of zeros stays zero.

    State: none.
    """
    return leafwise(normalized_rule, reduce=length_of, scale_factor=1.0, eps=0.0)
