"""Loops and choices: of JAX within a trace, and outside of any of Python.

What runs eagerly has functions of users inside, made for one call perhaps: JAX's would trace and compile them at each.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import jax

from gradtx.core.eager import outside
from gradtx.core.typing import Array
from gradtx.core.varying import together

T = TypeVar("T")


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
