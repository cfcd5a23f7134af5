"""What is packed in a tree, such as the slots in a state, under the names of the parameters, and packed again."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.core
import jax.numpy as jnp

from gradtx.core.codecs.coded import is_coded, opened, recoded
from gradtx.core.eager import compiled
from gradtx.core.slots import SlotMark
from gradtx.core.stacks import Packed, Part, Stack, gathered, grouped, is_packed, is_stack
from gradtx.core.typing import PyTree
from gradtx.core.walk import map_declared


def unpacked(tree: PyTree) -> PyTree:
    """A tree with whatever is packed in it unpacked; what is coded stays so, but for that of parts of leaves."""
    has_packed = lambda tree: any(map(is_packed, jax.tree.leaves(tree, is_leaf=is_packed)))
    tree = _items_first(tree) if has_packed(tree) else tree
    while has_packed(tree):
        tree = jax.tree.map(lambda x: _plain(x) if is_packed(x) else x, tree, is_leaf=is_packed)
    return tree


def per_leaf(state: PyTree, params: PyTree) -> PyTree:
    """A state with what is kept in stacks kept leaf by leaf instead: of packed parameters, stack by stack."""
    own = params.packing if is_packed(params) else None
    apart = lambda x: _unpack(x) if is_packed(x) and x.packing != own else x
    return jax.tree.map(apart, state, is_leaf=is_packed)


@compiled
def _unpack(x: Packed) -> PyTree:
    return x.unpack()


def _plain(x: Packed) -> PyTree:
    x = _by_leaves(x)
    return x.shapes() if any(isinstance(y, jax.ShapeDtypeStruct) for y in jax.tree.leaves(x)) else x.unpack()


def _by_leaves(x: Packed) -> Packed:
    """What is packed, without the codes of parts of leaves, such as matrices: leaf by leaf they would be others."""
    parts = zip(x.packing.parts, x.parts, strict=True)
    return Packed([y if part.views[0] is None else opened(y) for part, y in parts], x.packing)


def repacked(tree: PyTree, like: PyTree) -> PyTree:
    """The inverse of `unpacked`: a tree packed as another is, and lying as that does, wherever what it has can be."""
    nodes, treedef = jax.tree.flatten(like, is_leaf=is_packed)
    if not any(map(is_packed, nodes)):
        return tree
    found, nodes = treedef.flatten_up_to(tree), treedef.flatten_up_to(_items_first(like))
    new = [_repacked(x, _by_leaves(y)) if is_packed(y) else x for x, y in zip(found, nodes, strict=True)]
    new = [recoded(x, y) if is_packed(y) and x.packing == y.packing else x for x, y in zip(new, nodes, strict=True)]
    return _items_first(treedef.unflatten(new))


def _items_first(state: PyTree) -> PyTree:
    return map_declared(lambda _, mark, slot: items_first(mark, slot), state)


def items_first(mark: SlotMark, slot: PyTree) -> PyTree:
    """A slot whose stacks begin with their items; in a memory the steps are before these. Twice, it is as it was.

    What is in codes is so item by item, and always begins with them.
    """
    exchanged = lambda x: x if is_coded(x) else _exchanged(x)
    of_stack = lambda x: Stack(jax.tree.map(exchanged, x.value, is_leaf=is_coded)) if is_stack(x) else x
    return jax.tree.map(of_stack, slot, is_leaf=is_stack) if mark.memory else slot


def _exchanged(x: Any) -> Any:
    swapped = lambda x: jnp.swapaxes(x, 0, 1)
    return jax.eval_shape(swapped, x) if isinstance(x, jax.ShapeDtypeStruct) else swapped(x)


def arranged(tree: PyTree, like: PyTree) -> PyTree:
    """A tree with what is packed in it in the stacks of another of its structure: a slot may be in finer ones."""
    nodes, treedef = jax.tree.flatten(like, is_leaf=is_packed)
    if not any(map(is_packed, nodes)) or jax.tree.structure(tree, is_leaf=is_packed) != treedef:
        return tree
    is_elsewise = lambda x, y: is_packed(x) and is_packed(y) and x.packing.parts != y.packing.parts
    each = zip(treedef.flatten_up_to(tree), nodes, strict=True)
    return treedef.unflatten([y.like(x.unpack()) if is_elsewise(x, y) else x for x, y in each])


def _repacked(tree: PyTree, like: Packed) -> PyTree:
    packing = like.packing
    if any(map(is_packed, jax.tree.leaves(packing.treedef.unflatten(packing.paths), is_leaf=is_packed))):
        tree = repacked(tree, like.shapes())
    leaves = packing.treedef.flatten_up_to(tree)
    parts = sorted(finer for part in packing.parts for finer in _alike(leaves, part))
    packing = replace(packing, parts=tuple(parts))
    new = Packed([gathered([leaves[i] for i in part.places], part, whole=packing.whole) for part in parts], packing)
    return jax.tree.map(_as_in, new, like) if new.packing == like.packing else new


def _alike(leaves: Sequence[Any], part: Part) -> list[Part]:
    """A part, in several where its leaves cannot be kept as one array."""
    kinds = [
        (jax.tree.structure(leaves[i]), *(getattr(x, "dtype", id(x)) for x in jax.tree.leaves(leaves[i])))
        for i in part.places
    ]
    chosen = lambda xs, places: tuple(xs[k] for k in places)
    return [Part(chosen(part.places, places), chosen(part.views, places)) for places in grouped(kinds)]


def _as_in(x: Any, like: Any) -> Any:
    """What was packed again, where it lay, with the axis of items where it was."""
    if x.shape != like.shape and x.ndim > 1:
        x = jnp.moveaxis(x, 0, 1)
    if any(isinstance(y, jax.core.Tracer) or not isinstance(y, jax.Array) for y in (x, like)):
        return x
    return jax.device_put(x, like.sharding) if like.committed else x


def names_of(tree: PyTree) -> list[tuple[str, ...]]:
    """For each leaf of a tree, None among them, the path of its parameter; of a stack, that of each item's."""
    names: list[tuple[str, ...]] = []
    for path, node in jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda x: x is None or isinstance(x, Packed)):
        above = jax.tree_util.keystr(path, simple=True, separator="/")
        if isinstance(node, Packed):
            for part, _ in node.present():
                paths = [node.packing.paths[place] for place in part.places]
                inside = [x for xs, n in zip(paths, part.sizes, strict=True) for x in xs for _ in range(n // len(xs))]
                names.append(tuple(f"{above}/{name}" if above else name for name in inside))
        else:
            names.append((above or "(root)",))
    return names
