"""What stands for arguments in comparisons and hashes: static ones, and the leaves of values."""

from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np


class Frozen:
    """A static argument made hashable: compared by its leaves and structure when it has no hash of its own.

    A leaf that has none either, or is traced, equals nothing but itself; so does a tree that JAX cannot take apart.
    """

    __slots__ = ("key", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        try:
            hash(value)
            self.key: Any = fingerprint(value) if isinstance(value, float) else value
        except Exception:
            self.key = self._key_by_leaves()

    def _key_by_leaves(self) -> Any:
        try:
            leaves, treedef = jax.tree.flatten(self.value)
            hash(treedef)
        except Exception:
            return id(self.value)
        return treedef, tuple(map(_hashable, leaves))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frozen) and bool(self.key == other.key)

    def __hash__(self) -> int:
        return hash(self.key)


def traced(*xs: Any) -> bool:
    """Whether one of some leaves is traced."""
    return any(isinstance(x, jax.core.Tracer) for x in xs)


def _hashable(leaf: Any) -> Any:
    """A stand-in for a leaf of a static argument: what has no value to compare is itself."""
    try:
        found = fingerprint(leaf)
        hash(found)
    except Exception:
        return id(leaf)
    return found


def fingerprint(leaf: Any) -> Any:
    """A hashable stand-in for a leaf, equal for equal values.

    Raises:
        TypeError: for a traced value, which has no value to hash.
    """
    if traced(leaf):
        raise TypeError("a traced hyperparameter has no value to hash; pass the transformation as an argument instead")
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return str(leaf.dtype), fingerprint(jax.random.key_data(leaf))
    if isinstance(leaf, jax.Array | np.ndarray | np.generic):
        x = np.asarray(leaf)
        return x.shape, str(x.dtype), x.tobytes()
    if isinstance(leaf, float) and (leaf != leaf or (leaf == 0.0 and np.signbit(leaf))):  # by their bits, too
        return np.float64(leaf).tobytes()
    return leaf
