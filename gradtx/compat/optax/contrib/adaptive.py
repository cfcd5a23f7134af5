"""Optimizers with running averages: ACProp, AdEMAMix and its simplified form, ADOPT, MADGRAD."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import gradtx
from gradtx.compat.optax.base import (
    DTypeOrNone,
    GradientTransformationExtraArgs,
    MaskOrFn,
    Number,
    OptState,
    Params,
    ScalarOrSchedule,
    Updates,
    expose,
    translated,
)
from gradtx.compat.optax.combine import chain
from gradtx.compat.optax.config import reproduces_optax
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.transforms.adding import add_decayed_weights
from gradtx.compat.optax.transforms.scaling import scale_by_learning_rate
from gradtx.core import precision
from gradtx.core.rules import increment
from gradtx.optimizers import ademamix as ours


class ScaleByAdemamixState(NamedTuple):
    """State of `scale_by_ademamix`."""

    count: jax.Array
    count_m2: jax.Array  # the step that the schedules of b3 and alpha see
    m1: Updates
    m2: Updates
    nu: Updates


class ScaleBySimplifiedAdEMAMixState(NamedTuple):
    """State of `scale_by_simplified_ademamix`."""

    t: jax.Array
    m: Updates
    n: Updates


def scale_by_acprop(
    b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-16, eps_root: Number = 1e-16
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_acprop`; Optax centres the variance at the average before the step (see `config`)."""
    return expose(gradtx.scale_by_acprop, b1, b2, eps, eps_root=eps_root, lagged_centre=reproduces_optax())


def acprop(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-16,
    eps_root: Number = 1e-16, weight_decay: Number = 0.0, mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """As `gradtx.acprop`; Optax centres the variance at the average before the step (see `config`)."""
    direction = scale_by_acprop(b1, b2, eps, eps_root)
    return chain(direction, add_decayed_weights(weight_decay, mask), scale_by_learning_rate(learning_rate))


def _is_complex(p: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(p), jnp.complexfloating)


@remembered
def scale_by_ademamix(
    b1: Number = 0.9, b2: Number = 0.999, b3: ScalarOrSchedule = 0.9999, alpha: ScalarOrSchedule = 6.0,
    eps: Number = 1e-8, eps_root: Number = 0.0, mu_dtype: DTypeOrNone = None,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """As `gradtx.scale_by_ademamix`, with a step count of its own for the schedules of `b3` and `alpha`."""

    def at(count: jax.Array) -> GradientTransformationExtraArgs:
        slow, weight = (x(count) if callable(x) else x for x in (b3, alpha))
        return expose(
            gradtx.scale_by_ademamix, b1, b2, slow, weight, eps, eps_root=eps_root,
            m1_dtype=mu_dtype, m2_dtype=mu_dtype, nu_dtype=mu_dtype,
        )  # fmt: skip

    def init(params: Params) -> OptState:
        count = jnp.zeros((), jnp.int32)
        first = at(count).init(params)
        # Complex averages stay complex in Optax's, too, from the first step on, whatever dtype is asked for.
        whole = lambda p, m: precision.cast(m, precision.promote(m.dtype, p.dtype)) if _is_complex(p) else m
        m1, m2 = (jax.tree.map(whole, params, m) for m in (first.m1, first.m2))
        return ScaleByAdemamixState(first.count, count, m1, m2, first.nu)

    def update(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> tuple[Updates, OptState]:
        inner = ours.ScaleByAdemamixState(state.count, state.m1, state.m2, state.nu)
        updates, new = at(state.count_m2).update(updates, inner)
        return updates, ScaleByAdemamixState(new.count, increment(state.count_m2), new.m1, new.m2, new.nu)

    return GradientTransformationExtraArgs(init, update)


def ademamix(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.999, b3: ScalarOrSchedule = 0.9999,
    alpha: ScalarOrSchedule = 5.0, eps: Number = 1e-8, eps_root: Number = 0.0, mu_dtype: DTypeOrNone = None,
    weight_decay: Number = 0.0, mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """As `gradtx.ademamix`."""
    direction = scale_by_ademamix(b1, b2, b3, alpha, eps, eps_root, mu_dtype)
    return chain(direction, add_decayed_weights(weight_decay, mask), scale_by_learning_rate(learning_rate))


@remembered
def scale_by_simplified_ademamix(
    b1: Number = 0.99, b2: Number = 0.95, alpha: ScalarOrSchedule = 0.0, eps: Number = 1e-8, eps_root: Number = 0.0
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_simplified_ademamix`."""
    direction = expose(gradtx.scale_by_simplified_ademamix, b1, b2, alpha, eps, eps_root=eps_root)
    pack = lambda s: ScaleBySimplifiedAdEMAMixState(s.count, s.m, s.n)
    return translated(direction, pack, lambda s: ours.ScaleBySimplifiedAdEMAMixState(s.t, s.m, s.n))


def simplified_ademamix(
    learning_rate: ScalarOrSchedule, b1: Number = 0.99, b2: Number = 0.95, alpha: ScalarOrSchedule = 0.0,
    eps: Number = 1e-8, eps_root: Number = 0.0, weight_decay: Number = 0.0, mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """As `gradtx.simplified_ademamix`."""
    direction = scale_by_simplified_ademamix(b1, b2, alpha, eps, eps_root)
    return chain(direction, add_decayed_weights(weight_decay, mask), scale_by_learning_rate(learning_rate))


def fourth_root(count: Number) -> jax.Array:
    """The fourth root of a step count: ADOPT's limit."""
    return jnp.asarray(count, jnp.result_type(float)) ** 0.25


def scale_by_adopt(
    b1: Number = 0.9, b2: Number = 0.9999, eps: Number = 1e-6, mu_dtype: DTypeOrNone = None, *,
    nesterov: bool = False, use_clipping: bool = True, clip_value_fn: Callable[[jax.Array], Any] = fourth_root,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """As `gradtx.scale_by_adopt`, with the limit as a function of the step count."""
    return expose(
        gradtx.scale_by_adopt, b1, b2, eps, clip_exponent=None, clip_value=clip_value_fn if use_clipping else None,
        nesterov=nesterov, mu_dtype=mu_dtype,
    )  # fmt: skip


def adopt(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.9999, eps: Number = 1e-6,
    mu_dtype: DTypeOrNone = None, *, nesterov: bool = False, use_clipping: bool = True,
    clip_value_fn: Callable[[jax.Array], Any] = fourth_root,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """As `gradtx.adopt`, with the limit as a function of the step count."""
    clipping: dict[str, Any] = dict(use_clipping=use_clipping, clip_value_fn=clip_value_fn)
    direction = scale_by_adopt(b1, b2, eps, mu_dtype, nesterov=nesterov, **clipping)
    return chain(direction, scale_by_learning_rate(learning_rate))


def scale_by_madgrad(
    learning_rate: ScalarOrSchedule, momentum: Number = 0.9, eps: Number = 1e-6
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_madgrad`."""
    return expose(gradtx.scale_by_madgrad, learning_rate, momentum, eps)


def madgrad(
    learning_rate: ScalarOrSchedule, momentum: Number = 0.9, weight_decay: Number = 0.0, eps: Number = 1e-6
) -> GradientTransformationExtraArgs:
    """As `gradtx.madgrad` with `coupled` decay."""
    return chain(add_decayed_weights(weight_decay), scale_by_madgrad(learning_rate, momentum, eps))
