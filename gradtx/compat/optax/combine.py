"""Chains, masks and partitions with Optax's states: a tuple, an ordered dictionary, `MaskedNode`s for whole subtrees.

They walk the same trees as gradtx's own, and differ from them in what programs see: a mask acts as a prefix of the
tree, so that one False hides a subtree as one `MaskedNode`; and updates pass from link to link as they are.
"""

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Any

import jax

from gradtx.combine.masked import MaskedState
from gradtx.combine.partition import PartitionState
from gradtx.compat.optax import base
from gradtx.compat.optax.base import GradientTransformation, MaskOrFn, OptState, Pair, Params, PyTree, Updated, Updates
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.tree_search import is_placeholder
from gradtx.core.selection import MaskedNode, resolved


@remembered
def chain(*args: GradientTransformation) -> Pair:
    """Apply transformations in order, each to the updates that the one before made; the state is a tuple of theirs."""
    links = [base.with_extra_args_support(tx) for tx in args]

    def init(params: Params) -> OptState:
        return tuple(link.init(params) for link in links)

    def update(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> Updated:
        if len(state) != len(links):
            raise ValueError(f"chain: state must be the tuple of {len(links)} from init, got {len(state)} states")
        new_states: list[Any] = []
        for link, link_state in zip(links, state, strict=True):
            updates, link_state = link.update(updates, link_state, params, **extra_args)
            new_states.append(link_state)
        return updates, tuple(new_states)

    return Pair(init, update)


@remembered
def named_chain(*args: tuple[str, GradientTransformation]) -> Pair:
    """A chain of pairs `(name, transformation)`; the state is an ordered dictionary of theirs.

    Raises:
        ValueError: two links have one name.
    """
    names = [name for name, _ in args]
    if len(set(names)) != len(names):
        raise ValueError(f"named_chain: names must differ, got {names}")
    links = chain(*(tx for _, tx in args))

    def init(params: Params) -> OptState:
        return OrderedDict(zip(names, links.init(params), strict=True))

    def update(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> Updated:
        updates, states = links.update(updates, tuple(state[name] for name in names), params, **extra_args)
        return updates, OrderedDict(zip(names, states, strict=True))

    return Pair(init, update)


@remembered
def masked(inner: GradientTransformation, mask: MaskOrFn, *, mask_compatible_extra_args: bool = False) -> Pair:
    """Apply a transformation where a mask is True; elsewhere updates pass through.

    The mask is a tree of booleans, a prefix of one, or a function of the parameters that gives it. With
    `mask_compatible_extra_args` it also acts on extra arguments that have the tree of the updates.

    State: `MaskedState(inner_state)`, with a `MaskedNode` for each hidden subtree.

    Raises:
        ValueError: from `init`, for a mask that is no prefix of the parameters.
    """
    inner = base.with_extra_args_support(inner)

    def init(params: Params) -> OptState:
        if is_placeholder(params):
            return MaskedState(inner.init(params))
        keep = resolved(mask, params)
        _check_fit("masked: the mask", keep, params)
        return MaskedState(inner.init(_hidden(keep, params)))

    def update(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> Updated:
        keep = resolved(mask, updates if params is None else params)
        if mask_compatible_extra_args:
            like_updates = lambda x: jax.tree.structure(x) == jax.tree.structure(updates)
            extra_args = {name: _hidden(keep, x) if like_updates(x) else x for name, x in extra_args.items()}
        seen = None if params is None else _hidden(keep, params)
        new, inner_state = inner.update(_hidden(keep, updates), state.inner_state, seen, **extra_args)
        return jax.tree.map(lambda k, u, g: u if k else g, keep, new, updates), MaskedState(inner_state)

    return Pair(init, update)


@remembered
def partition(
    transforms: Mapping[Hashable, GradientTransformation], param_labels: Any, *,
    mask_compatible_extra_args: bool = False,
) -> Pair:  # fmt: skip
    """Give each leaf to the transformation that its label names; labels and extra arguments as for `masked`.

    State: `PartitionState(inner_states)`, a dictionary of the `MaskedState` of each transformation.

    Raises:
        ValueError: from `init`, for a label without a transformation, or labels that are no prefix of the parameters.
    """

    def part(label: Hashable, labels: PyTree) -> Pair:
        mask = jax.tree.map(lambda other: other == label, labels)
        return masked(transforms[label], mask, mask_compatible_extra_args=mask_compatible_extra_args)

    def init(params: Params) -> OptState:
        labels = params if is_placeholder(params) else resolved(param_labels, params)
        _check_fit("partition: the tree of labels", labels, params)
        unknown = [label for label in jax.tree.leaves(labels) if label not in transforms]
        if unknown:
            raise ValueError(f"partition: wanted labels of {list(transforms)}, got {unknown[0]!r}")
        return PartitionState({label: part(label, labels).init(params) for label in transforms})

    def update(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> Updated:
        labels = resolved(param_labels, updates if params is None else params)
        states: dict[Any, Any] = {}
        for label in transforms:
            link = part(label, labels)
            updates, states[label] = link.update(updates, state.inner_states[label], params, **extra_args)
        return updates, PartitionState(states)

    return Pair(init, update)


multi_transform = partition


def freeze(mask: MaskOrFn) -> Pair:
    """Replace updates by zeros where a mask, as for `masked`, is True."""
    return masked(base.set_to_zero(), mask)


@remembered
def selective_transform(optimizer: GradientTransformation, *, freeze_mask: MaskOrFn) -> Pair:
    """Train the leaves outside a mask, as for `masked`; those inside have zero updates and no state."""

    def labels(params: Params) -> PyTree:
        return jax.tree.map(lambda frozen: "freeze" if frozen else "train", resolved(freeze_mask, params))

    return partition({"train": optimizer, "freeze": base.set_to_zero()}, labels)


def _check_fit(what: str, prefix: PyTree, params: Params) -> None:
    try:
        jax.tree.map(lambda *_: None, prefix, params)
    except ValueError as error:
        raise ValueError(f"{what} does not fit the params: {error}") from None


def _hidden(keep: PyTree, tree: PyTree) -> PyTree:
    return jax.tree.map(lambda k, part: part if k else MaskedNode(), keep, tree)
