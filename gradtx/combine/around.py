"""A rule on the updates that an inner transformation makes, with both states in one."""

from typing import Any

from gradtx.core.fields import InnerMark, field_of
from gradtx.core.leafwise import Leafwise
from gradtx.core.transformation import GradientTransformation, Pair
from gradtx.core.typing import PyTree


def around(inner: GradientTransformation, outer: Leafwise) -> Pair:
    """Run `inner`, then `outer` on its updates; the state is outer's, and has inner's in its field for one.

    The reductions of `outer` may ask for `gradient`, the updates given, besides what they get anyhow.
    """
    field = field_of(outer.state, InnerMark) or ""

    def init(params: PyTree) -> Any:
        return outer.init(params, **{field: inner.init(params)})

    def update(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, Any]:
        steps, inner_state = inner.within(updates, getattr(state, field), params, **extra)
        return outer.update(steps, state._replace(**{field: inner_state}), params, gradient=updates)

    starts = outer.starts | dict.fromkeys(outer.slots)  # which it checks itself
    return Pair(init, update, "numbers", outer.state, starts)
