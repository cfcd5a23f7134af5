"""Guards: what keeps gradients and parameters in their place."""

from typing import NamedTuple

import jax.numpy as jnp

from gradtx.core.leafwise import Leafwise, leafwise
from gradtx.core.slots import Slot
from gradtx.core.transformation import transformation
from gradtx.core.typing import Array


class ZeroNansState(NamedTuple):
    """State of `zero_nans`."""

    found_nan: Slot  # whether the last update of this leaf had a NaN, one bool


def zero_nans_rule(g: Array, s: ZeroNansState) -> tuple[Array, ZeroNansState]:
    """u = 0 where g is NaN, else g."""
    nan = jnp.isnan(g)
    return jnp.where(nan, 0, g), ZeroNansState(found_nan=jnp.any(nan))


def nonnegative_rule(g: Array, p: Array) -> Array:
    """u = -p where p + g < 0, else g."""
    return jnp.where(p + g < 0, -p, g)


@transformation(degree=1)
def zero_nans() -> Leafwise:
    """Replace every NaN by 0; infinities pass.

    State: `ZeroNansState(found_nan)`: for each leaf, whether its last update had one.
    """
    return leafwise(zero_nans_rule, ZeroNansState, found_nan=lambda p: jnp.zeros((), bool))


@transformation
def keep_params_nonnegative() -> Leafwise:
    """Shorten each step that would make a parameter negative: u <- max(u, -theta).

    It looks at the step itself, so it is last in a chain. A parameter that is negative already is moved to 0.

    State: none.

    Raises:
        ValueError: from `update` without params.
        TypeError: for a complex leaf, with its path.
    """
    return leafwise(nonnegative_rule, real_only=True)
