"""Packed trees: leaves of one type, or equal items in them, kept as one array, which a rule treats one by one."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gradtx.core.errors import is_none
from gradtx.core.typing import Array, PyTree

BATCH = 32  # arrays that one kernel gathers; XLA's time to compile grows faster than the number of its operands


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Stack:
    """Items of one type, such as leaves of one shape and dtype, along a new first axis of `value`."""

    value: Any


def is_stack(x: Any) -> bool:
    """Whether it is a stack."""
    return isinstance(x, Stack)


def is_leaf(x: Any) -> bool:
    """Whether a tree ends here for a transformation: at a missing leaf, or at a stack of leaves."""
    return x is None or (isinstance(x, Stack) and bool(jax.tree.leaves(x.value)))


def unwrapped(x: Any) -> Any:
    """What a stack holds; anything else as it is."""
    return x.value if isinstance(x, Stack) else x


@dataclass(frozen=True)
class View:
    """Where items lie in a leaf: one after another along some of its axes, their own axes made of the others."""

    shape: tuple[int, ...]  # of the leaf
    counted: tuple[int, ...]  # the axes along which there are items, outermost first
    axes: tuple[tuple[int, ...], ...]  # for each axis of an item, those of the leaf that it is made of
    is_matrix: bool = True  # else items are whole leaves, of a stack of them

    @property
    def stack(self) -> tuple[int, ...]:
        """The shape of the axes along which there are items."""
        return tuple(self.shape[a] for a in self.counted)

    @property
    def item(self) -> tuple[int, ...]:
        """The shape of an item."""
        return tuple(prod(self.shape[a] for a in axes) for axes in self.axes)

    @property
    def _order(self) -> tuple[int, ...]:
        return sum(self.axes, self.counted)

    def cut(self, x: Array) -> Array:
        """The items of a leaf, each on the last axes: (stack axes, item axes)."""
        return x.transpose(self._order).reshape(*self.stack, *self.item)

    def join(self, y: Array) -> Array:
        """The inverse of `cut`; axes before those that it gives stay before."""
        order, lead = self._order, y.ndim - len(self.counted) - len(self.axes)
        whole = y.reshape(*y.shape[:lead], *(self.shape[a] for a in order))
        return whole.transpose(*range(lead), *(lead + order.index(a) for a in range(len(order))))


class Part(NamedTuple):
    """Leaves that are kept as one array, by their places in the tree, and how items lie in each (None: it is one)."""

    places: tuple[int, ...]
    views: tuple[View | None, ...]

    @property
    def stacked(self) -> bool:
        """Whether there is an axis of items; a single leaf that is one item has none."""
        return len(self.places) > 1 or bool(self.views[0] and self.views[0].counted)

    @property
    def of_matrices(self) -> bool:
        """Whether an item is a matrix of those in a leaf."""
        return bool(self.views[0] and self.views[0].is_matrix)

    @property
    def sizes(self) -> list[int]:
        """How many items each leaf has."""
        return [prod(view.stack) if view else 1 for view in self.views]


@dataclass(frozen=True)
class Packing:
    """How a tree is packed. What is packed may be of the leaves' shapes, or anything that is kept for each item."""

    treedef: Any
    paths: tuple[tuple[str, ...], ...]  # of the parameters that each leaf of the tree holds
    parts: tuple[Part, ...]
    whole: bool = True  # whether an item is a part of its leaf, so that together they have the leaf's shape

    def of_items(self) -> "Packing":
        """The same, of something that is kept for each item."""
        return replace(self, whole=False)


@jax.tree_util.register_pytree_with_keys_class
class Packed:
    """A tree whose leaves of one type, or the matrices in them, are stacked; `unpack` gives the tree.

    It is a pytree: differentiate with respect to it, give it to an optimizer in place of the parameters, donate it.
    Transformations act on the leaves it stands for, each stack of them in one operation. Its names, in `state_dict` and
    wherever else a state is taken apart, are those of the tree.
    """

    def __init__(self, parts: Sequence[Any], packing: Packing) -> None:
        self.parts = tuple(parts)
        self.packing = packing

    def tree_flatten_with_keys(self) -> tuple[list[tuple[Any, Any]], Packing]:
        """The parts, each under the path of the first leaf that it stands for."""
        names = ["/".join(self.packing.paths[part.places[0]][:1]) for part in self.packing.parts]
        return [(jax.tree_util.DictKey(k), x) for k, x in zip(names, self.parts, strict=True)], self.packing

    @classmethod
    def tree_unflatten(cls, packing: Packing, parts: Sequence[Any]) -> "Packed":
        """The tree of these parts."""
        return cls(parts, packing)

    def unpack(self) -> PyTree:
        """The tree that was packed, with the present values; its derivative is packed."""
        leaves: list[Any] = [None] * len(self.packing.paths)
        for part, value in zip(self.packing.parts, self.parts, strict=True):
            for place, leaf in zip(part.places, spread_out(value, part, whole=self.packing.whole), strict=True):
                leaves[place] = leaf
        return jax.tree.unflatten(self.packing.treedef, leaves)

    def like(self, tree: PyTree) -> "Packed":
        """Another tree of the structure that was packed, such as its gradients, packed in the same way.

        Raises:
            ValueError: a tree of another structure.
        """
        leaves, packing = self.packing.treedef.flatten_up_to(tree), self.packing
        gather = lambda part: gathered([leaves[i] for i in part.places], part, whole=packing.whole)
        return Packed([gather(part) for part in packing.parts], packing)

    def shapes(self) -> PyTree:
        """The tree that was packed, as shapes and dtypes."""
        return jax.eval_shape(Packed.unpack, self)

    def present(self) -> list[tuple[Part, Any]]:
        """The parts that are not masked out."""
        parts = zip(self.packing.parts, self.parts, strict=True)
        return [(part, x) for part, x in parts if is_none(x) or jax.tree.leaves(x)]

    def spread(self, name: str, what: str, leaves: Sequence[Any]) -> list[Any]:
        """One value for each part, of one for each leaf of the tree; parts that are masked out have none.

        Raises:
            ValueError: the leaves of a stack have different ones.
        """
        here = [part.places for part, _ in self.present()]
        by_place = dict(zip(sorted(place for places in here for place in places), leaves, strict=True))
        values: list[Any] = []
        for places in here:
            first = places[0]
            other = next((i for i in places if by_place[i] != by_place[first]), None)
            if other is not None:
                (one, *_), (two, *_) = self.packing.paths[first], self.packing.paths[other]
                raise ValueError(
                    f"{name}: the {what} tells {one} from {two}, which are packed together; "
                    "give the same mask or labels to pack(params, apart=...)"
                )
            values.append(by_place[first])
        return values

    def __repr__(self) -> str:
        return f"Packed({', '.join(map(repr, self.parts))})"


