"""Sophia, and the estimator of the Hessian's diagonal that it divides by."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import gradtx
from gradtx.compat.optax import base
from gradtx.compat.optax.base import Number, OptState, Pair, Params, Updated, Updates, expose, translated
from gradtx.compat.optax.remember import remembered
from gradtx.transforms import curvature


class HutchinsonState(NamedTuple):
    """State of `hutchinson_estimator_diag_hessian`."""

    key: jax.Array


@remembered
def hutchinson_estimator_diag_hessian(random_seed: jax.Array | None = None) -> Pair:
    """As `gradtx.hutchinson`; `random_seed` is a key, and without one the state holds the numbers of key 0.

    Raises:
        ValueError: from `update`, without params or `obj_fn`.
    """
    if random_seed is None:
        raw, typed = jax.random.key_data, jax.random.wrap_key_data
    else:
        raw = typed = lambda key: key
    estimator = translated(
        expose(gradtx.hutchinson, 0 if random_seed is None else random_seed),
        lambda s: HutchinsonState(raw(s.rng_key)),
        lambda s: curvature.HutchinsonState(typed(s.key)),
    )

    def update(
        updates: Updates, state: OptState, params: Params = None, obj_fn: Any = None, **extra_args: Any
    ) -> Updated:
        if params is None or obj_fn is None:
            missing = "params" if params is None else "obj_fn"
            raise ValueError(f"hutchinson_estimator_diag_hessian needs {missing}, got None")
        return estimator.update(updates, state, params, obj_fn=obj_fn)

    return Pair(estimator.init, update)


HUTCHINSON = hutchinson_estimator_diag_hessian()


def scale_by_sophia(
    b1: Number = 0.965, b2: Number = 0.99, eps: Number = 1e-8, gamma: Number = 0.01,
    clip_threshold: Number | None = 1.0, update_interval: int = 10,
    hessian_diagonal_fn: base.GradientTransformation = HUTCHINSON, mu_dtype: base.DTypeOrNone = None,
    verbose: bool = False, print_win_rate_every_n_steps: int = 0,
) -> Pair:  # fmt: skip
    """The direction of `sophia`."""
    direction = expose(
        gradtx.scale_by_sophia, hessian_diagonal_fn, b1, b2, eps, gamma=gamma,
        clip_threshold=jnp.inf if clip_threshold is None else clip_threshold, update_interval=update_interval,
        debias=True, delayed=True, stored={"mu": mu_dtype},
    )  # fmt: skip
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
