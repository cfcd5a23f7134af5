"""A transformation that acts on what a rule makes of each item, such as its coordinates in a subspace."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import jax

from gradtx.core import precision
from gradtx.core.layout import Batches
from gradtx.core.repack import repacked
from gradtx.core.slots import zeros, zeros_shaped
from gradtx.core.stacks import is_packed
from gradtx.core.typing import Array, Extra, PyTree


class Inside(Protocol):
    """A transformation, as what is run inside another."""

    def init(self, params: PyTree) -> Any:
        """The first state."""
        ...

    def within(self, updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, Any]:
        """One step, of updates that are wide."""
        ...


@dataclass(frozen=True)
class Within:
    """What runs between a rule and the way back from what it gives.

    Args:
        inner: the transformation; it sees one tree, of what the rule gives for each item.
        back: a rule `(r, s, *, ...) -> (u, s)` of the same state, that makes an update of what `inner` gives.
        view: what the rule gives, as a linear function of the item; `inner` starts by its shape.
    """

    inner: Inside
    back: Callable[..., Any]
    view: Callable[[Array], Array]

    def init(self, batches: Batches, slots: PyTree) -> Any:
        """The first state of `inner`, in batches if the rule's slots are."""
        starts = batches.started(zeros_shaped(self.view), zeros())
        cast = [precision.cast(x, kind.dtype) for x, kind in zip(starts, batches.types, strict=True)]
        return self.inner.init(batches.keep_as(cast, slots))

    def update(
        self, batches: Batches, results: list[Any], slots: PyTree, state: Any, extra: Extra
    ) -> tuple[list[Any], Any]:
        """What `inner` makes of the results of the rule, for each batch, and its new state."""
        seen, given = batches.keep_as(results, slots), state
        apart = not is_packed(seen)  # slots are kept leaf by leaf, or an update is missing
        if apart:
            state = jax.tree.map(batches.plain, state, is_leaf=is_packed)
        directions, state = self.inner.within(seen, state, None, **extra)
        return batches.kept_as(directions), repacked(state, given) if apart else state
