"""Flattening: an inner transformation that sees all parameters as one vector."""

from functools import partial, reduce
from itertools import accumulate
from typing import Any

import jax
import jax.numpy as jnp

from gradtx.core import precision
from gradtx.core.degree import of
from gradtx.core.eager import compiled
from gradtx.core.errors import is_none
from gradtx.core.explicit import automatically, in_a_row, sharding_of, zeros_like
from gradtx.core.slots import slot_dtype
from gradtx.core.transformation import Inner, Pair, ours, transformation
from gradtx.core.typing import Array, DType, PyTree


@transformation(degree=of("inner"))
def flatten(inner: Inner) -> Pair:
    """Run a transformation on one vector of all parameters.

    Many small arrays become one large one, which saves operations, and a rule that looks at each leaf (its norm, its
    largest element) then looks at all of them at once. The vector has the widest of the leaves' dtypes. A missing
    update counts as zeros and stays missing.

    State: that of `inner` for one vector, in which leaves of different shardings cannot keep them.

    Raises:
        ValueError: from `update`, where updates and params have different trees or shapes.
    """
    tx = ours(inner)

    def init(params: PyTree) -> Any:
        values = jax.tree.leaves(params)
        abstract = any(isinstance(p, jax.ShapeDtypeStruct) for p in values)
        return tx.init(jax.eval_shape(_vector, values) if abstract else _vector(values))

    def update(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, Any]:
        grads, treedef = jax.tree.flatten(updates, is_leaf=is_none)
        like = grads if params is None else treedef.flatten_up_to(params)
        filled = [zeros_like(p) if g is None else g for g, p in zip(grads, like, strict=True) if p is not None]
        flat_params = None if params is None else _vector([p for p in like if p is not None])
        flat, state = tx.within(_vector(filled), state, flat_params, **extra)
        return treedef.unflatten(_leaves(flat, grads, like)), state

    return Pair(init, update, "numbers")


def _vector(leaves: list[Any]) -> Array:
    """All elements in a row, in the dtype that a slot of the widest of them has."""
    dtypes = {jnp.dtype(jnp.result_type(x)) for x in leaves} or {jnp.dtype(jnp.float32)}
    dtype = slot_dtype(reduce(precision.promote, dtypes))
    return automatically(partial(_joined, dtype), leaves, in_a_row(leaves)) if leaves else jnp.zeros(0, dtype)


@compiled
def _joined(dtype: DType, *leaves: Array) -> Array:
    return jnp.concatenate([jnp.reshape(precision.cast(x, dtype), -1) for x in leaves])


def _leaves(flat: Array, updates: list[Any], like: list[Any]) -> list[Any]:
    """The vector cut into leaves of the shapes of `like`, each in the dtype of its update."""
    here = [p if g is None else g for g, p in zip(updates, like, strict=True) if p is not None]

    def cut(flat: Array) -> list[Array]:
        ends = list(accumulate(p.size for p in here))
        return [jnp.reshape(flat[end - p.size : end], p.shape) for p, end in zip(here, ends, strict=True)]

    parts = iter(automatically(cut, (flat,), list(map(sharding_of, here))))
    new = [None if p is None else next(parts) for p in like]
    rounded = lambda g, x: precision.narrow(x if jnp.iscomplexobj(g) else x.real, jnp.result_type(g))
    return [None if g is None or x is None else rounded(g, x) for g, x in zip(updates, new, strict=True)]
