"""Grafting: the direction of one transformation with the length of another."""

from typing import Annotated, Any, NamedTuple

import jax

from gradtx.core import precision, tree
from gradtx.core.arguments import OneOf
from gradtx.core.averages import safe_divide
from gradtx.core.degree import of
from gradtx.core.fields import InnerState
from gradtx.core.leafwise import leafwise
from gradtx.core.states import EmptyState
from gradtx.core.transformation import Inner, Pair, ours, transformation
from gradtx.core.typing import Array, PyTree


class GraftState(NamedTuple):
    direction: InnerState
    magnitude: InnerState


@transformation(degree=of("magnitude"))
def graft(direction: Inner, magnitude: Inner, *, per: Annotated[str, OneOf("leaf", "tree")] = "leaf") -> Pair:
    """Go where one transformation points, as far as another goes: u <- d ||m|| / ||d||.

    d and m are what the two make of the same updates; where d is zero, so is u.

    Args:
        direction: gives d.
        magnitude: gives m, whose Euclidean norm counts.
        per: whether norms are of each leaf (as in the paper and in Shampoo) or of the whole tree.

    State: `GraftState(direction, magnitude)`, the two states.

    Source: Agarwal, Anil, Hazan, Koren & Zhang 2020, arXiv:2002.11803, with full step sizes.
    """
    towards, sized = ours(direction), ours(magnitude)
    per_leaf = leafwise(per_leaf_rule, beside=("magnitude",)).named("graft")

    def init(params: PyTree) -> GraftState:
        return GraftState(towards.init(params), sized.init(params))

    def update(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, GraftState]:
        d, direction_state = towards.within(updates, state.direction, params, **extra)
        m, magnitude_state = sized.within(updates, state.magnitude, params, **extra)
        if per == "leaf":
            grafted, _ = per_leaf.update(d, EmptyState(), magnitude=m)
        else:
            ratio = _ratio(m, d)
            grafted = jax.tree.map(lambda d: _scaled(d, ratio), d)
        return grafted, GraftState(direction_state, magnitude_state)

    return Pair(init, update, "numbers", GraftState)


def per_leaf_rule(d: Array, *, magnitude: Array) -> Array:
    """u = d ||m|| / ||d|| of one leaf."""
    return _scaled(d, _ratio(magnitude, d))


def _ratio(m: PyTree, d: PyTree) -> Array:
    """||m|| / ||d||, and 0 where d is zero."""
    return safe_divide(tree.norm(m), tree.norm(d))


def _scaled(d: Array, ratio: Array) -> Array:
    """`ratio d`, real numbers times real or complex ones."""
    with jax.numpy_dtype_promotion("standard"):
        return d * precision.cast(ratio, precision.real_dtype(d.dtype))
