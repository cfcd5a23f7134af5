"""What an item is for a rule, and the one grouping of leaves: a tree is cut into batches of equal items, and joined.

An item is a leaf, where no layout is given. A `Layout` says where items lie in each leaf (the matrices in it); those of
one type are stacked, over all leaves, and a rule runs under `vmap` over the stack.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any, Protocol

import jax
import jax.core
from jax.sharding import NamedSharding

from gradtx.core import precision
from gradtx.core.codecs.coded import any_coded, opened, recoded
from gradtx.core.errors import is_none
from gradtx.core.explicit import automatically, lay_of, sharding_of, sharding_of_stack
from gradtx.core.repack import names_of
from gradtx.core.selection import MaskedNode
from gradtx.core.slots import is_whole, reads_values, start_leaf
from gradtx.core.stacks import (
    Packed,
    Packing,
    Part,
    Stack,
    View,
    gathered,
    grouped,
    is_leaf,
    is_packed,
    spread_out,
    unwrapped,
)
from gradtx.core.typing import PyTree


class Layout(Protocol):
    """What an item is for a rule."""

    def views(self, name: str, tree: PyTree) -> list[View | None]:
        """Where items lie in each leaf, None among them; None where the leaf is one item. `name` is for errors."""
        ...


class Batches:
    """A tree cut into batches of items of one type; trees like it are cut, and joined again, in the same way.

    Args:
        tree: the tree: of parameters or updates.
        views: where items lie in each leaf, as a layout says; None: every leaf is an item, and a batch of its own.
        labels: for each leaf what it must share with others of its batch; None for one that is left out. By default all
            may be together.
        like: something kept for this tree, such as a slot. What is one batch there is here, whatever its dtypes.
    """

    def __init__(
        self, tree: PyTree, views: Sequence[View | None] | None = None, labels: Sequence[Any] | None = None,
        like: PyTree = None,
    ) -> None:  # fmt: skip
        self.tree, self.in_views = tree, views is not None
        self.is_leaf = is_none if self.in_views else is_leaf
        self.leaves, self.treedef = jax.tree.flatten(tree, is_leaf=self.is_leaf)
        views = [None] * len(self.leaves) if views is None else views
        labels = [()] * len(self.leaves) if labels is None else labels
        known = {i: k for k, part in enumerate(like.packing.parts) for i in part.places} if _is_of(like, self) else {}
        chosen = [x is not None and label is not None for x, label in zip(self.leaves, labels, strict=True)]
        views = [view if keep else None for view, keep in zip(views, chosen, strict=True)]
        keys: list[Any] = [  # an item that is a leaf is a batch of its own
            i if view is None
            else (view.item, view.is_matrix, label, known.get(i, getattr(x, "dtype", None)), lay_of(x, view))
            for i, (x, view, label) in enumerate(zip(self.leaves, views, labels, strict=True))
        ]  # fmt: skip
        self.all = [Part(tuple(places), tuple(views[i] for i in places)) for places in grouped(keys)]
        self.parts = [part for part in self.all if chosen[part.places[0]]]
        self.labels = labels

    def __len__(self) -> int:
        return len(self.parts)

    @cached_property
    def paths(self) -> list[Any]:
        """The path of each leaf, for errors."""
        return [path for path, _ in jax.tree_util.tree_leaves_with_path(self.tree, is_leaf=self.is_leaf)]

    def first(self, column: Sequence[Any]) -> list[Any]:
        """Of one thing for each leaf, that of the first leaf of every batch."""
        return [column[part.places[0]] for part in self.parts]

    @property
    def stacked(self) -> list[bool]:
        """Whether a batch has an axis of items."""
        return [part.stacked or isinstance(self.leaves[part.places[0]], Stack) for part in self.parts]

    @property
    def matrices(self) -> list[bool]:
        """Whether an item is a matrix of those in a leaf."""
        return [part.of_matrices for part in self.parts]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shape of an item of each batch."""
        own = lambda x: x.value.shape[1:] if isinstance(x, Stack) else x.shape
        firsts = self.first(self.leaves)
        return [part.views[0].item if part.views[0] else own(x) for part, x in zip(self.parts, firsts, strict=True)]

    @property
    def types(self) -> list[Any]:
        """The shape and dtype of each batch."""
        each = zip(self.stacked, self.sizes(), self.shapes, self.first(self.leaves), strict=True)
        return [
            jax.ShapeDtypeStruct((sum(n), *shape) if stacked else shape, unwrapped(x).dtype)
            for stacked, n, shape, x in each
        ]

    def sizes(self) -> list[list[int]]:
        """How many items each leaf of each batch has."""
        sizes = [part.sizes for part in self.parts]
        firsts = self.first(self.leaves)
        return [[len(x.value)] if isinstance(x, Stack) else n for x, n in zip(firsts, sizes, strict=True)]

    def keys(self, key: Any) -> list[Any]:
        """A random key for each batch, or for each item of a stack; None where there is none."""
        if key is None:
            return [None] * len(self)
        keys = self.first(list(jax.random.split(key, max(1, len(self.leaves)))))
        each = zip(keys, self.stacked, self.sizes(), strict=True)
        return [jax.random.split(k, sum(n)) if stacked else k for k, stacked, n in each]

    def held(self, asked: Any = True) -> list[tuple[list[tuple[str, int]], bool]]:
        """For each batch, its parameters with the numbers of their items, and whether there is an axis of these."""
        names = names_of(self.tree) if asked else []
        of = lambda part, sizes: [
            (name, n // len(names[i])) for i, n in zip(part.places, sizes, strict=True) for name in names[i]
        ]
        each = zip(self.parts, self.sizes() if asked else self.parts, self.stacked, strict=True)
        return [(of(part, sizes) if asked else [], stacked) for part, sizes, stacked in each]

    def column(self, tree: PyTree) -> list[Any]:
        """What a tree like this one has at its leaves."""
        return self.treedef.flatten_up_to(tree)

    def cut(self, column: Sequence[Any], *, whole: bool = True, apart: bool = False) -> list[Any]:
        """One array for each batch, of what there is at the leaves: each item's, along a first axis where stacked.

        Args:
            column: one array, or tree of arrays, for each leaf.
            whole: whether it is of the leaf's shape, else it is something kept for each of its items.
            apart: whether every device is to have all of what is explicitly sharded.
        """
        return [_cut([column[i] for i in part.places], part, whole=whole, apart=apart) for part in self.parts]

    def join(self, values: Sequence[Any], column: Sequence[Any]) -> list[Any]:
        """One array for each leaf, of one for each batch; what is left out is as in `column`."""
        new = list(column)
        for part, value in zip(self.parts, values, strict=True):
            first = column[part.places[0]]
            if part.views == (None,):
                value = precision.narrow(value, unwrapped(first).dtype)
                new[part.places[0]] = Stack(value) if isinstance(first, Stack) else value
                continue
            run = lambda value, part=part: _leaves(value, part)
            leaves = automatically(run, (value,), [sharding_of(column[i]) for i in part.places])
            for i, leaf in zip(part.places, leaves, strict=True):
                new[i] = precision.narrow(leaf, column[i].dtype)
        return new

    def started(self, start: Any, others: Any = None) -> list[Any]:
        """What is kept for each batch at first; `start` says how, of a parameter or a type of one.

        Of items that are no matrices `others` says it, where given.
        """
        values: list[Any] = []
        for part in self.parts:
            begin = start if part.of_matrices or others is None else others
            leaves = [self.leaves[i] for i in part.places]
            p = leaves[0]
            if part.views != (None,):
                p = _prototype(leaves, part, needs_values=reads_values(begin), apart=not is_whole(begin))
                p = Stack(p) if part.stacked else p
            values.append(unwrapped(start_leaf(begin, p)))
        return values

    def packed(self, values: Sequence[Any], left_out: Sequence[Any], *, whole: bool = True) -> PyTree:
        """A tree of something kept for each batch, which stays as it is: not joined, in a stacked layout."""
        each = zip(self.parts, values, self.stacked, strict=True)
        found = {part.places: Stack(x) if stacked else x for part, x, stacked in each}
        parts = [found.get(part.places, left_out[part.places[0]]) for part in self.all]
        return Packed(parts, replace(self.packing, whole=whole)) if self.in_views else self.treedef.unflatten(parts)

    @cached_property
    def packing(self) -> Packing:
        """How what is kept for these batches is packed, if it is of the leaves' shapes."""
        return Packing(self.treedef, tuple(names_of(self.tree)), tuple(self.all))

    def is_packed(self, tree: PyTree, *, whole: bool = True) -> bool:
        """Whether a tree is kept in these very batches."""
        return self.in_views and isinstance(tree, Packed) and tree.packing == replace(self.packing, whole=whole)

    def kept(self, tree: Packed) -> list[Any]:
        """One array for each batch, of a tree that is kept in these batches."""
        values = dict(zip((part.places for part in self.all), tree.parts, strict=True))
        return [unwrapped(values[part.places]) for part in self.parts]

    def keep_as(self, values: Sequence[Any], like: PyTree) -> PyTree:
        """A tree of something else for each item, kept in these batches if anything in `like` is."""
        nodes = jax.tree.leaves(like, is_leaf=is_packed)
        if any(self.is_packed(x, whole=whole) for x in nodes for whole in (True, False)):
            return self.packed(values, [None if x is None else MaskedNode() for x in self.leaves], whole=False)
        leaves = self._by_place(values, whole=False)
        return self.treedef.unflatten([leaves.get(i) for i in range(len(self.leaves))])

    def kept_as(self, tree: PyTree) -> list[Any]:
        """The inverse of `keep_as`: what there is for each batch."""
        return self.kept(tree) if isinstance(tree, Packed) else self.cut(self.column(tree), whole=False)

    def views_of(self, tree: PyTree) -> dict[int, View | None]:
        """Where items lay in each leaf when something that is kept in batches was made."""
        parts = tree.packing.parts if _is_of(tree, self) else ()
        views = {i: view for part in parts for i, view in zip(part.places, part.views, strict=True)}
        return {i: view for i, view in views.items() if self.leaves[i] is not None}

    def plain(self, tree: PyTree) -> PyTree:
        """What is kept, as a tree like the one that is cut."""
        if self._is_elsewise(tree):
            return self.tree.like(opened(tree).unpack())
        return tree.unpack() if _is_of(tree, self) else tree

    def _is_elsewise(self, tree: PyTree) -> bool:
        """Whether something that is kept for packed parameters is in other stacks than these: slots of other dtypes."""
        same = lambda x, y: x.packing == y.packing or x.packing.treedef != y.packing.treedef
        return not self.in_views and is_packed(self.tree) and is_packed(tree) and not same(tree, self.tree)

    def keep(
        self, values: Sequence[Any], like: PyTree, seed: Callable[[], Any] = lambda: None, *, whole: bool = True
    ) -> PyTree:
        """The inverse of `kept`: the tree of these arrays, kept as `like` is, in its dtypes or codes; see `again`."""
        if not self.in_views:
            new = self.packed(values, self.column(self.plain(like)))
            if not self._is_elsewise(like):
                return new
            new = like.like(new.unpack())
            return precision.round_like(recoded(new, like, seed()) if any_coded(like) else new, like)
        if self.is_packed(like, whole=whole):
            old = {part.places[0]: x for part, x in zip(self.all, like.parts, strict=True)}
            return self.packed(values, [old.get(i) for i in range(len(self.leaves))], whole=whole)
        leaves, narrow = self._by_place(values, whole=whole), lambda x, y: precision.narrow(x, y.dtype)
        old = enumerate(self.column(self.plain(like)))
        tree = self.treedef.unflatten([jax.tree.map(narrow, leaves[i], x) if i in leaves else x for i, x in old])
        return like.like(tree) if _is_of(like, self) else tree

    def _by_place(self, values: Sequence[Any], *, whole: bool) -> dict[int, Any]:
        """What there is for each leaf of every batch, by the leaf's place."""
        each = zip(self.parts, values, strict=True)
        return {i: x for part, y in each for i, x in zip(part.places, _leaves(y, part, whole=whole), strict=True)}


def _cut(leaves: Sequence[Any], part: Part, *, whole: bool = True, apart: bool = False) -> Any:
    """The array of a batch, of what there is at its leaves."""
    if part.views == (None,):
        return unwrapped(leaves[0])
    run = lambda leaves: unwrapped(gathered(leaves, part, whole=whole))
    if not whole:
        return run(leaves)
    return automatically(run, (leaves,), sharding_of_stack([sharding_of(x) for x in leaves], part, apart))


def _leaves(value: Any, part: Part, *, whole: bool = True) -> list[Any]:
    """The leaves of a batch."""
    return spread_out(Stack(value) if part.stacked else value, part, whole=whole)


def _is_of(tree: Any, batches: Batches) -> bool:
    return batches.in_views and isinstance(tree, Packed) and tree.packing.treedef == batches.treedef


def _prototype(leaves: Sequence[Any], part: Part, *, needs_values: bool, apart: bool) -> Any:
    """What slots of a batch start from: its array, or the type of it where that will do and nothing is traced."""
    if needs_values or any(isinstance(x, jax.core.Tracer) for x in leaves):
        return _cut(leaves, part, apart=apart)
    arrays, structure = jax.tree.flatten(leaves)
    kind = _type_of(part, structure, tuple((x.shape, x.dtype) for x in arrays))
    # What is committed to no device stays so.
    placed = [x.sharding if getattr(x, "committed", True) else None for x in leaves]
    lay = sharding_of_stack(placed, part)
    return jax.ShapeDtypeStruct(
        kind.shape, kind.dtype, sharding=None if apart and isinstance(lay, NamedSharding) else lay
    )


@lru_cache(maxsize=256)
def _type_of(part: Part, structure: Any, types: tuple[tuple[tuple[int, ...], Any], ...]) -> jax.ShapeDtypeStruct:
    """The type of a batch of leaves of these types."""
    leaves = structure.unflatten([jax.ShapeDtypeStruct(*type_) for type_ in types])
    return jax.eval_shape(lambda leaves: unwrapped(gathered(leaves, part)), leaves)
