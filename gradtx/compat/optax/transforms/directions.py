"""Directions whose states, arguments or steps differ from gradtx's."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import gradtx
from gradtx.compat.optax import base, deviating, states
from gradtx.compat.optax.base import Number, OptState, Pair, Params, Updated, Updates, expose, translated
from gradtx.compat.optax.config import reproduces_optax
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.table import translation
from gradtx.core import errors, precision
from gradtx.optimizers.adafactor import factored_axes
from gradtx.optimizers.adan import ScaleByAdanState as OurAdanState


@remembered
def scale_by_adan(
    b1: Number = 0.98, b2: Number = 0.92, b3: Number = 0.99, eps: Number = 1e-8, eps_root: Number = 0.0
) -> Pair:
    """As `gradtx.scale_by_adan`; Optax weighs the change of the gradient by 1 - b2 (see `config`)."""
    make = deviating.scale_by_adan if reproduces_optax() else gradtx.scale_by_adan
    own = expose(make, b1, b2, b3, eps, eps_root=eps_root)
    return translated(own, lambda s: states.ScaleByAdanState(*s), lambda s: OurAdanState(*s))


def scale_by_lion(
    b1: Number = 0.9, b2: Number = 0.99, mu_dtype: base.DTypeOrNone = None, *, mode: str = "hard",
    smooth_beta: Number = 1.0,
) -> Pair:  # fmt: skip
    """As `gradtx.scale_by_lion`; an unknown mode is refused at the first update."""
    try:
        return expose(gradtx.scale_by_lion, b1, b2, mode=mode, smooth_beta=smooth_beta, stored={"mu": mu_dtype})
    except ValueError as error:
        return base.refused_at_update(scale_by_lion(b1, b2, mu_dtype), error)


def scale_by_polyak(
    f_min: Number = 0.0, max_learning_rate: Number = 1.0, eps: Number = 0.0, variant: str = "sps"
) -> Pair:
    """As `gradtx.scale_by_polyak`; an unknown variant is refused at the first update."""
    try:
        return expose(gradtx.scale_by_polyak, f_min, max_learning_rate, eps, variant)
    except ValueError as error:
        return base.refused_at_update(base.identity(), error)


@translation("b1 b2 eps", gradtx.scale_by_sm3)
def scale_by_sm3(own: Pair, **_: Number) -> Pair:
    """As `gradtx.scale_by_sm3`, with a list of vectors for each leaf."""

    def of(kind: type[Any]) -> Callable[[Any], Any]:
        each = lambda state: jax.tree.map(lambda _, vectors: kind(vectors), state.nu, state.mu)
        return lambda state: states.ScaleBySM3State(mu=each(state), nu=state.nu)

    return translated(own, of(list), of(tuple))


@translation("learning_rate:number! eta_minus eta_plus min_step_size max_step_size", gradtx.scale_by_rprop)
def scale_by_rprop(own: Pair, **_: Number) -> Pair:
    """As `gradtx.scale_by_rprop`; Optax makes each step one update late (see `config`)."""

    def late(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> Updated:
        _, new_state = own.update(updates, state, params)
        last = lambda g, u: jnp.where(g * u < 0, 0, u).astype(g.dtype)
        return jax.tree.map(last, updates, state.prev_updates), new_state

    return Pair(own.init, late) if reproduces_optax() else own


@remembered
def scale_by_distance_over_gradients(
    reps_rel: Number = 1e-6, eps: Number = 1e-8, param_dtype: base.DTypeOrNone = jnp.float32,
    global_scale: Number = 1.0,
) -> Pair:  # fmt: skip
    """As `gradtx.scale_by_distance_over_gradients`, times a number; sums of squares are arrays of one float32."""
    by_distance = gradtx.scale_by_distance_over_gradients

    def ours(*args: Any) -> gradtx.GradientTransformation:
        return gradtx.chain(base.built(by_distance, args, {}), base.built(gradtx.scale, (global_scale,), {}))

    def pack(state: Any) -> OptState:
        sums = jax.tree.map(lambda x: jnp.float32(x).reshape(1), state[0].grad_sum_of_squares)
        return state[0]._replace(grad_sum_of_squares=sums)

    def unpack(state: Any) -> OptState:
        sums = jax.tree.map(lambda x: x.reshape(()), state.grad_sum_of_squares)
        return state._replace(grad_sum_of_squares=sums), base.EmptyState()

    return translated(expose(ours, reps_rel, eps, stored={"init_params": param_dtype}), pack, unpack)


def scale_by_lbfgs(memory_size: int = 10, scale_init_precond: bool = True) -> Pair:
    """As `gradtx.scale_by_lbfgs`, keeping every pair."""
    if memory_size < 1:
        raise ValueError(f"scale_by_lbfgs: memory_size must be at least 1, got {memory_size}")
    return expose(deviating.scale_by_lbfgs, memory_size, scale_init_precond)


def decay_rate_pow(i: jax.Array, exponent: Number = 0.8) -> jax.Array:
    """1 - (i + 1)^-exponent, in float32."""
    return 1 - jnp.asarray(i + 1, jnp.float32) ** -exponent


@remembered
def scale_by_factored_rms(
    factored: bool = True, decay_rate: Number = 0.8, step_offset: Number = 0, min_dim_size_to_factor: int = 128,
    epsilon: Number = 1e-30, decay_rate_fn: Callable[[jax.Array, Number], Number] = decay_rate_pow,
) -> Pair:  # fmt: skip
    """As `gradtx.scale_by_factored_rms`, with arrays of one zero for what is not kept.

    Where the step is below `step_offset`, the default `decay_rate_fn` has no value in Optax (see `config`).
    """
    as_given = reproduces_optax() or decay_rate_fn is not decay_rate_pow
    own = expose(
        gradtx.scale_by_factored_rms, factored, decay_rate, step_offset, min_dim_size_to_factor, epsilon,
        b2=(lambda t: decay_rate_fn(t - 1, decay_rate)) if as_given else None,
    )  # fmt: skip

    def each(absent: Callable[[Any], Any], state: Any, params: Params) -> Any:
        is_factored = lambda p: factored_axes(jnp.shape(p), min_dim_size_to_factor, factored) is not None
        row_or_col = lambda p, x: x if is_factored(p) else absent(p)
        whole = lambda p, x: absent(p) if is_factored(p) else x
        return state._replace(
            v_row=jax.tree.map(row_or_col, params, state.v_row),
            v_col=jax.tree.map(row_or_col, params, state.v_col),
            v=jax.tree.map(whole, params, state.v),
        )

    zero = lambda p: jnp.zeros((1,), precision.real_dtype(jnp.result_type(p)))

    def update(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> Updated:
        errors.check_params("scale_by_factored_rms", params)
        updates, new = own.update(updates, each(lambda p: (), state, params), params)
        return updates, each(zero, new, params)

    return Pair(lambda params: each(zero, own.init(params), params), update)
