"""Second derivatives: products with the Hessian, its diagonal, and that of the Fisher information."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from gradtx.core.averages import abs_sq
from gradtx.core.border import widely
from gradtx.core.loops import of_each
from gradtx.core.typing import Array, PyTree


def hvp(loss: Callable[..., Array], v: PyTree, params: PyTree, *args: Any) -> PyTree:
    """The Hessian of `loss(params, *args)` times v, at about the cost of two gradients.

    Args:
        loss: a function to a real scalar.
        v: a tree like `params`.
        params: real parameters.
        *args: what else the loss takes; data.

    Returns:
        H v, a tree like `params`.
    """
    return jax.jvp(lambda p: jax.grad(loss)(p, *args), (params,), (v,))[1]


def hessian_diag(loss: Callable[..., Array], params: PyTree, *args: Any) -> PyTree:
    """The diagonal of the Hessian of `loss(params, *args)`, exact, by one `hvp` for each parameter.

    Args:
        loss: a function to a real scalar.
        params: real parameters, few of them; `hutchinson` estimates the diagonal for many.
        *args: what else the loss takes; data.

    Returns:
        A tree like `params`.
    """
    flat, unravel = ravel_pytree(params)
    places = jnp.arange(flat.size)

    def entry(i: Array) -> Array:
        basis = (places == i).astype(flat.dtype)
        row = ravel_pytree(hvp(loss, unravel(basis), params, *args))[0]
        return jax.lax.dynamic_index_in_dim(row, i, keepdims=False)

    return unravel(of_each(entry, places))


def fisher_diag(
    negative_log_likelihood: Callable[..., Array], params: PyTree, inputs: PyTree, targets: PyTree
) -> PyTree:
    """The diagonal of the empirical Fisher information: the mean over examples of |gradient of one example|^2.

    Optax squares the gradient of the whole batch instead, which vanishes at a minimum.

    Args:
        negative_log_likelihood: `(params, inputs, targets)` to a real scalar, a mean or sum over a batch.
        params: the parameters.
        inputs: arrays with the examples on their first axis.
        targets: arrays with the examples on their first axis.

    Returns:
        A tree like `params`, real.
    """

    def gradient(x: PyTree, y: PyTree) -> PyTree:
        one = lambda tree: jax.tree.map(lambda z: z[None], tree)
        return jax.grad(negative_log_likelihood)(params, one(x), one(y))

    return _mean_square(jax.vmap(gradient)(inputs, targets))


@widely
def _mean_square(gradients: PyTree) -> PyTree:
    """The mean over examples of |g|^2."""
    return jax.tree.map(lambda g: jnp.mean(abs_sq(g), axis=0), gradients)
