"""Directions of `optax.contrib` whose states, arguments or steps differ from gradtx's."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import gradtx
from gradtx.compat.optax import base
from gradtx.compat.optax.base import Number, OptState, Pair, Params, ScalarOrSchedule, Updated, Updates, as_floats
from gradtx.compat.optax.config import reproduces_optax
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.states import HutchinsonState, ScaleByAdemamixState
from gradtx.compat.optax.table import Make, translation
from gradtx.compat.optax.transforms.links import key_or_seed
from gradtx.core import precision
from gradtx.core.rules import increment
from gradtx.optimizers import ademamix
from gradtx.transforms import curvature


def differentially_private_aggregate(
    l2_norm_clip: Number, noise_multiplier: Number, key: jax.Array | int | None = None, *, seed: int | None = None
) -> Pair:
    """As `gradtx.differentially_private_aggregate`; `seed` is an old name of `key`."""
    return base.expose(gradtx.differentially_private_aggregate, l2_norm_clip, noise_multiplier, key_or_seed(key, seed))


@translation("b1 b2 b3:rate alpha:rate=6.0 eps eps_root mu_dtype@m1,m2,nu", gradtx.scale_by_ademamix)
def scale_by_ademamix(make: Make, b3: ScalarOrSchedule, alpha: ScalarOrSchedule, **_: Any) -> Pair:
    """As `gradtx.scale_by_ademamix`, with a step count of its own for the schedules of `b3` and `alpha`."""

    def at(count: jax.Array) -> Pair:
        slow, weight = (x(count) if callable(x) else x for x in (b3, alpha))
        return make(b3=slow, alpha=weight)

    # Complex averages stay complex in Optax's, too, from the first step on, whatever dtype is asked for.
    is_complex = lambda p: jnp.issubdtype(jnp.result_type(p), jnp.complexfloating)
    whole = lambda p, m: precision.cast(m, precision.promote(m.dtype, p.dtype)) if is_complex(p) else m

    def init(params: Params) -> OptState:
        count = jnp.zeros((), jnp.int32)
        first = at(count).init(params)
        m1, m2 = (jax.tree.map(whole, params, m) for m in (first.m1, first.m2))
        return ScaleByAdemamixState(first.count, count, m1, m2, first.nu)

    def update(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> Updated:
        count, count_m2, *averages = state
        updates, new = at(count_m2).update(updates, ademamix.ScaleByAdemamixState(count, *averages))
        return updates, ScaleByAdemamixState(new.count, increment(count_m2), new.m1, new.m2, new.nu)

    return Pair(init, update)


def fourth_root(count: Number) -> jax.Array:
    """The fourth root of a step count: ADOPT's limit."""
    return jnp.asarray(count, jnp.result_type(float)) ** 0.25


@translation(
    "b1 b2 eps mu_dtype@mu * nesterov use_clipping>-=True clip_value_fn>-:limit=fourth_root", gradtx.scale_by_adopt,
    limit=Callable[[jax.Array], Any], fourth_root=fourth_root,
)  # fmt: skip
def scale_by_adopt(make: Make, use_clipping: bool, clip_value_fn: Any, **_: Any) -> Pair:
    """As `gradtx.scale_by_adopt`, with the limit as a function of the step count."""
    return make(clip_exponent=None, clip_value=clip_value_fn if use_clipping else None)


@translation("learning_rate=1.0 beta lower_bound weight_decay:number=0.0 adapt_lower_bound", gradtx.momo)
def momo(make: Make, learning_rate: ScalarOrSchedule, weight_decay: Number, **_: Any) -> Pair:
    """As `gradtx.momo`; Optax's weight decay divides the parameters alone, not the step (see `config`)."""
    return _of_value(make(), learning_rate, weight_decay, undivided=reproduces_optax())


@translation("learning_rate=1e-2 b1 b2 eps lower_bound weight_decay:number=0.0 adapt_lower_bound", gradtx.momo_adam)
def momo_adam(make: Make, learning_rate: ScalarOrSchedule, weight_decay: Number, **_: Any) -> Pair:
    """As `gradtx.momo_adam`; Optax's weight decay divides the parameters alone, not the step (see `config`)."""
    return _of_value(make(), learning_rate, weight_decay, undivided=reproduces_optax())


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


@translation("random_seed>key:keys=None", gradtx.hutchinson, keys=jax.Array | None)
def hutchinson_estimator_diag_hessian(make: Make, random_seed: jax.Array | None) -> Pair:
    """As `gradtx.hutchinson`; `random_seed` is a key, and without one the state holds the numbers of key 0.

    Raises:
        ValueError: from `update`, without params or `obj_fn`.
    """
    given = random_seed is not None
    own = make() if given else make(key=0)
    raw = (lambda key: key) if given else jax.random.key_data
    typed = (lambda key: key) if given else jax.random.wrap_key_data

    def update(
        updates: Updates, state: OptState, params: Params = None, obj_fn: Any = None, **extra_args: Any
    ) -> Updated:
        if params is None or obj_fn is None:
            missing = "params" if params is None else "obj_fn"
            raise ValueError(f"hutchinson_estimator_diag_hessian needs {missing}, got None")
        updates, new = own.update(updates, curvature.HutchinsonState(typed(state.key)), params, obj_fn=obj_fn)
        return updates, HutchinsonState(raw(new.rng_key))

    return Pair(lambda params: HutchinsonState(raw(own.init(params).rng_key)), update)


@translation(
    """b1 b2 eps=1e-8 gamma clip_threshold:optional=1.0 update_interval hessian_diagonal_fn>curvature:tx=estimator
    mu_dtype@mu verbose>-=False print_win_rate_every_n_steps>-=0""",
    gradtx.scale_by_sophia, estimator=hutchinson_estimator_diag_hessian(),
)  # fmt: skip
def scale_by_sophia(
    make: Make, clip_threshold: Number | None, verbose: bool, print_win_rate_every_n_steps: int, **_: Any
) -> Pair:
    """The direction of `sophia`."""
    limit = jnp.inf if clip_threshold is None else clip_threshold
    direction = make(clip_threshold=limit, debias=True, delayed=True)
    if verbose and clip_threshold is not None and print_win_rate_every_n_steps:
        return _printing(direction, clip_threshold, print_win_rate_every_n_steps)
    return direction


@remembered
def _printing(tx: Pair, limit: Number, every: int) -> Pair:
    """The same, printing at every so many steps which share of the elements lies within the limit."""

    def update(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> Updated:
        new, state = tx.update(updates, state, params, **extra_args)
        leaves = jax.tree.leaves(new)
        within = sum(jnp.sum(jnp.abs(u) < jnp.asarray(limit, u.dtype)) for u in leaves)
        share = within / sum(u.size for u in leaves)
        show = lambda: jax.debug.print("Sophia optimizer win rate: {}", share)
        jax.lax.cond(state.count % every == 0, show, lambda: None)
        return new, state

    return Pair(tx.init, update)
