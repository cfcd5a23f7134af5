"""Wrappers of `optax.contrib`: plateaus, Mechanic, and complex parameters as pairs."""

from typing import Any

import gradtx
from gradtx.compat.optax.base import OptState, Pair, Params, Updated, Updates
from gradtx.compat.optax.table import same, translation


@translation(
    "factor:float patience rtol:float atol:float cooldown accumulation_size min_scale:float", gradtx.reduce_on_plateau
)
def reduce_on_plateau(own: Pair, factor: float, rtol: float, atol: float, **_: Any) -> Pair:
    """Multiply updates by a scale that falls when a value has stopped falling; `update` without `value` is a TypeError.

    Raises:
        ValueError: factor, rtol or atol out of range, or both tolerances 0.
    """
    if not 0 < factor < 1:
        raise ValueError(f"reduce_on_plateau: factor must be in (0, 1), got {factor!r}")
    if not (0 <= rtol <= 1 and atol >= 0 and rtol + atol > 0):
        raise ValueError(f"reduce_on_plateau: rtol must be in [0, 1], atol >= 0, one of them > 0, got {rtol=}, {atol=}")

    def update(updates: Updates, state: OptState, params: Params = None, *, value: Any, **extra_args: Any) -> Updated:
        return own.update(updates, state, params, value=value)

    return Pair(own.init, update)


globals().update(
    same(
        "gradtx.compat.optax.contrib",
        """
mechanize | base_optimizer:inner! weight_decay:float eps:float s_init:float num_betas | |
    Learn the scale of an optimizer's updates; see `gradtx.mechanize`.
split_real_and_imaginary | inner:inner! | |
    Run a transformation on the real and imaginary parts of complex leaves as on two parameters.
""",
    )
)
