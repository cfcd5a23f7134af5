"""Frozen parameters: leaves that an optimizer leaves where they are."""

from functools import partial
from typing import Any

import jax

from gradtx.combine.masked import masked
from gradtx.combine.partition import partition
from gradtx.core.selection import resolve_mask
from gradtx.core.transformation import GradientTransformation, Inner, transformation
from gradtx.core.typing import Mask, PyTree
from gradtx.transforms.scale import set_to_zero


@transformation
def freeze(mask: Mask) -> GradientTransformation:
    """Replace the updates of some leaves by zeros, so that their parameters stay where they are.

    It acts on updates only: an optimizer before it in a chain still keeps state for those leaves, and one that adds
    to the updates after it moves them. `selective_transform` does neither.

    Args:
        mask: which leaves to freeze, True or None for all: any form that `masked` takes.

    State: `MaskedState(EmptyState())`, nothing.

    Raises:
        ValueError: from `init`, for a mask that does not fit.
    """
    return masked(set_to_zero(), partial(resolve_mask, "freeze", mask))


@transformation
def selective_transform(optimizer: Inner, *, freeze_mask: Mask) -> GradientTransformation:
    """Train some leaves and freeze the others, which then have no state.

    Args:
        optimizer: the transformation of the leaves that are not frozen.
        freeze_mask: which leaves to freeze, True or None for all: any form that `masked` takes.

    State: `PartitionState(inner_states)`, with the optimizer's state under `"train"`.

    Raises:
        ValueError: from `init`, for a mask that does not fit.
    """

    def labels(tree: PyTree) -> Any:
        frozen = resolve_mask("selective_transform", freeze_mask, tree)
        return jax.tree.map(lambda frozen: "freeze" if frozen else "train", frozen)

    return partition({"train": optimizer, "freeze": set_to_zero()}, labels)
