"""Wrappers of `optax.contrib`: plateaus, Mechanic, and complex parameters as pairs."""

from typing import Any

from gradtx.combine import complex as pairs
from gradtx.compat.optax.base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    OptState,
    Params,
    Updates,
    expose,
    with_extra_args_support,
)
from gradtx.compat.optax.remember import remembered
from gradtx.wrappers import mechanic, plateau


@remembered
def reduce_on_plateau(
    factor: float = 0.1, patience: int = 10, rtol: float = 1e-4, atol: float = 0.0, cooldown: int = 0,
    accumulation_size: int = 1, min_scale: float = 0.0,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """Multiply updates by a scale that falls when a value has stopped falling; see `gradtx.reduce_on_plateau`.

    Args:
        factor: in (0, 1), what the scale is multiplied by.
        patience: how many values in a row may be no better.
        rtol: in [0, 1], how much better is better, relative to the best.
        atol: at least 0, the same absolutely.
        cooldown: how many values after a reduction do not count.
        accumulation_size: how many values are averaged first.
        min_scale: where the scale stops.

    State: `ReduceLROnPlateauState(scale, best_value, plateau_count, cooldown_count, count, avg_value)`.

    Raises:
        ValueError: factor, rtol or atol out of range, or both tolerances 0.
        TypeError: from `update` without `value`.
    """
    if not 0 < factor < 1:
        raise ValueError(f"reduce_on_plateau: factor must be in (0, 1), got {factor!r}")
    if not (0 <= rtol <= 1 and atol >= 0 and rtol + atol > 0):
        raise ValueError(f"reduce_on_plateau: rtol must be in [0, 1], atol >= 0, one of them > 0, got {rtol=}, {atol=}")
    tx = expose(plateau.reduce_on_plateau, factor, patience, rtol, atol, cooldown, accumulation_size, min_scale)

    def update(
        updates: Updates, state: OptState, params: Params = None, *, value: Any, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        del extra_args
        return tx.update(updates, state, params, value=value)

    return GradientTransformationExtraArgs(tx.init, update)


def mechanize(
    base_optimizer: GradientTransformation, weight_decay: float = 1e-2, eps: float = 1e-8, s_init: float = 1e-6,
    num_betas: int = 6,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """Learn the scale of an optimizer's updates; see `gradtx.mechanize`.

    Args:
        base_optimizer: the optimizer.
        weight_decay: Mechanic's own pull towards 0.
        eps: added where it divides.
        s_init: the scale at the start.
        num_betas: how many decays.

    State: `MechanicState(base_optimizer_state, count, r, m, v, s, x0)`.
    """
    return expose(mechanic.mechanize, with_extra_args_support(base_optimizer), weight_decay, eps, s_init, num_betas)


def split_real_and_imaginary(inner: GradientTransformation) -> GradientTransformationExtraArgs:
    """Run a transformation on the real and imaginary parts of complex leaves as on two parameters.

    Args:
        inner: the transformation.

    State: `SplitRealAndImaginaryState(inner_state)`.
    """
    return expose(pairs.split_real_and_imaginary, with_extra_args_support(inner))
