"""Directions whose states, arguments or steps differ from gradtx's."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import gradtx
from gradtx.compat.optax import base, deviating
from gradtx.compat.optax.base import Number, OptState, Pair, Params, Updated, Updates, expose, translated
from gradtx.compat.optax.config import reproduces_optax
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.table import Make, same, translation
from gradtx.core import errors, precision
from gradtx.optimizers.adafactor import factored_axes
from gradtx.optimizers.sm3 import ScaleBySM3State


@remembered
def _refused_late(make: Callable[..., Any], **given: Any) -> Pair:
    """As `expose`, but that a word which the maker does not know is refused at the first update."""
    try:
        return expose(make, **given)
    except ValueError as error:
        refusal = error

    def update(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> Updated:
        raise refusal

    return Pair(expose(make, **{name: x for name, x in given.items() if not isinstance(x, str)}).init, update)


made = same(
    __name__,
    """
scale_by_lion   | b1 b2 mu_dtype@mu * mode smooth_beta       | | As `gradtx.scale_by_lion`; the mode is looked at late.
scale_by_polyak | f_min max_learning_rate:number eps variant | | As `gradtx.scale_by_polyak`; the variant likewise.
""",
    through=_refused_late,
)
globals().update(made)


@translation("b1 b2 eps", gradtx.scale_by_sm3)
def scale_by_sm3(make: Make, **_: Any) -> Pair:
    """As `gradtx.scale_by_sm3`, with a list of vectors for each leaf."""

    def of(kind: type[Any]) -> Callable[[Any], Any]:
        each = lambda state: jax.tree.map(lambda _, vectors: kind(vectors), state.nu, state.mu)
        return lambda state: ScaleBySM3State(mu=each(state), nu=state.nu)

    return translated(make(), of(list), of(tuple))


@translation("learning_rate:number! eta_minus eta_plus min_step_size max_step_size", gradtx.scale_by_rprop)
def scale_by_rprop(make: Make, **_: Any) -> Pair:
    """As `gradtx.scale_by_rprop`; Optax makes each step one update late (see `config`)."""
    own = make()

    def late(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> Updated:
        _, new_state = own.update(updates, state, params)
        last = lambda g, u: jnp.where(g * u < 0, 0, u).astype(g.dtype)
        return jax.tree.map(last, updates, state.prev_updates), new_state

    return Pair(own.init, late) if reproduces_optax() else own


@remembered
def scale_by_distance_over_gradients(
    reps_rel: Number = 1e-6, eps: Number = 1e-8, param_dtype: base.DTypeOrNone = jnp.float32, global_scale: Number = 1.0
) -> Pair:
    """As `gradtx.scale_by_distance_over_gradients`, times a number; sums of squares are arrays of one float32."""

    def ours(*args: Any) -> gradtx.GradientTransformation:
        direction = base.built(gradtx.scale_by_distance_over_gradients, args, {})
        return gradtx.chain(direction, base.built(gradtx.scale, (global_scale,), {}))

    def shaped(state: Any, shape: Any) -> Any:
        sums = jax.tree.map(lambda x: jnp.float32(x).reshape(shape), state.grad_sum_of_squares)
        return state._replace(grad_sum_of_squares=sums)

    own = expose(ours, reps_rel, eps, stored={"init_params": param_dtype})
    return translated(own, lambda s: shaped(s[0], 1), lambda s: (shaped(s, ()), base.EmptyState()))


@translation("memory_size=10 scale_init_precond=True", deviating.scale_by_lbfgs)
def scale_by_lbfgs(make: Make, memory_size: int, **_: Any) -> Pair:
    """As `gradtx.scale_by_lbfgs`, keeping every pair."""
    if memory_size < 1:
        raise ValueError(f"scale_by_lbfgs: memory_size must be at least 1, got {memory_size}")
    return make()


def decay_rate_pow(i: jax.Array, exponent: Number = 0.8) -> jax.Array:
    """1 - (i + 1)^-exponent, in float32."""
    return 1 - jnp.asarray(i + 1, jnp.float32) ** -exponent


@translation(
    "factored decay_rate step_offset:number=0 min_dim_size_to_factor epsilon decay_rate_fn>-:rates=power",
    gradtx.scale_by_factored_rms, rates=Callable[[jax.Array, Number], Number], power=decay_rate_pow,
)  # fmt: skip
def scale_by_factored_rms(
    make: Make, factored: bool, decay_rate: Number, min_dim_size_to_factor: int, decay_rate_fn: Any, **_: Any
) -> Pair:
    """As `gradtx.scale_by_factored_rms`, with arrays of one zero for what is not kept.

    Where the step is below `step_offset`, the default `decay_rate_fn` has no value in Optax (see `config`).
    """
    as_given = reproduces_optax() or decay_rate_fn is not decay_rate_pow
    own = make(b2=(lambda t: decay_rate_fn(t - 1, decay_rate)) if as_given else None)

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
