"""What schedules are made of: how far a leg has come, the shapes it may have, and a check of its bounds."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import jax.numpy as jnp

from gradtx.core.averages import sqrt
from gradtx.core.hyperparameters import Number
from gradtx.core.typing import Array


def progress(step: Array, begin: Number, end: Number) -> Array:
    """How much of a leg is over: 0 until `begin`, and exactly 1 from `end` on; a leg of no length is over at once."""
    length = jnp.asarray(end - begin, step.dtype)
    some = length > 0
    under_way = jnp.where(some, jnp.clip((step - begin) / jnp.where(some, length, 1), 0, 1), 0)
    return jnp.where(step < end, under_way, 1)


def between(start: Number, end: Number, x: Array) -> Array:
    """(1 - x) start + x end: exact at both ends."""
    return (1 - x) * start + x * end


def power(x: Array, exponent: Number) -> Array:
    """x^exponent for x >= 0 and a positive exponent, with finite derivatives at x = 0."""
    some = x > 0
    return jnp.where(some, jnp.where(some, x, 1) ** exponent, 0)


def linear(x: Array) -> Array:
    """1 - x."""
    return 1 - x


def cosine(x: Array) -> Array:
    """(1 + cos(pi x)) / 2, as sin^2(pi (1 - x) / 2): exact at both ends and to rounding near x = 1."""
    return jnp.square(jnp.sin(jnp.pi / 2 * (1 - x)))


def one_minus_sqrt(x: Array) -> Array:
    """1 - sqrt(x); its infinite slope at x = 0 counts as zero."""
    return 1 - sqrt(x)


SHAPES: dict[str, Callable[[Array], Array]] = {"linear": linear, "1-sqrt": one_minus_sqrt, "cosine": cosine}
"""The share of the start value that is left after a part x of a leg: 1 at x = 0, 0 at x = 1."""


def check_order(name: str, values: Mapping[str, Any]) -> None:
    """Refuse numbers that decrease from one to the next; traced ones are taken on trust.

    Raises:
        ValueError: names the schedule and the two numbers.
    """
    known = [(what, x) for what, x in values.items() if isinstance(x, int | float)]
    for (low, x), (high, y) in pairwise(known):
        if x > y:
            raise ValueError(f"{name}: {low} must not exceed {high}, got {low}={x!r}, {high}={y!r}")
