"""The warm-up of AdEMAMix: of its mixing weight, and of its slow decay by half-life."""

from typing import Annotated

import jax.numpy as jnp

from gradtx.core.arguments import Interval
from gradtx.core.hyperparameters import NonNegativeNumber, PositiveNumber
from gradtx.core.schedule import schedule
from gradtx.core.typing import Array, ArrayLike


@schedule
def ademamix_alpha_schedule(step: Array, peak_value: NonNegativeNumber, warmup_steps: PositiveNumber) -> Array:
    """AdEMAMix's alpha: peak_value min(t / warmup_steps, 1), t = step + 1.

    Args:
        peak_value: alpha from `warmup_steps` on, >= 0.
        warmup_steps: T > 0; the paper takes the whole run.

    Source: Pagliardini et al. 2024, section 3, arXiv:2409.03137.
    """
    return jnp.minimum((step + 1) / warmup_steps, 1) * peak_value


@schedule
def ademamix_b3_schedule(
    step: Array,
    init_value: Annotated[ArrayLike, Interval("(0, 1)")],
    peak_value: Annotated[ArrayLike, Interval("(0, 1)")],
    warmup_steps: PositiveNumber,
) -> Array:
    """AdEMAMix's b3: a decay whose half-life grows in a straight line.

    With s = min(t / warmup_steps, 1), t = step + 1:

        1 / log(b3) = (1 - s) / log(init_value) + s / log(peak_value)

    Args:
        init_value: the decay at t = 0, in (0, 1); the paper takes b1.
        peak_value: the decay from `warmup_steps` on, in (0, 1).
        warmup_steps: T > 0; the paper takes the whole run.

    Source: Pagliardini et al. 2024, section 3 and appendix A.1, arXiv:2409.03137.
    """
    s = jnp.minimum((step + 1) / warmup_steps, 1)
    start, end = jnp.log1p(init_value - jnp.ones(())), jnp.log1p(peak_value - jnp.ones(()))
    return jnp.where(s < 1, jnp.exp(1 / ((1 - s) / start + s / end)), peak_value)
