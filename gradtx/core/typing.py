"""The types that signatures share."""

from collections.abc import Callable
from typing import Annotated, Any, Protocol, TypeAlias, runtime_checkable

import jax

from gradtx.core.masks import IsMask

Array: TypeAlias = jax.Array
"""A JAX array."""

ArrayLike: TypeAlias = jax.Array | float
"""A number, or a JAX array of them."""

PyTree: TypeAlias = Any
"""Any nesting of containers that JAX knows, with arrays at its leaves."""

DType: TypeAlias = Any
"""Anything `jax.numpy.dtype` accepts: `'bfloat16'`, `jnp.float32`, a `numpy.dtype`."""

Arguments: TypeAlias = dict[str, Any]
"""The arguments of a call of a maker, by name."""

Extra: TypeAlias = dict[str, Any]
"""The extra arguments of `update`, by name."""

Numbers: TypeAlias = dict[str, Any]
"""What a rule, or a state, gets by name: hyperparameters, and what is reduced over the whole tree."""

Mask: TypeAlias = Annotated[PyTree | Callable[[PyTree], PyTree] | None, IsMask()]
"""Which leaves a transformation acts on: see `gradtx.core.selection.resolve_mask`."""


@runtime_checkable
class TransformationLike(Protocol):
    """Anything with a pure `init(params)` and a pure `update(updates, state, params)`: ours, Optax's, or yours."""

    @property
    def init(self) -> Callable[..., Any]:
        """Make the state from the parameters."""
        ...

    @property
    def update(self) -> Callable[..., Any]:
        """Turn updates into updates, and the state into the next state."""
        ...
