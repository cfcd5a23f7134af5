"""Optimizers that find their own step size: COCOB, D-Adaptation, DoG, DoWG, MoMo, Prodigy."""

from typing import Any, Literal

import jax

import gradtx
from gradtx.compat.optax import base
from gradtx.compat.optax.base import Number, OptState, Pair, Params, ScalarOrSchedule, Updated, Updates, as_floats
from gradtx.compat.optax.config import reproduces_optax
from gradtx.compat.optax.table import translation
from gradtx.compat.optax.transforms.links import add_decayed_weights
from gradtx.core import precision

InitStep = tuple[Literal["distance", "learning_rate", "heuristic"], Number]


def optional_decay(weight_decay: Number | None = None, mask: base.MaskOrFn = None) -> Pair:
    """`add_decayed_weights`, or `identity` without a decay."""
    return base.identity() if weight_decay is None else add_decayed_weights(weight_decay, mask)


@translation("learning_rate=1.0 beta lower_bound weight_decay:number=0.0 adapt_lower_bound", gradtx.momo)
def momo(own: Pair, learning_rate: ScalarOrSchedule, weight_decay: Number, **_: Any) -> Pair:
    """As `gradtx.momo`; Optax's weight decay divides the parameters alone, not the step (see `config`)."""
    return _of_value(own, learning_rate, weight_decay, undivided=reproduces_optax())


@translation("learning_rate=1e-2 b1 b2 eps lower_bound weight_decay:number=0.0 adapt_lower_bound", gradtx.momo_adam)
def momo_adam(own: Pair, learning_rate: ScalarOrSchedule, weight_decay: Number, **_: Any) -> Pair:
    """As `gradtx.momo_adam`; Optax's weight decay divides the parameters alone, not the step (see `config`)."""
    return _of_value(own, learning_rate, weight_decay, undivided=reproduces_optax())


def _of_value(own: Pair, learning_rate: ScalarOrSchedule, weight_decay: Number, *, undivided: bool) -> Pair:
    """The same with Optax's errors, TypeError without `value` and ValueError where it is None, and undivided steps.

    With s = learning_rate weight_decay, the parameters of gradtx's update u are (p - step) / (1 + s), so that
    p / (1 + s) - step, which Optax has, is p + (1 + s) u + p s^2 / (1 + s).
    """

    def update(
        updates: Updates, state: OptState, params: Params = None, *, value: Number | None, **extra_args: Any
    ) -> Updated:
        if value is None:
            raise ValueError("momo: value must be the loss, got None")
        if not undivided:
            return own.update(updates, state, params, value=value, **extra_args)
        s = (learning_rate(state.count) if callable(learning_rate) else learning_rate) * weight_decay
        updates = as_floats(updates)
        new, state = own.update(jax.tree.map(precision.widen, updates), state, params, value=value, **extra_args)
        whole = lambda g, u, p: precision.cast((1 + s) * u + s**2 / (1 + s) * precision.widen(p), g.dtype)
        return jax.tree.map(whole, updates, new, params), state

    return Pair(own.init, update)
