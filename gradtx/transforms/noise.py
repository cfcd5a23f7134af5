"""Gradient noise."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from gradtx.core.averages import sqrt
from gradtx.core.fields import RandomKey, RunCount
from gradtx.core.hyperparameters import KeyLike, NonNegative
from gradtx.core.lifted import lifted
from gradtx.core.typing import Array, ArrayLike


class AddNoiseState(NamedTuple):
    count: RunCount  # steps taken, int32
    rng_key: RandomKey  # split at each step


def noise_rule(
    g: Array, s: AddNoiseState, key: Array, *, eta: ArrayLike, gamma: ArrayLike
) -> tuple[Array, AddNoiseState]:
    """u = g + z, z normal with variance eta / t^gamma."""
    z = jax.random.normal(key, g.shape, g.dtype)
    variance = eta / s.count.astype(g.real.dtype) ** gamma
    return g + sqrt(jnp.asarray(variance)) * z, s


def start_key(key: KeyLike) -> Array:
    """A random key from a seed or a key."""
    is_seed = isinstance(key, int) or (jnp.issubdtype(key.dtype, jnp.integer) and not key.ndim)
    return jax.random.key(key) if is_seed else jnp.array(key, copy=True)


@lifted(noise_rule, AddNoiseState, degree=1)
def add_noise(eta: NonNegative, gamma: NonNegative, key: KeyLike = 0):
    """Add Gaussian noise that fades: u <- g + N(0, eta / t^gamma), t = 1, 2, ...

    Every leaf has a random key of its own; the same key with another eta gives the same noise, scaled. A complex
    leaf has noise of that variance in modulus, half in each part.

    Args:
        eta: variance of the noise at the first step, >= 0.
        gamma: how fast it fades, >= 0.

    State: `AddNoiseState(count, rng_key)`, 12 bytes.

    Source: Neelakantan et al. 2015, arXiv:1511.06807 (eta in {0.01, 0.3, 1}, gamma = 0.55).
    """
    return {"rng_key": lambda params: start_key(key)}
