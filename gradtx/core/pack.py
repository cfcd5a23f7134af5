"""Packing a tree of parameters, so that what many small arrays cost is what a few large ones do."""

from typing import Any

import jax
import jax.core
import numpy as np

from gradtx.core.errors import is_none
from gradtx.core.selection import path_parts, resolve_labels, resolve_mask
from gradtx.core.stacks import Packed, Packing, Part, gathered, grouped
from gradtx.core.typing import PyTree


def pack(params: PyTree, *, largest: int = 16_384, apart: Any = None) -> Packed:
    """Stack the small leaves of one shape and dtype.

    A model of many small arrays makes as many kernels in each step of its optimizer, and as many programs to compile.
    Packed, each distinct shape makes one. Keep the parameters packed and unpack them where the model reads them:

        packed = gradtx.pack(params)
        state = tx.init(packed)
        loss, grads = jax.value_and_grad(lambda packed: loss_fn(packed.unpack()))(packed)
        packed, state = gradtx.step(tx, packed, state, grads)

    The gradients come packed, the state is packed, and the steps are the same to rounding: a rule that looks at a leaf
    as a whole (its norm, its rows) still sees one leaf at a time. Random numbers differ.

    Args:
        params: a tree of arrays or `jax.ShapeDtypeStruct`s; None stays None.
        largest: leaves of more elements than this stay as they are; 0 packs nothing but scalars and empty arrays.
        apart: what tells leaves apart that must not share a stack: a mask or labels, as `masked` and `partition` take
            them. A weight decay with a mask needs it here, too.

    Returns:
        The packed tree; `.unpack()` gives the tree back. Leaves that are sharded over devices stay as they are.
    """
    leaves, treedef = jax.tree_util.tree_flatten_with_path(params, is_leaf=is_none)
    paths = tuple((path_parts(path) or "(root)",) for path, _ in leaves)
    is_mask = apart is None or isinstance(apart, str | tuple)
    labels = jax.tree.leaves(resolve_mask("pack", apart, params)) if is_mask else resolve_labels("pack", apart, params)
    keys: list[Any] = []
    for i, ((_, x), label) in enumerate(zip(leaves, labels, strict=True)):
        is_array = hasattr(x, "shape") and hasattr(x, "dtype")
        alone = not is_array or np.size(x) > largest or _is_sharded(x)
        keys.append(i if alone else (x.shape, str(x.dtype), bool(getattr(x, "weak_type", False)), repr(label)))
    parts = [Part(tuple(places), (None,) * len(places)) for places in grouped(keys)]
    packing = Packing(treedef, paths, tuple(parts))
    return Packed([gathered([leaves[i][1] for i in part.places], part) for part in parts], packing)


def _is_sharded(x: Any) -> bool:
    """Whether an array is cut over devices; of a traced one, whether its type says so."""
    if isinstance(x, jax.core.Tracer):
        return any(axis is not None for axis in jax.typeof(x).sharding.spec)
    sharding = getattr(x, "sharding", None)
    return sharding is not None and not sharding.is_fully_replicated
