"""Second derivatives of `loss(params, inputs, targets)`, with vectors for trees as Optax has them."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from gradtx.compat.optax.base import Params, PyTree
from gradtx.compat.optax.config import reproduces_optax
from gradtx.core import precision
from gradtx.search import second_order

LossFn: TypeAlias = Callable[[Params, Any, Any], jax.Array]


def hvp(loss: LossFn, v: jax.Array, params: Params, inputs: PyTree, targets: PyTree) -> PyTree:
    """The Hessian times a vector.

    Args:
        loss: a function of `(params, inputs, targets)` to a scalar.
        v: a vector of as many numbers as the parameters have.
        params: the parameters.
        inputs: what the loss takes second.
        targets: what it takes third.

    Returns:
        The product, a tree like the parameters.
    """
    flat, unravel = ravel_pytree(params)
    return second_order.hvp(loss, unravel(precision.cast(v, flat.dtype)), params, inputs, targets)


def hessian_diag(loss: LossFn, params: Params, inputs: PyTree, targets: PyTree) -> jax.Array:
    """The diagonal of the Hessian.

    Args:
        loss: a function of `(params, inputs, targets)` to a scalar.
        params: the parameters.
        inputs: what the loss takes second.
        targets: what it takes third.

    Returns:
        A vector.
    """
    return ravel_pytree(second_order.hessian_diag(loss, params, inputs, targets))[0]


def fisher_diag(negative_log_likelihood: LossFn, params: Params, inputs: PyTree, targets: PyTree) -> jax.Array:
    """The diagonal of the empirical Fisher information, the mean over examples of their squared gradients.

    Optax squares the gradient of the batch; so does this where `config.reproduce_optax` is on.

    Args:
        negative_log_likelihood: a function of `(params, inputs, targets)` to a scalar.
        params: the parameters.
        inputs: arrays with the examples on the first axis.
        targets: arrays with the examples on the first axis.

    Returns:
        A vector.
    """
    if reproduces_optax():
        return jnp.square(ravel_pytree(jax.grad(negative_log_likelihood)(params, inputs, targets))[0])
    return ravel_pytree(second_order.fisher_diag(negative_log_likelihood, params, inputs, targets))[0]
