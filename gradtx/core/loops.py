"""Loops and choices: of JAX within a trace, and outside of any of Python.

What runs eagerly has functions of users inside, made for one call perhaps: JAX's would trace and compile them at each.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from gradtx.core.eager import outside
from gradtx.core.typing import Array
from gradtx.core.varying import together

T = TypeVar("T")

AT_A_TIME = 32  # which bounds what they need of memory


def repeat(going_on: Callable[[T], Array], step: Callable[[T], T], start: T) -> T:
    """`start`, and `step` of it, and of that, for as long as `going_on` says so; the types of all must be alike."""
    if not outside():
        return jax.lax.while_loop(going_on, step, together(start))
    now = start
    while going_on(now):
        now = step(now)
    return now


def either(condition: Array, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
    """`yes()` where the condition holds, else `no()`; the types of both must be alike."""
    if not outside():
        return jax.lax.cond(condition, yes, no)
    return yes() if condition else no()


def of_each(function: Callable[[Array], Array], xs: Array) -> Array:
    """`function(x)` for each `x` of an array, stacked: one by one within a trace, and outside of any some at a time."""
    if not outside() or not xs.size:
        return jax.lax.map(function, xs)
    return jnp.concatenate([jax.vmap(function)(xs[at : at + AT_A_TIME]) for at in range(0, len(xs), AT_A_TIME)])
