"""Second derivatives of `loss(params, inputs, targets)`, with vectors for trees as Optax has them."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from gradtx.compat.optax.base import Params, PyTree
from gradtx.compat.optax.config import reproduces_optax
from gradtx.compat.optax.names import document
from gradtx.core import precision
from gradtx.search import second_order

LossFn: TypeAlias = Callable[[Params, Any, Any], jax.Array]


def hvp(loss: LossFn, v: jax.Array, params: Params, inputs: PyTree, targets: PyTree) -> PyTree:
    """The Hessian times a vector `v` of as many numbers as the parameters have, a tree like them."""
    flat, unravel = ravel_pytree(params)
    return second_order.hvp(loss, unravel(precision.cast(v, flat.dtype)), params, inputs, targets)


def hessian_diag(loss: LossFn, params: Params, inputs: PyTree, targets: PyTree) -> jax.Array:
    """The diagonal of the Hessian, as a vector."""
    return ravel_pytree(second_order.hessian_diag(loss, params, inputs, targets))[0]


def fisher_diag(negative_log_likelihood: LossFn, params: Params, inputs: PyTree, targets: PyTree) -> jax.Array:
    """The diagonal of the empirical Fisher information, as a vector; where `config.reproduce_optax` is on, Optax's."""
    if reproduces_optax():
        return jnp.square(ravel_pytree(jax.grad(negative_log_likelihood)(params, inputs, targets))[0])
    return ravel_pytree(second_order.fisher_diag(negative_log_likelihood, params, inputs, targets))[0]


document(__name__)
