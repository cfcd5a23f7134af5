"""Numerics of training code: norms with derivatives at zero, counters that stop at the top, scaled derivatives."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gradtx.core import averages, precision
from gradtx.core.border import widely
from gradtx.core.eager import compiled
from gradtx.core.errors import describe, is_inexact
from gradtx.core.typing import Array, ArrayLike, PyTree


@compiled
@widely
def safe_norm(
    x: Array,
    min_norm: ArrayLike,
    ord: int | float | str | None = None,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
) -> Array:
    """max(||x||, min_norm), whose derivative is 0 where the norm is not above min_norm, at x = 0 too.

    Args:
        x: an array, real or complex.
        min_norm: the least value: a number, or an array of the norms' shape.
        ord: which norm, as in `jax.numpy.linalg.norm`: a number, `'fro'` or `'nuc'`; by default the Euclidean norm.
        axis: over which axes: one for vectors, two for matrices; by default all.
        keepdims: whether these axes stay, with length 1.

    Returns:
        The norms, computed in float32 or wider, in the real dtype of `x`.
    """
    least = precision.cast(min_norm, precision.real_dtype(x.dtype))
    norm = partial(jnp.linalg.norm, ord=ord, axis=axis)
    above = jax.lax.stop_gradient(norm(x, keepdims=keepdims)) > least
    spread = jnp.reshape(above, jax.eval_shape(partial(norm, keepdims=True), x).shape)
    regular = jnp.where(spread, x, 1)  # has a norm with a derivative everywhere
    return jnp.where(above, norm(regular, keepdims=keepdims), least)


@compiled
@widely
def safe_root_mean_squares(x: Array, min_rms: ArrayLike) -> Array:
    """max(sqrt(mean |x|^2), min_rms), whose derivative is 0 where the root is not above min_rms, at x = 0 too.

    Args:
        x: an array, real or complex.
        min_rms: the least value, a number.

    Returns:
        A scalar, computed in float32 or wider, in the real dtype of `x`.
    """
    rms = averages.rms(x)
    least = precision.cast(min_rms, rms.dtype)
    return jnp.where(rms > least, rms, least)


@compiled
def safe_increment(count: ArrayLike) -> Array:
    """count + 1, and count where that is the largest number of its dtype.

    Args:
        count: an array of any integer or floating-point dtype.

    Returns:
        The next count, in the same dtype.

    Raises:
        ValueError: for booleans and complex numbers.
    """
    count = jnp.asarray(count)
    if jnp.issubdtype(count.dtype, jnp.integer):
        top = jnp.iinfo(count.dtype).max
    elif jnp.issubdtype(count.dtype, jnp.floating):
        top = float(jnp.finfo(count.dtype).max)
    else:
        raise ValueError(f"safe_increment: count must be an integer or a real number, got {describe(count)}")
    one, top = precision.cast(1, count.dtype), jnp.asarray(top, count.dtype)
    return jnp.where(count < top, count + one, count)


def scale_gradient(inputs: PyTree, scale: ArrayLike) -> PyTree:
    """The inputs as they are, but with derivatives multiplied by `scale`.

    Args:
        inputs: a tree of arrays.
        scale: a number: 0 stops the gradient, -1 reverses it.

    Returns:
        The same tree. Derivatives in forward and reverse mode are scaled, those with respect to `scale` are 0.
    """
    return jax.tree.map(lambda x: _scaled(x, jnp.asarray(scale)) if is_inexact(x) else x, inputs)


@jax.custom_jvp
def _scaled(x: Array, scale: Array) -> Array:
    return x


@_scaled.defjvp
def _scaled_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Any]) -> tuple[Array, Array]:
    (x, scale), (dx, _) = primals, tangents
    return _scaled(x, scale), jnp.where(scale == 0, 0, precision.cast(scale, dx.dtype) * dx)


class MultiNormal(NamedTuple):
    """A normal distribution with a diagonal covariance. See `multi_normal`."""

    loc: Array  # the means
    log_scale: Array  # the logarithms of the standard deviations

    @property
    def params(self) -> list[Array]:
        """The means and the logarithms of the standard deviations."""
        return [self.loc, self.log_scale]

    def sample(self, shape: Sequence[int], key: Array) -> Array:
        """Draw loc + exp(log_scale) z with z standard normal, so that draws have derivatives in both parameters.

        Args:
            shape: how many draws; it comes before the shape of one.
            key: a random key.
        """
        return self.loc + jnp.exp(self.log_scale) * jax.random.normal(key, (*shape, *self.loc.shape), self.loc.dtype)

    @widely
    def log_prob(self, x: ArrayLike) -> Array:
        """The logarithm of the density: -sum(z^2 / 2 + log_scale + log(2 pi) / 2), z = (x - loc) exp(-log_scale).

        Args:
            x: values, of shape (..., *shape of one draw).

        Returns:
            One number for each value.
        """
        z = (x - self.loc) * jnp.exp(-self.log_scale)
        one = -jnp.square(z) / 2 - self.log_scale - math.log(2 * math.pi) / 2
        return jnp.sum(one, axis=tuple(range(-self.loc.ndim, 0)))


def multi_normal(loc: ArrayLike, log_scale: ArrayLike) -> MultiNormal:
    """The distribution of independent normal numbers.

    Args:
        loc: their means, of any shape.
        log_scale: the logarithms of their standard deviations, of a shape that broadcasts against it.

    Returns:
        A distribution with `sample(shape, key)`, `log_prob(x)` and `params`; a pytree.
    """
    loc, log_scale = jnp.broadcast_arrays(_floating(loc), _floating(log_scale))
    return MultiNormal(loc, log_scale)


def _floating(x: ArrayLike) -> Array:
    x = jnp.asarray(x)
    return x if is_inexact(x) else precision.cast(x, jnp.result_type(float))