def grouped(keys: Iterable[Hashable]) -> Iterable[list[int]]:
    """The places of equal keys, in the order of the first of each."""
    groups: dict[Hashable, list[int]] = {}
    for place, key in enumerate(keys):
        groups.setdefault(key, []).append(place)
    return groups.values()


def is_packed(x: Any) -> bool:
    """Whether a tree is packed."""
    return isinstance(x, Packed)


def gathered(leaves: Sequence[Any], part: Part, *, whole: bool = True) -> Any:
    """What is kept of the leaves of a part: one array, or a `Stack`; of trees, and of what is masked out, likewise."""
    if any(isinstance(x, jax.ShapeDtypeStruct) for x in jax.tree.leaves(leaves)) and part.views != (None,):
        return jax.eval_shape(lambda leaves: gathered(leaves, part, whole=whole), leaves)
    if not jax.tree.leaves(leaves[0]):
        return Stack(leaves[0]) if part.stacked else leaves[0]
    if not part.stacked:
        view = part.views[0]
        return jax.tree.map(view.cut, leaves[0]) if view and whole else leaves[0]

    def together(*arrays: Array) -> Array:
        items = [_items(x, view, whole) for x, view in zip(arrays, part.views, strict=True)]
        rounds = [_concatenated(items[start : start + BATCH]) for start in range(0, len(items), BATCH)]
        return rounds[0] if len(rounds) == 1 else jnp.concatenate([jax.lax.optimization_barrier(x) for x in rounds])

    with jax.numpy_dtype_promotion("standard"):
        return Stack(jax.tree.map(together, *leaves))


def _concatenated(items: Sequence[Array]) -> Array:
    return items[0] if len(items) == 1 else jnp.concatenate(items)


def _items(x: Array, view: View | None, whole: bool) -> Array:
    """The items of a leaf, or what is kept for each, along a first axis."""
    if view is None:
        return x[None]
    items = view.cut(x) if whole else x
    return items.reshape(prod(view.stack), *items.shape[len(view.stack) :])


def spread_out(value: Any, part: Part, *, whole: bool = True) -> list[Any]:
    """The leaves of a part; the transpose of a split is a concatenation, of gradients in two rounds as above."""
    if not isinstance(value, Stack):
        view = part.views[0]
        return [jax.tree.map(view.join, value) if view and whole and jax.tree.leaves(value) else value] * len(
            part.places
        )
    arrays, structure = jax.tree.flatten(value.value)
    columns = [_apart(x, part, whole) for x in arrays]
    return [structure.unflatten([column[k] for column in columns]) for k in range(len(part.places))]


def _apart(x: Array, part: Part, whole: bool) -> list[Array]:
    views, sizes = part.views, part.sizes
    # Of several runs, or of a memory whose slot does not say so here, along axes before that of the items.
    before = x.ndim > 1 + len(views[0].item) if whole and views[0] else x.shape[0] != sum(sizes)
    if before and x.ndim > 1:
        return jax.vmap(lambda x: _apart(x, part, whole))(x)
    pieces: list[Array] = []
    starts = range(0, len(sizes), BATCH)
    some = jax.lax.split(x, [sum(sizes[k : k + BATCH]) for k in starts]) if len(starts) > 1 else [x]
    for start, piece in zip(starts, some, strict=True):
        piece = jax.lax.optimization_barrier(piece) if len(starts) > 1 else piece
        pieces += jax.lax.split(piece, sizes[start : start + BATCH])
    shaped = [y.reshape(*(view.stack if view else ()), *y.shape[1:]) for y, view in zip(pieces, views, strict=True)]
    return [view.join(y) if view and whole else y for y, view in zip(shaped, views, strict=True)]
