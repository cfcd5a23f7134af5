"""Derivatives of functions that have none, by random perturbations of their inputs."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from gradtx.core import precision, tree, tree_math
from gradtx.core.border import seen_widely
from gradtx.core.errors import describe, is_inexact, path_str
from gradtx.core.typing import Array, ArrayLike, DType, PyTree


class Noise(Protocol):
    """A distribution of real numbers: how to draw from it, and its density."""

    def sample(self, key: Array, sample_shape: Sequence[int] = (), dtype: DType = float) -> Array:
        """Independent draws of a shape and dtype."""
        ...

    def log_prob(self, inputs: Array) -> Array:
        """The logarithm of the density at each input, differentiable."""
        ...


@dataclass(frozen=True)
class Gumbel:
    """The Gumbel distribution: argmax(x + z) is a draw from softmax(x)."""

    def sample(self, key: Array, sample_shape: Sequence[int] = (), dtype: DType = float) -> Array:
        """Independent draws of a shape and dtype."""
        return jax.random.gumbel(key, tuple(sample_shape), dtype)

    def log_prob(self, inputs: Array) -> Array:
        """-z - exp(-z)."""
        return -inputs - jnp.exp(-inputs)


@dataclass(frozen=True)
class Normal:
    """The standard normal distribution."""

    def sample(self, key: Array, sample_shape: Sequence[int] = (), dtype: DType = float) -> Array:
        """Independent draws of a shape and dtype."""
        return jax.random.normal(key, tuple(sample_shape), dtype)

    def log_prob(self, inputs: Array) -> Array:
        """-z^2 / 2 - log(2 pi) / 2."""
        return -jnp.square(inputs) / 2 - math.log(2 * math.pi) / 2


def make_perturbed_fun(
    fun: Callable[[PyTree], PyTree],
    num_samples: int = 1000,
    sigma: ArrayLike = 0.1,
    noise: Noise = Gumbel(),
    use_baseline: bool = True,
) -> Callable[[Array, PyTree], PyTree]:
    """A smooth version of a function, f_sigma(x) = E f(x + sigma z), estimated by the mean over draws of z.

    With y_k = x + sigma z_k and p the density of y around x, it returns

        b + 1/n sum_k (p(y_k) / stop_gradient(p(y_k))) (f(y_k) - b)

    in which y_k and b = f(x) are constants and the ratio is 1. Its derivatives of every order, in x and in sigma, are
    unbiased estimates of those of f_sigma; the first is the mean of (f(y_k) - b) times the score. No derivative of f
    is used.

    Args:
        fun: from a tree of real arrays to a tree of arrays; it is evaluated under `jax.vmap`.
        num_samples: n >= 1. Static.
        sigma: above 0, the scale of the noise.
        noise: its distribution: `Gumbel()`, `Normal()`, or any object with their two methods.
        use_baseline: whether b is f(x) or 0. With it the variance is lower, for one more evaluation.

    Returns:
        A function of a random key and the tree. Results have the dtype of those of `fun`, integers that of floats.

    Raises:
        ValueError: for `num_samples` below 1 or a number `sigma` that is not positive.
        TypeError: at the call, for a leaf that is no real array, with its path.

    Source: Berthet et al. 2020, arXiv:2002.08676; the ratio is the operator of Foerster et al. 2018, arXiv:1802.05098.
    """
    if num_samples < 1:
        raise ValueError(f"make_perturbed_fun: num_samples must be >= 1, got {num_samples!r}")
    if isinstance(sigma, int | float) and sigma <= 0:
        raise ValueError(f"make_perturbed_fun: sigma must be > 0, got {sigma!r}")

    def perturbed(key: Array, x: PyTree) -> PyTree:
        _check(x)
        at, wide = seen_widely(fun, x)
        scale = precision.cast(sigma, precision.scalar_dtype(wide))

        def one(key: Array) -> tuple[PyTree, Array]:
            z = tree_math.tree_random_like(key, wide, noise.sample)
            y = jax.lax.stop_gradient(jax.tree.map(lambda a, b: a + precision.cast(scale, b.dtype) * b, wide, z))
            log_p = tree.sum_of(lambda a, b: noise.log_prob((b - a) / scale) - jnp.log(scale), wide, y)
            return at(y), jnp.exp(log_p - jax.lax.stop_gradient(log_p))

        values, ratios = jax.vmap(one)(jax.random.split(key, num_samples))
        baseline = (
            fun(jax.lax.stop_gradient(x)) if use_baseline else jax.tree.map(lambda v: jnp.zeros_like(v[0]), values)
        )
        return jax.tree.map(lambda v, b: _mean(v, b, ratios), values, baseline)

    return perturbed


def _mean(values: Array, baseline: Any, ratios: Array) -> Array:
    """b + mean(ratio (value - b)), in the dtype of the values."""
    dtype = values.dtype if is_inexact(values) else jnp.result_type(float)
    wide = precision.compute_dtype(dtype)
    values, baseline = precision.cast(values, wide), precision.cast(baseline, wide)
    weights = jnp.reshape(ratios, (-1, *[1] * baseline.ndim))
    with jax.numpy_dtype_promotion("standard"):  # the results need not be as wide as the input, or real
        return precision.cast(baseline + jnp.mean(weights * (values - baseline), axis=0), dtype)


def _check(x: PyTree) -> None:
    for path, leaf in jax.tree_util.tree_leaves_with_path(x):
        if not is_inexact(leaf) or jnp.iscomplexobj(leaf):
            raise TypeError(f"make_perturbed_fun: wanted real arrays, got {describe(leaf)} at {path_str(path)}")
