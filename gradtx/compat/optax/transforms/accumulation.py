"""Sums and averages of past updates."""

import gradtx
from gradtx.compat.optax.base import DTypeOrNone, GradientTransformationExtraArgs, Number, expose, translated
from gradtx.compat.optax.remember import remembered


def trace(
    decay: Number, nesterov: bool = False, accumulator_dtype: DTypeOrNone = None
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_momentum`."""
    return expose(gradtx.scale_by_momentum, decay, nesterov=nesterov, trace_dtype=accumulator_dtype)


def ema(decay: Number, debias: bool = True, accumulator_dtype: DTypeOrNone = None) -> GradientTransformationExtraArgs:
    """As `gradtx.ema`."""
    return expose(gradtx.ema, decay, debias, ema_dtype=accumulator_dtype)


@remembered
def apply_every(k: int = 1) -> GradientTransformationExtraArgs:
    """As `gradtx.apply_every`, with a count that starts anew every k steps."""
    return translated(expose(gradtx.apply_every, k), lambda s: s._replace(count=s.count % k), lambda s: s)
