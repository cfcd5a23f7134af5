"""Functions that turn parameters and updates into new parameters, and those of numbers that Optax gave up."""

import warnings
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

import gradtx
from gradtx.compat.optax.base import Number, Params, Updates, as_floats
from gradtx.core import averages, precision
from gradtx.core.eager import compiled
from gradtx.core.errors import is_inexact, is_none
from gradtx.core.tree_math import tree_norm


def apply_updates(params: Params, updates: Updates) -> Params:
    """params + updates, in the dtypes of params; see `gradtx.apply_updates`. Whole numbers are cut, not refused."""

    def add(p: Any, u: Any) -> Any:
        if p is None or is_inexact(p) or not is_inexact(u):
            return gradtx.apply_updates(p, u)
        return precision.cast(as_floats(p) + u, jnp.result_type(p))

    return jax.tree.map(add, params, updates, is_leaf=is_none)


@partial(compiled, static=("step_size",))
def incremental_update(new_tensors: Params, old_tensors: Params, step_size: Number) -> Params:
    """step_size new + (1 - step_size) old, computed in float32 or wider; None where the new tree has None."""

    def between(new: Any, old: Any) -> Any:
        if new is None:
            return None
        new, old = as_floats((new, old))
        dtype = precision.promote(jnp.result_type(new), jnp.result_type(old))
        wide = precision.compute_dtype(dtype)
        share = precision.number_in(step_size, precision.real_dtype(wide))
        return precision.narrow(averages.ema(precision.cast(new, wide), precision.cast(old, wide), share), dtype)

    return jax.tree.map(between, new_tensors, old_tensors, is_leaf=is_none)


def periodic_update(new_tensors: Params, old_tensors: Params, steps: Number, update_period: Number) -> Params:
    """The new tree at every `update_period`-th of the `steps`, else the old one."""
    return jax.lax.cond(jnp.mod(steps, update_period) == 0, lambda: new_tensors, lambda: old_tensors)


def global_norm(updates: Updates) -> jax.Array:
    """Deprecated: `optax.tree.norm`."""
    warnings.warn("optax.global_norm is deprecated, use optax.tree.norm", DeprecationWarning, stacklevel=2)
    return tree_norm(updates)
