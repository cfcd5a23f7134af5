"""Guards: what keeps gradients and parameters in their place."""

from typing import NamedTuple

import jax.numpy as jnp

from gradtx.core.lifted import lifted
from gradtx.core.slots import Slot
from gradtx.core.typing import Array


class ZeroNansState(NamedTuple):
    found_nan: Slot  # whether the last update of this leaf had a NaN, one bool


def zero_nans_rule(g: Array, s: ZeroNansState) -> tuple[Array, ZeroNansState]:
    """u = 0 where g is NaN, else g."""
    nan = jnp.isnan(g)
    return jnp.where(nan, 0, g), ZeroNansState(found_nan=jnp.any(nan))


def nonnegative_rule(g: Array, p: Array) -> Array:
    """u = -p where p + g < 0, else g."""
    return jnp.where(p + g < 0, -p, g)


@lifted(zero_nans_rule, ZeroNansState, degree=1)
def zero_nans():
    """Replace every NaN by 0; infinities pass.

    State: `ZeroNansState(found_nan)`: for each leaf, whether its last update had one.
    """
    return {"found_nan": lambda p: jnp.zeros((), bool)}


@lifted(nonnegative_rule, real_only=True)
def keep_params_nonnegative():
    """Shorten each step that would make a parameter negative: u <- max(u, -theta).

    It looks at the step itself, so it is last in a chain. A parameter that is negative already is moved to 0.
    """
