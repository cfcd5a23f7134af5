"""States as flat dictionaries of named arrays, and back into the state of a changed chain."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.core
import jax.numpy as jnp

from gradtx.core import precision
from gradtx.core.typing import Array, PyTree
from gradtx.state.names import named_leaves


class Restored(NamedTuple):
    """What `restore` did, by name."""

    restored: tuple[str, ...]  # in both: taken from the saved state
    missing: tuple[str, ...]  # only in the state: left as they were
    unused: tuple[str, ...]  # only in the saved state

    def __str__(self) -> str:
        return "\n".join(f"{what}: {', '.join(names) or '(none)'}" for what, names in self._asdict().items())


def state_dict(state: PyTree) -> dict[str, Array]:
    """The arrays of a state under names that do not depend on where in a chain a link stands.

        {"scale_by_adam/count": ..., "scale_by_adam/mu/layer1/w": ..., "scale_by_adam/nu/layer1/w": ...}

    A link's state gives the name of its type in snake case, without `State`; fields, keys and positions within
    parameters give their own. Of two links of one kind in one chain the names begin with `0/` and `1/`.

    Args:
        state: an optimizer's state, or any tree.

    Returns:
        A dictionary of the arrays themselves, not of copies.

    Raises:
        ValueError: two arrays would have one name, as with the keys `"a/b"` and `"a"` over `"b"` in one tree.
    """
    found: dict[str, Any] = {}
    for entry in named_leaves(state):
        if entry.name in found:
            raise ValueError(f"state_dict: two arrays have the name {entry.name}; rename a key")
        found[entry.name] = entry.value
    return found


def restore(state: PyTree, saved: Mapping[str, Any]) -> tuple[PyTree, Restored]:
    """Put saved arrays into the state of an optimizer that need not be the one they come from.

        state, report = gradtx.restore(tx.init(params), saved)  # AdamW for Adam, clipping added, another order

    Args:
        state: the state to fill, such as `tx.init(params)`; arrays, or `jax.ShapeDtypeStruct`s of them.
        saved: arrays by name, as `state_dict` gives them.

    Returns:
        The state, with a copy of every saved array whose name it has, in its own dtypes and on its own shardings;
        and a report of the names that were restored, missing and unused.

    Raises:
        ValueError: a saved array of another shape or kind than the state's; names it and both.
    """
    own = state_dict(state)
    leaves = [_put(name, old, saved[name]) if name in saved else old for name, old in own.items()]
    report = Restored(
        tuple(name for name in own if name in saved),
        tuple(name for name in own if name not in saved),
        tuple(name for name in saved if name not in own),
    )
    return jax.tree.unflatten(jax.tree.structure(state), leaves), report


def _put(name: str, old: Any, new: Any) -> Any:
    if jnp.shape(new) != jnp.shape(old):
        raise ValueError(f"restore: {name} has shape {jnp.shape(old)}, the saved one {jnp.shape(new)}")
    wanted, got = jnp.result_type(old), jnp.result_type(new)
    if _kind(wanted) != _kind(got):
        raise ValueError(f"restore: {name} is {wanted}, the saved one {got}")
    if not jnp.issubdtype(got, jax.dtypes.prng_key):
        new = precision.narrow(new, wanted)
    copied = jnp.array(new, copy=True)
    placed = getattr(old, "sharding", None) is not None and not isinstance(old, jax.core.Tracer)
    # An array that is on no device in particular stays so, or it could not meet arrays on a mesh.
    return jax.device_put(copied, old.sharding) if placed and getattr(old, "committed", True) else copied


def _kind(dtype: Any) -> str:
    kinds = {"key": jax.dtypes.prng_key, "complex": jnp.complexfloating, "float": jnp.floating, "whole": jnp.integer}
    return next((name for name, kind in kinds.items() if jnp.issubdtype(dtype, kind)), "bool")
