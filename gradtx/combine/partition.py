"""Partition: several transformations, each on its own leaves."""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, TypeAlias

import jax

from gradtx.combine.masked import MaskedState, Visible
from gradtx.core import tree
from gradtx.core.arguments import OneOf, shown
from gradtx.core.containers import MappingOf
from gradtx.core.degree import of_parts
from gradtx.core.errors import is_none, path_str
from gradtx.core.fields import InnerMark
from gradtx.core.masks import IsLabels
from gradtx.core.selection import resolve_labels
from gradtx.core.transformation import IsTransformation, Pair, ours, transformation
from gradtx.core.typing import PyTree, TransformationLike

Inners: TypeAlias = Annotated[Mapping[Any, TransformationLike], MappingOf(IsTransformation())]
"""Transformations by label."""

Labels: TypeAlias = Annotated[Any, IsLabels()]
"""Which label each leaf has: see `gradtx.core.selection.resolve_labels`."""


class PartitionState(NamedTuple):
    inner_states: Annotated[dict[Any, MaskedState], InnerMark()]  # by label


@transformation(degree=of_parts)
def partition(
    transforms: Inners,
    labels: Labels,
    *,
    mask_extra: bool = False,
    norm_over: Annotated[str, OneOf("group", "tree")] = "group",
) -> Pair:
    """Give each leaf to the transformation that its label names.

        gradtx.partition({"muon": gradtx.muon(0.02), "adam": gradtx.adam(1e-3)},
                         {"**/bias": "adam", "head/**": "adam", "**": "muon"})

    Args:
        transforms: transformations by label; one that no leaf is labelled with is fine.
        labels: a tree of labels or a prefix of one; a function of the parameters that gives it (from structure,
            shapes and dtypes: it runs again at each update); or a dictionary from patterns on paths to labels, where
            `*` is one key, `**` any number of keys, and `"**"` alone all that no other pattern matches.
        mask_extra: whether extra arguments of `update` that have the tree of the updates are masked for each part.
        norm_over: what `clip_by_global_norm` inside a part clips by: the norm of what it sees of its own group, or
            that of the whole `"tree"` of updates that the partition was given (each part gets it as the extra
            argument `global_norm`).

    State: `PartitionState(inner_states)`, a dictionary of each part's `MaskedState`.

    Raises:
        ValueError: from `init`, for a label without a transformation, labels that do not fit the params (with the
            first path that differs), a path that no pattern matches or that patterns with different labels match.
    """
    inners = {label: ours(tx) for label, tx in transforms.items()}

    def parts_of(params: PyTree) -> dict[Any, Visible]:
        found = resolve_labels("partition", labels, params)
        for (path, x), label in zip(jax.tree_util.tree_leaves_with_path(params, is_leaf=is_none), found, strict=True):
            if x is not None and label not in inners:
                known = ", ".join(map(repr, inners))
                raise ValueError(f"partition: {path_str(path)} has the label {shown(label)}, wanted one of {known}")
        return {key: Visible("partition", [label == key for label in found], params) for key in inners}

    def init(params: PyTree) -> PartitionState:
        parts = parts_of(params)
        return PartitionState({label: MaskedState(tx.init(parts[label].of(params))) for label, tx in inners.items()})

    def update(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, PartitionState]:
        states = state.inner_states
        if not isinstance(states, dict) or set(states) != set(inners):
            given = list(states) if isinstance(states, dict) else type(states).__name__
            raise TypeError(f"partition: state must be PartitionState of {list(inners)}, got {given}")
        parts = parts_of(updates if params is None else params)
        if norm_over == "tree":
            extra = {"global_norm": tree.norm(tree.inexact(updates))} | extra
        whole = Visible("partition", [], updates if params is None else params)
        merged, new_states = whole.leaves(updates), {}
        for label, tx in inners.items():
            part = parts[label]
            leaves, new_states[label] = part.update(tx, updates, states[label], params, part.extra(extra, mask_extra))
            merged = [u if keep else g for u, g, keep in zip(leaves, merged, part.keep, strict=True)]
        return whole.treedef.unflatten(merged), PartitionState(new_states)

    return Pair(init, update, "anything", PartitionState)
