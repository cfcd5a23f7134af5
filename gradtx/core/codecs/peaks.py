"""The largest magnitudes of the rows of slots, for codecs that go by those of the step before."""

from collections import defaultdict
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from gradtx.core import precision
from gradtx.core.codecs.coded import any_coded, is_coded
from gradtx.core.typing import Array, PyTree


class Peaked:
    """An array, and the largest magnitudes of its rows: a leaf of a tree, on the way from a rule to its codes."""

    __slots__ = ("array", "peaks")

    def __init__(self, array: Array, peaks: Array) -> None:
        self.array, self.peaks = array, peaks


def with_peaks(new: PyTree, old: PyTree) -> PyTree:
    """What a rule makes of slots, `Peaked` where it takes the place of codes that ask for it."""
    if not any_coded(old):
        return new
    likes, treedef = jax.tree.flatten(old, is_leaf=is_coded)
    leaves: list[Any] = treedef.flatten_up_to(new)
    alike: dict[Any, list[int]] = defaultdict(list)
    for k, (x, like) in enumerate(zip(leaves, likes, strict=True)):
        if is_coded(like) and like.kind.coding.late is not None and not jnp.iscomplexobj(like):
            alike[x.shape].append(k)
    for places in alike.values():
        arrays = [precision.narrow(leaves[k], jnp.float32) for k in places]
        for k, x, peaks in zip(places, arrays, _peaks(arrays), strict=True):
            leaves[k] = Peaked(x, peaks)
    return treedef.unflatten(leaves)


def _peaks(arrays: list[Array]) -> list[Array]:
    """Of arrays of one shape; on a GPU by one reduction, since XLA would copy what a second one reads."""
    sizes = [jnp.abs(lax.stop_gradient(jnp.atleast_1d(x))) for x in arrays]
    if len(sizes) == 1:
        return _apart(*sizes)
    return lax.platform_dependent(*sizes, cuda=_together, rocm=_together, default=_apart)


def _apart(*sizes: Array) -> list[Array]:
    return [jnp.max(x, axis=-1, keepdims=True, initial=0) for x in sizes]


def _together(*sizes: Array) -> list[Array]:
    largest = lambda xs, ys: tuple(map(jnp.maximum, xs, ys))
    zeros = tuple(jnp.zeros((), x.dtype) for x in sizes)
    return [x[..., None] for x in lax.reduce(sizes, zeros, largest, (sizes[0].ndim - 1,))]
