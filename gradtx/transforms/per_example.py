"""Gradients of single examples: clipped one by one, then summed."""

from math import sqrt
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gradtx.core import errors, precision, tree
from gradtx.core.averages import shortening
from gradtx.core.border import widely
from gradtx.core.eager import compiled
from gradtx.core.errors import is_none, path_str
from gradtx.core.fields import RandomKey
from gradtx.core.hyperparameters import KeyLike, NonNegativeNumber
from gradtx.core.transformation import Pair, transformation
from gradtx.core.typing import Array, ArrayLike, PyTree
from gradtx.transforms.noise import start_key


class DifferentiallyPrivateAggregateState(NamedTuple):
    rng_key: RandomKey  # split at each step


@compiled
@widely
def per_example_global_norm_clip(grads: PyTree, l2_norm_clip: ArrayLike) -> tuple[PyTree, Array]:
    """Shorten each example's gradient to a norm over all leaves, and sum them.

    Args:
        grads: gradients with examples on the first axis of every leaf, as `jax.vmap(jax.grad(loss), (None, 0))` gives.
        l2_norm_clip: the largest norm that one example's gradient may have.

    Returns:
        The sum over examples of g_i min(1, l2_norm_clip / ||g_i||), and how many were shortened.

    Raises:
        ValueError: a leaf without that axis, or with another length of it than the first leaf.
    """
    return _clipped_sum("per_example_global_norm_clip", grads, l2_norm_clip)


@compiled
@widely
def per_example_layer_norm_clip(
    grads: PyTree, global_l2_norm_clip: ArrayLike, uniform: bool = True
) -> tuple[PyTree, PyTree]:
    """Shorten each leaf of each example's gradient to its share of a norm, and sum them.

    Args:
        grads: gradients with examples on the first axis of every leaf.
        global_l2_norm_clip: C, the largest norm that one example's whole gradient can then have.
        uniform: whether each of K leaves may have the norm C / sqrt(K), or C sqrt(its share of all parameters).

    Returns:
        The sum over examples, and for each leaf how many examples were shortened there.

    Raises:
        ValueError: as for `per_example_global_norm_clip`.

    Source: McMahan et al. 2018, arXiv:1710.06963.
    """
    name = "per_example_layer_norm_clip"
    _check_examples(name, grads)
    leaves, treedef = jax.tree.flatten(grads)
    sizes = [1 if uniform else jnp.size(g) for g in leaves]
    limits = [sqrt(size / sum(sizes)) * jnp.asarray(global_l2_norm_clip) for size in sizes]
    pairs = [_clipped_sum(name, g, limit) for g, limit in zip(leaves, limits, strict=True)]
    sums = treedef.unflatten([total for total, _ in pairs])
    return sums, treedef.unflatten([clipped for _, clipped in pairs])


@transformation
def differentially_private_aggregate(
    l2_norm_clip: NonNegativeNumber, noise_multiplier: NonNegativeNumber, key: KeyLike = 0
) -> Pair:
    """Turn per-example gradients into one private gradient: clip each, sum, add noise, average.

      u <- (sum_i g_i min(1, C / ||g_i||) + N(0, (sigma C)^2)) / B, for i = 1, ..., B

    It takes updates of shape (B, ...) and gives updates of the parameters' shape, so it is first in a chain. A
    gradient accumulator before it would break the guarantee.

    Args:
        l2_norm_clip: C >= 0, the largest norm of one example's gradient.
        noise_multiplier: sigma >= 0, the standard deviation of the noise over C.

    State: `DifferentiallyPrivateAggregateState(rng_key)`, 8 bytes.

    Raises:
        ValueError: from `update`, for a leaf without an axis of examples, with its path.

    Source: Abadi et al. 2016, Algorithm 1, arXiv:1607.00133.
    """
    name = "differentially_private_aggregate"

    def init(params: PyTree) -> DifferentiallyPrivateAggregateState:
        return DifferentiallyPrivateAggregateState(start_key(key))

    def update(updates: PyTree, state: Any, params: PyTree = None) -> Any:
        examples = _check_examples(name, updates, params)
        total, _ = _clipped_sum(name, updates, l2_norm_clip)
        leaves, treedef = jax.tree.flatten(total)
        new_key, *keys = jax.random.split(state.rng_key, len(leaves) + 1)

        def private(g: Array, key: Array) -> Array:
            number = lambda x: precision.cast(x, g.dtype)
            deviation = number(l2_norm_clip) * number(noise_multiplier)
            return (g + deviation * jax.random.normal(key, g.shape, g.dtype)) / examples

        noisy = treedef.unflatten([private(g, k) for g, k in zip(leaves, keys, strict=True)])
        return noisy, DifferentiallyPrivateAggregateState(new_key)

    return Pair(init, update, "examples", DifferentiallyPrivateAggregateState, {"rng_key": lambda _: start_key(key)})


def _clipped_sum(name: str, grads: PyTree, limit: Any) -> tuple[PyTree, Array]:
    """The sum of clipped gradients in wide dtypes, and how many were clipped."""
    examples = _check_examples(name, grads)
    if not examples:
        return grads, jnp.zeros((), jnp.int32)
    norms = jax.vmap(tree.norm)(grads)
    limit = precision.cast(limit, norms.dtype)
    factors = shortening(norms, limit)
    total = jax.tree.map(lambda g: jnp.tensordot(precision.cast(factors, g.dtype), g, axes=1), grads)
    return total, jnp.sum(norms > limit, dtype=jnp.int32)


def _check_examples(name: str, grads: PyTree, params: PyTree = None) -> int:
    """The number of examples, 0 without leaves; refuses leaves that do not have them on their first axis."""
    paths_and_leaves, treedef = jax.tree_util.tree_flatten_with_path(grads, is_leaf=is_none)
    inner: list[Any] = [None] * len(paths_and_leaves)
    if params is not None:
        try:
            inner = treedef.flatten_up_to(params)
        except ValueError:
            errors.structure_mismatch(name, "params", grads, params)
    examples = None
    for (path, g), p in zip(paths_and_leaves, inner, strict=True):
        if g is None:
            continue
        shape = jnp.shape(g)
        examples = shape[0] if examples is None and shape else examples
        if not shape or shape[0] != examples or (p is not None and shape[1:] != jnp.shape(p)):
            wanted = "B, ..." if p is None else ", ".join(map(str, ("B", *jnp.shape(p))))
            raise ValueError(
                f"{name}: the gradient at {path_str(path)} has shape {shape}, wanted ({wanted}) with B = "
                f"{examples or 'the number of'} examples, as jax.vmap(jax.grad(loss), (None, 0)) gives"
            )
    return examples or 0
