"""Packed trees: many small arrays of one shape kept as one stacked array, which a rule treats one by one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from gradtx.core.errors import is_none
from gradtx.core.typing import PyTree

BATCH = 32  # arrays that one kernel gathers; XLA's time to compile grows faster than the number of its operands


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Stack:
    """Leaves of one shape and dtype, along a new first axis of `value`."""

    value: Any


def is_leaf(x: Any) -> bool:
    """Whether a tree ends here for a transformation: at a missing leaf, or at a stack of leaves."""
    return x is None or (isinstance(x, Stack) and bool(jax.tree.leaves(x.value)))


def unwrapped(x: Any) -> Any:
    """What a stack holds; anything else as it is."""
    return x.value if isinstance(x, Stack) else x


def path_of_leaf(x: Any, path: tuple[Any, ...]) -> tuple[Any, ...]:
    """The path to the array at `path`: inside a stack, that of its value."""
    return (*path, jax.tree_util.GetAttrKey("value")) if isinstance(x, Stack) else path


@dataclass(frozen=True)
class Packing:
    """How a tree is packed: for each part, the places of its leaves in the tree; a part with one leaf is no stack."""

    treedef: Any
    paths: tuple[str, ...]
    parts: tuple[tuple[int, ...], ...]


@jax.tree_util.register_pytree_with_keys_class
class Packed:
    """A tree whose small leaves of one shape and dtype are stacked: made by `pack`, turned back by `unpack`.

    It is a pytree: differentiate with respect to it, give it to an optimizer in place of the parameters, donate it.
    Transformations act on the leaves it stands for, each stack of them in one operation.
    """

    def __init__(self, parts: Sequence[Any], packing: Packing) -> None:
        self.parts = tuple(parts)
        self.packing = packing

    def tree_flatten_with_keys(self) -> tuple[list[tuple[Any, Any]], Packing]:
        """The parts, under the paths of the leaves they stand for."""
        names = [self.packing.paths[places[0]] for places in self.packing.parts]
        sizes = [len(places) for places in self.packing.parts]
        keys = [n if size == 1 else f"{n} and {size - 1} more" for n, size in zip(names, sizes, strict=True)]
        return [(jax.tree_util.DictKey(k), part) for k, part in zip(keys, self.parts, strict=True)], self.packing

    @classmethod
    def tree_unflatten(cls, packing: Packing, parts: Sequence[Any]) -> "Packed":
        """The tree of these parts."""
        return cls(parts, packing)

    def unpack(self) -> PyTree:
        """The tree that was packed, with the present values; its derivative is packed."""
        leaves: list[Any] = [None] * len(self.packing.paths)
        for part, places in zip(self.parts, self.packing.parts, strict=True):
            values = _apart(part.value, len(places)) if isinstance(part, Stack) else [part]
            for place, value in zip(places, values, strict=True):
                leaves[place] = value
        return jax.tree.unflatten(self.packing.treedef, leaves)

    def like(self, tree: PyTree) -> "Packed":
        """Another tree of the structure that was packed, such as its gradients, packed in the same way.

        Raises:
            ValueError: a tree of another structure.
        """
        leaves = self.packing.treedef.flatten_up_to(tree)
        return Packed([packed([leaves[i] for i in places]) for places in self.packing.parts], self.packing)

    def shapes(self) -> PyTree:
        """The tree that was packed, as shapes and dtypes."""
        return jax.eval_shape(Packed.unpack, self)

    def present(self) -> list[tuple[tuple[int, ...], Any]]:
        """The parts that are not masked out, each with the places of its leaves."""
        parts = zip(self.packing.parts, self.parts, strict=True)
        return [(places, part) for places, part in parts if is_none(part) or jax.tree.leaves(part)]

    def spread(self, name: str, what: str, leaves: Sequence[Any]) -> list[Any]:
        """One value for each part, of one for each leaf of the tree; parts that are masked out have none.

        Raises:
            ValueError: the leaves of a stack have different ones.
        """
        here = [places for places, _ in self.present()]
        by_place = dict(zip(sorted(place for places in here for place in places), leaves, strict=True))
        values: list[Any] = []
        for places in here:
            first = places[0]
            other = next((i for i in places if by_place[i] != by_place[first]), None)
            if other is not None:
                one, two = self.packing.paths[first], self.packing.paths[other]
                raise ValueError(
                    f"{name}: the {what} tells {one} from {two}, which are packed together; "
                    "give the same mask or labels to pack(params, apart=...)"
                )
            values.append(by_place[first])
        return values

    def __repr__(self) -> str:
        return f"Packed({', '.join(map(repr, self.parts))})"


def packed(leaves: Sequence[Any]) -> Any:
    """One leaf as it is; several in a stack."""
    return leaves[0] if len(leaves) == 1 else Stack(_together(leaves))


def _together(leaves: Sequence[Any]) -> Any:
    """The arrays, or the shapes of arrays, along a new first axis; arrays are gathered in two rounds."""
    if isinstance(leaves[0], jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct((len(leaves), *leaves[0].shape), leaves[0].dtype)
    rounds = [jnp.stack(leaves[start : start + BATCH]) for start in range(0, len(leaves), BATCH)]
    return rounds[0] if len(rounds) == 1 else jnp.concatenate([jax.lax.optimization_barrier(x) for x in rounds])


def _apart(x: Any, n: int) -> list[Any]:
    """The arrays of a stack; the transpose of a split is a concatenation, of gradients in two rounds as above."""
    if not jax.tree.leaves(x):
        return [x] * n
    sizes = [min(BATCH, n - start) for start in range(0, n, BATCH)]
    some = [jax.lax.optimization_barrier(part) for part in jax.lax.split(x, sizes)] if len(sizes) > 1 else [x]
    return [one.reshape(one.shape[1:]) for part in some for one in jax.lax.split(part, [1] * part.shape[0])]
