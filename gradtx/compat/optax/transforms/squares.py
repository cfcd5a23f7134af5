"""Directions from sums and averages of squared gradients, and from their signs."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import gradtx
from gradtx.compat.optax.base import (
    GradientTransformationExtraArgs,
    Number,
    OptState,
    Params,
    Updates,
    expose,
    translated,
)
from gradtx.compat.optax.config import reproduces_optax
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.states import FactoredState, ScaleByRpropState, ScaleBySM3State
from gradtx.core import errors, precision
from gradtx.optimizers.adafactor import factored_axes


def scale_by_rss(initial_accumulator_value: Number = 0.1, eps: Number = 1e-7) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_rss`."""
    return expose(gradtx.scale_by_rss, initial_accumulator_value, eps)


def scale_by_rms(
    decay: Number = 0.9, eps: Number = 1e-8, initial_scale: Number = 0.0, eps_in_sqrt: bool = True,
    bias_correction: bool = False,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """As `gradtx.scale_by_rms`."""
    return _rms(decay, eps, initial_scale, eps_in_sqrt, bias_correction, centered=False)


def scale_by_stddev(
    decay: Number = 0.9, eps: Number = 1e-8, initial_scale: Number = 0.0, eps_in_sqrt: bool = True,
    bias_correction: bool = False,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """As `gradtx.scale_by_rms(centered=True)`."""
    return _rms(decay, eps, initial_scale, eps_in_sqrt, bias_correction, centered=True)


def _rms(
    decay: Number, eps: Number, initial_scale: Number, eps_in_sqrt: bool, bias_correction: bool, *, centered: bool
) -> GradientTransformationExtraArgs:
    return expose(
        gradtx.scale_by_rms, decay, eps, eps_in_sqrt=eps_in_sqrt, centered=centered, bias_correction=bias_correction,
        initial_scale=initial_scale,
    )  # fmt: skip


def scale_by_adadelta(rho: Number = 0.9, eps: Number = 1e-6) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_adadelta`."""
    return expose(gradtx.scale_by_adadelta, rho, eps)


@remembered
def scale_by_sm3(b1: Number = 0.9, b2: Number = 1.0, eps: Number = 1e-8) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_sm3`, with a list of vectors for each leaf."""

    def of(kind: type[Any]) -> Callable[[Any], Any]:
        each = lambda state: jax.tree.map(lambda _, vectors: kind(vectors), state.nu, state.mu)
        return lambda state: ScaleBySM3State(mu=each(state), nu=state.nu)

    return translated(expose(gradtx.scale_by_sm3, b1, b2, eps), of(list), of(tuple))


def scale_by_sign() -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_sign`."""
    return expose(gradtx.scale_by_sign)


@remembered
def scale_by_rprop(
    learning_rate: Number, eta_minus: Number = 0.5, eta_plus: Number = 1.2, min_step_size: Number = 1e-6,
    max_step_size: Number = 50.0,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """As `gradtx.scale_by_rprop`; Optax makes each step one update late (see `config`)."""
    ours = expose(gradtx.scale_by_rprop, learning_rate, eta_minus, eta_plus, min_step_size, max_step_size)

    def late(
        updates: Updates, state: ScaleByRpropState, params: Params = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        _, new_state = ours.update(updates, state, params)
        last = lambda g, u: jnp.where(g * u < 0, 0, u).astype(g.dtype)
        return jax.tree.map(last, updates, state.prev_updates), new_state

    return GradientTransformationExtraArgs(ours.init, late) if reproduces_optax() else ours


def decay_rate_pow(i: jax.Array, exponent: Number = 0.8) -> jax.Array:
    """1 - (i + 1)^-exponent, in float32."""
    return 1 - jnp.asarray(i + 1, jnp.float32) ** -exponent


@remembered
def scale_by_factored_rms(
    factored: bool = True, decay_rate: Number = 0.8, step_offset: Number = 0, min_dim_size_to_factor: int = 128,
    epsilon: Number = 1e-30, decay_rate_fn: Callable[[jax.Array, Number], Number] = decay_rate_pow,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """As `gradtx.scale_by_factored_rms`, with arrays of one zero for what is not kept.

    Where the step is below `step_offset`, the default `decay_rate_fn` has no value in Optax (see `config`).
    """
    as_given = reproduces_optax() or decay_rate_fn is not decay_rate_pow
    ours = expose(
        gradtx.scale_by_factored_rms, factored, decay_rate, step_offset, min_dim_size_to_factor, epsilon,
        b2=(lambda t: decay_rate_fn(t - 1, decay_rate)) if as_given else None,
    )  # fmt: skip

    def is_factored(p: Any) -> bool:
        return factored_axes(jnp.shape(p), min_dim_size_to_factor, factored) is not None

    def each(absent: Callable[[Any], Any], state: FactoredState, params: Params) -> FactoredState:
        row_or_col = lambda p, x: x if is_factored(p) else absent(p)
        whole = lambda p, x: absent(p) if is_factored(p) else x
        return state._replace(
            v_row=jax.tree.map(row_or_col, params, state.v_row),
            v_col=jax.tree.map(row_or_col, params, state.v_col),
            v=jax.tree.map(whole, params, state.v),
        )

    def zero(p: Any) -> jax.Array:
        return jnp.zeros((1,), precision.real_dtype(jnp.result_type(p)))

    def nothing(p: Any) -> tuple[()]:
        return ()

    def init(params: Params) -> OptState:
        return each(zero, ours.init(params), params)

    def update(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> tuple[Updates, OptState]:
        errors.check_params("scale_by_factored_rms", params)
        updates, own = ours.update(updates, each(nothing, state, params), params)
        return updates, each(zero, own, params)

    return GradientTransformationExtraArgs(init, update)
