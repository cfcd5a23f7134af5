"""Masks: a transformation that acts on some leaves and leaves the others alone."""

from typing import Any, NamedTuple

import jax

from gradtx.core import checks, errors
from gradtx.core.degree import of_some
from gradtx.core.errors import is_none
from gradtx.core.fields import InnerState
from gradtx.core.selection import MaskedNode, resolve_mask
from gradtx.core.transformation import GradientTransformation, Inner, Pair, ours, transformation
from gradtx.core.typing import Extra, Mask, PyTree


class MaskedState(NamedTuple):
    """State of `masked`, and of each part of `partition`."""

    inner_state: InnerState  # the inner transformation's, with `MaskedNode` for the leaves it does not see


class Visible:
    """The leaves that one inner transformation sees: the others are `MaskedNode`, which has no leaves.

    Args:
        name: who asks, for errors.
        keep: one boolean per leaf of `like`.
        like: the tree, of parameters or updates.
    """

    def __init__(self, name: str, keep: list[bool], like: PyTree) -> None:
        self.name, self.keep, self.like = name, keep, like
        self.treedef = jax.tree.structure(like, is_leaf=is_none)

    def of(self, tree: PyTree, what: str = "params") -> PyTree:
        """`tree` with the unseen leaves hidden."""
        leaves = self.leaves(tree, what)
        return self.treedef.unflatten([x if k else MaskedNode() for x, k in zip(leaves, self.keep, strict=True)])

    def leaves(self, tree: PyTree, what: str = "updates") -> list[Any]:
        """What `tree` has at the leaves; refused if it is another tree."""
        try:
            return self.treedef.flatten_up_to(tree)
        except ValueError:  # the tree that parts are made of is that of the params, where they are given
            sides = ("params", tree, self.like) if what == "updates" else (what, self.like, tree)
            errors.structure_mismatch(self.name, *sides)

    def extra(self, extra: Extra, mask_extra: bool) -> Extra:
        """The extra arguments; with `mask_extra`, those of the tree's structure with the unseen leaves hidden."""
        if not mask_extra:
            return extra
        same = lambda x: jax.tree.structure(x, is_leaf=is_none) == self.treedef
        return {name: self.of(x) if same(x) else x for name, x in extra.items()}

    def update(
        self, inner: GradientTransformation, updates: PyTree, state: Any, params: PyTree, extra: Extra
    ) -> tuple[list[Any], MaskedState]:
        """Run the inner transformation: its leaves in order (unseen ones are `MaskedNode`), and its new state."""
        checks.check_state(self.name, MaskedState, state)
        seen = None if params is None else self.of(params)
        updates, inner_state = inner.within(self.of(updates, "updates"), state.inner_state, seen, **extra)
        return self.treedef.flatten_up_to(updates), MaskedState(inner_state)


@transformation(degree=of_some)
def masked(inner: Inner, mask: Mask, *, mask_extra: bool = False) -> Pair:
    """Apply a transformation to some leaves; the others pass through and have no state.

    Args:
        mask: which leaves it acts on: a tree of booleans or a prefix of one, a function of the parameters that gives
            it, or a pattern on paths such as `"*/kernel"`, or a tuple of patterns. A function should look only at
            structure, shapes and dtypes: it runs again at each update, on the parameters where they are given.
        mask_extra: whether extra arguments of `update` that have the tree of the updates are masked as well.

    State: `MaskedState(inner_state)`, with a leafless `MaskedNode` for each leaf left out.

    Raises: ValueError from `init` for a mask that does not fit, with the first path that differs.
    """
    tx = ours(inner)

    def part_of(tree: PyTree) -> Visible:
        return Visible("masked", jax.tree.leaves(resolve_mask("masked", mask, tree)), tree)

    def init(params: PyTree) -> MaskedState:
        return MaskedState(tx.init(part_of(params).of(params)))

    def update(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, MaskedState]:
        part = part_of(updates if params is None else params)
        leaves, state = part.update(tx, updates, state, params, part.extra(extra, mask_extra))
        old = part.leaves(updates)
        merged = [u if keep else g for u, g, keep in zip(leaves, old, part.keep, strict=True)]
        return part.treedef.unflatten(merged), state

    return Pair(init, update, "anything", MaskedState)
