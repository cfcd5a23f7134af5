"""Optimizers with running averages: ACProp, AdEMAMix and its simplified form, ADOPT, MADGRAD."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import gradtx
from gradtx.compat.optax import base, deviating
from gradtx.compat.optax.base import Number, OptState, Pair, Params, Updated, Updates, expose, translated
from gradtx.compat.optax.config import reproduces_optax
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.table import translation
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


def scale_by_acprop(b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-16, eps_root: Number = 1e-16) -> Pair:
    """As `gradtx.scale_by_acprop`; Optax centres the variance at the average before the step (see `config`)."""
    make = deviating.scale_by_acprop if reproduces_optax() else gradtx.scale_by_acprop
    return expose(make, b1, b2, eps, eps_root=eps_root)


def _is_complex(p: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(p), jnp.complexfloating)


@remembered
def scale_by_ademamix(
    b1: Number = 0.9, b2: Number = 0.999, b3: base.ScalarOrSchedule = 0.9999, alpha: base.ScalarOrSchedule = 6.0,
    eps: Number = 1e-8, eps_root: Number = 0.0, mu_dtype: base.DTypeOrNone = None,
) -> Pair:  # fmt: skip
    """As `gradtx.scale_by_ademamix`, with a step count of its own for the schedules of `b3` and `alpha`."""

    def at(count: jax.Array) -> Pair:
        slow, weight = (x(count) if callable(x) else x for x in (b3, alpha))
        return expose(
            gradtx.scale_by_ademamix, b1, b2, slow, weight, eps, eps_root=eps_root,
            stored={"m1": mu_dtype, "m2": mu_dtype, "nu": mu_dtype},
        )  # fmt: skip

    def init(params: Params) -> OptState:
        count = jnp.zeros((), jnp.int32)
        first = at(count).init(params)
        # Complex averages stay complex in Optax's, too, from the first step on, whatever dtype is asked for.
        whole = lambda p, m: precision.cast(m, precision.promote(m.dtype, p.dtype)) if _is_complex(p) else m
        m1, m2 = (jax.tree.map(whole, params, m) for m in (first.m1, first.m2))
        return ScaleByAdemamixState(first.count, count, m1, m2, first.nu)

    def update(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> Updated:
        inner = ours.ScaleByAdemamixState(state.count, state.m1, state.m2, state.nu)
        updates, new = at(state.count_m2).update(updates, inner)
        return updates, ScaleByAdemamixState(new.count, increment(state.count_m2), new.m1, new.m2, new.nu)

    return Pair(init, update)


@translation("b1 b2 alpha:rate eps eps_root", gradtx.scale_by_simplified_ademamix)
def scale_by_simplified_ademamix(own: Pair, **_: Number) -> Pair:
    """As `gradtx.scale_by_simplified_ademamix`."""
    pack = lambda s: ScaleBySimplifiedAdEMAMixState(s.count, s.m, s.n)
    return translated(own, pack, lambda s: ours.ScaleBySimplifiedAdEMAMixState(s.t, s.m, s.n))


def fourth_root(count: Number) -> jax.Array:
    """The fourth root of a step count: ADOPT's limit."""
    return jnp.asarray(count, jnp.result_type(float)) ** 0.25


def scale_by_adopt(
    b1: Number = 0.9, b2: Number = 0.9999, eps: Number = 1e-6, mu_dtype: base.DTypeOrNone = None, *,
    nesterov: bool = False, use_clipping: bool = True, clip_value_fn: Callable[[jax.Array], Any] = fourth_root,
) -> Pair:  # fmt: skip
    """As `gradtx.scale_by_adopt`, with the limit as a function of the step count."""
    names: dict[str, Any] = dict(clip_exponent=None, clip_value=clip_value_fn if use_clipping else None)
    return expose(gradtx.scale_by_adopt, b1, b2, eps, nesterov=nesterov, stored={"mu": mu_dtype}, **names)
