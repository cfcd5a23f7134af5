"""Curvature: random estimates of the diagonal of the Hessian, from the loss itself."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gradtx.core import errors, precision, tree
from gradtx.core.averages import abs_sq
from gradtx.core.extras import function, one_number
from gradtx.core.fields import RandomKey
from gradtx.core.hyperparameters import KeyLike, PositiveNumber
from gradtx.core.leafwise import leafwise
from gradtx.core.transformation import Pair, transformation
from gradtx.core.typing import Array, ArrayLike, PyTree
from gradtx.transforms.noise import start_key


class HutchinsonState(NamedTuple):
    rng_key: RandomKey  # split at each step


class GaussNewtonBartlettState(NamedTuple):
    rng_key: RandomKey  # split at each step


def sign_rule(g: Array, s: HutchinsonState, key: Array) -> tuple[Array, HutchinsonState]:
    """u = -1 or 1 at random, of the type of g."""
    return jax.random.rademacher(key, g.shape, g.dtype) * jnp.ones_like(g), s  # of the sharding of g too


def batch_square_rule(g: Array, s: Any, *, batch_size: ArrayLike) -> tuple[Array, Any]:
    """u = batch_size |g|^2."""
    return batch_size * abs_sq(g), s


@transformation
def hutchinson(key: KeyLike = 0) -> Pair:
    """Replace updates by Hutchinson's estimate of the Hessian's diagonal: u <- z (H z), z of random signs.

    Unbiased, and exact for a diagonal Hessian. One Hessian-vector product, about the cost of a gradient.

        tx.update(grads, state, params, obj_fn=lambda params: loss(params, batch))

    State: `HutchinsonState(rng_key)`, 8 bytes.

    Raises: TypeError from `update` without `obj_fn`, ValueError without params.

    Source: Liu et al. 2023, Algorithm 1, arXiv:2305.14342, where z is normal.
    """
    draw = leafwise(sign_rule, HutchinsonState, real_only=True, rng_key=lambda params: start_key(key))
    signs = draw.named("hutchinson")

    def update(
        updates: PyTree,
        state: HutchinsonState,
        params: PyTree = None,
        *,
        obj_fn: Callable[[PyTree], Array] | None = None,
    ) -> tuple[PyTree, HutchinsonState]:
        loss = needed("hutchinson", params, obj_fn=obj_fn)
        z, state = signs.update(params, state)
        hz = jax.jvp(jax.grad(loss), (params,), (z,))[1]
        return in_place(updates, jax.tree.map(jnp.multiply, hz, z)), state

    return Pair(signs.init, update, "numbers", HutchinsonState, signs.starts)


@transformation
def gauss_newton_bartlett(batch_size: PositiveNumber, key: KeyLike = 0) -> Pair:
    """Replace updates by the Gauss-Newton-Bartlett estimate of the Hessian's diagonal: u <- batch_size |h|^2.

    h is the gradient of the mean loss over the batch, with labels drawn from the model's own predictions.

        def sampled_loss(params, key):
            logits = model(params, batch)
            return cross_entropy(logits, jax.random.categorical(key, logits)).mean()

        tx.update(grads, state, params, sampled_obj_fn=sampled_loss)

    Args:
        batch_size: the number of predictions in the mean that `sampled_obj_fn` takes, > 0.

    State: `GaussNewtonBartlettState(rng_key)`, 8 bytes.

    Raises: TypeError from `update` without `sampled_obj_fn`, ValueError without params.

    Source: Liu et al. 2023, Algorithm 2, arXiv:2305.14342.
    """
    square = leafwise(
        batch_square_rule, GaussNewtonBartlettState, real_only=True, batch_size=batch_size,
        rng_key=lambda params: start_key(key),
    ).named("gauss_newton_bartlett")  # fmt: skip

    def update(
        updates: PyTree, state: GaussNewtonBartlettState, params: PyTree = None, *,
        sampled_obj_fn: Callable[[PyTree, Array], Array] | None = None,
    ) -> tuple[PyTree, GaussNewtonBartlettState]:  # fmt: skip
        loss = needed("gauss_newton_bartlett", params, sampled_obj_fn=sampled_obj_fn)
        estimate, state = square.update(jax.grad(loss)(params, jax.random.split(state.rng_key)[1]), state)
        return in_place(updates, estimate), state

    return Pair(square.init, update, "numbers", GaussNewtonBartlettState, square.starts)


def in_place(updates: PyTree, estimate: PyTree) -> PyTree:
    """The estimate in place of the updates, where there are any."""
    return tree.map_given(lambda g, h: precision.cast(h, g.dtype), updates, estimate)


def needed(name: str, params: PyTree, **extra: Any) -> Any:
    """The function that `update` was given; an error without it, or without params."""
    ((argument, _),) = extra.items()
    loss = function(name, argument, extra)
    errors.check_params(name, params)
    return lambda *arguments: one_number(name, f"what {argument} gives", loss(*arguments))
