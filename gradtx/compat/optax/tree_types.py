"""Dtypes, shapes and random keys of trees, under Optax's names; `tree_utils` shows them."""

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from gradtx.core import precision
from gradtx.core.eager import compiled
from gradtx.core.tree_math import tree_random_like as random_like
from gradtx.core.tree_math import tree_split_key

PyTree: TypeAlias = Any


def tree_cast(tree: PyTree, dtype: jax.typing.DTypeLike | None) -> PyTree:
    """Every leaf in a dtype, or as it is for None."""
    return tree if dtype is None else jax.tree.map(lambda x: x.astype(dtype), tree)


def tree_cast_like(tree: PyTree, other_tree: PyTree) -> PyTree:
    """Every leaf in the dtype of the same leaf of another tree."""
    return jax.tree.map(lambda x, like: x.astype(like.dtype), tree, other_tree)


def tree_dtype(tree: PyTree, mixed_dtype_handler: str | None = None) -> Any:
    """The dtype of all leaves; JAX's default float of a tree without any.

    Args:
        tree: a tree of arrays.
        mixed_dtype_handler: what to give where they differ: "lowest" or "highest", the one that is promoted to all
            others or that all others are promoted to; "promote", what all are promoted to; None, an error.

    Raises:
        ValueError: they differ and there is no such dtype; an unknown handler.
    """
    dtypes = list(dict.fromkeys(jnp.dtype(jnp.result_type(x)) for x in jax.tree.leaves(tree)))
    if not dtypes:
        return jnp.dtype(jnp.result_type(float))
    if mixed_dtype_handler not in (None, "promote", "highest", "lowest"):
        wanted = "None, 'promote', 'highest' or 'lowest'"
        raise ValueError(f"tree_dtype: mixed_dtype_handler must be {wanted}, got {mixed_dtype_handler!r}")
    if len(dtypes) > 1 and mixed_dtype_handler is None:
        raise ValueError(f"tree_dtype: leaves are of {', '.join(map(str, dtypes))}, wanted one dtype or a handler")
    if mixed_dtype_handler == "promote":
        return functools.reduce(precision.promote, dtypes)
    return functools.reduce(lambda x, y: _chosen(x, y, mixed_dtype_handler == "highest"), dtypes)


def _chosen(x: Any, y: Any, highest: bool) -> Any:
    both = precision.promote(x, y)
    if both not in (x, y):
        raise ValueError(f"tree_dtype: neither of {x} and {y} is promoted to the other")
    return x if (both == x) == highest else y


def tree_batch_shape(tree: PyTree, shape: tuple[int, ...] = ()) -> PyTree:
    """Every leaf repeated along new leading axes of these lengths; of a type of array, the type of that."""

    def batched(x: Any) -> Any:
        if isinstance(x, jax.ShapeDtypeStruct):
            return jax.ShapeDtypeStruct((*shape, *x.shape), x.dtype)
        return jnp.broadcast_to(x, (*shape, *jnp.shape(x)))

    return jax.tree.map(batched, tree)


def tree_split_key_like(rng_key: jax.Array, target_tree: PyTree) -> PyTree:
    """A tree with a random key for every leaf of another: `jax.random.split(key, leaves)`, in their order."""
    return tree_split_key(rng_key, target_tree)


def tree_random_like(
    rng_key: jax.Array, target_tree: PyTree, sampler: Callable[..., Any] = jax.random.normal,
    dtype: jax.typing.DTypeLike | None = None,
) -> PyTree:  # fmt: skip
    """A tree of random arrays of the shapes and dtypes of another.

    Args:
        rng_key: the key; every leaf gets one of its own, as in `tree_split_key_like`.
        target_tree: arrays, or types of them.
        sampler: `(key, shape, dtype) -> array`.
        dtype: another dtype for all leaves.
    """
    return random_like(rng_key, target_tree, sampler, dtype)


def tree_unwrap_random_key_data(input_tree: PyTree) -> PyTree:
    """The tree with the numbers of its random keys in place of the keys, so that they can be compared."""
    is_key = lambda x: hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    return jax.tree.map(lambda x: jax.random.key_data(x) if is_key(x) else x, input_tree)


@compiled
def weakly_typed(x: jax.Array) -> jax.Array:
    """A float that widens no array it meets, as Python's numbers do not."""
    return jnp.broadcast_to(jnp.asarray(0.0), x.shape).at[...].set(x)
