"""Adam-mini: Adam with one second moment per block of parameters."""

import jax.numpy as jnp

from gradtx.combine.optimizer import optimizer
from gradtx.core.averages import debias, ema, mean_sq, sqrt
from gradtx.core.hyperparameters import Decay, NonNegative, Positive
from gradtx.core.lifted import lifted
from gradtx.core.slots import zeros_shaped
from gradtx.core.typing import Array, ArrayLike
from gradtx.optimizers.adam import ScaleByAdamState
from gradtx.transforms.decay import DecayKind


def shared_axes(ndim: int, block_axis: int | None) -> tuple[int, ...]:
    """The axes along which one second moment is shared: all but `block_axis`, and all of a vector's or scalar's."""
    if ndim < 2 or block_axis is None:
        return tuple(range(ndim))
    if not -ndim <= block_axis < ndim:
        raise ValueError(f"scale_by_adam_mini: block_axis {block_axis} is not an axis of a leaf with {ndim}")
    return tuple(axis for axis in range(ndim) if axis != block_axis % ndim)


def adam_mini_rule(
    g: Array, s: ScaleByAdamState, *, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike, block_axis: int | None
) -> tuple[Array, ScaleByAdamState]:
    """u = m / (sqrt(v) + eps), v the debiased average of the block's mean |g|^2."""
    mu = ema(s.mu, g, b1)
    nu = ema(s.nu, mean_sq(g, shared_axes(g.ndim, block_axis), keepdims=True), b2)
    u = debias(mu, b1, s.count) / (sqrt(debias(nu, b2, s.count)) + eps)
    return u, s._replace(mu=mu, nu=nu)


@lifted(adam_mini_rule, ScaleByAdamState, degree=0)
def scale_by_adam_mini(b1: Decay = 0.9, b2: Decay = 0.999, eps: Positive = 1e-8, *, block_axis: int | None = -1):
    """Adam's direction with one second moment per block.

    Per leaf, at step t = 1, 2, ...:

        mu   <- b1 mu + (1 - b1) g
        nu_b <- b2 nu_b + (1 - b2) (mean of |g|^2 over block b)
        u    <- mu / (1 - b1^t) / (sqrt(nu_b / (1 - b2^t)) + eps)

    A block is what shares an index on `block_axis`; vectors and scalars are one block each. In Flax kernels,
    (in, out), the default -1 makes each output unit a block, and -2 each head of (in, heads, head_dim); weights of
    shape (out, in) and embeddings of shape (tokens, dim) want 0. `partition` gives each kind its own.

    Args:
        block_axis: the axis that counts blocks, or None for one block per leaf. Static.

    State: `ScaleByAdamState(count, mu, nu)`, one value per parameter and one per block.

    Raises: ValueError for a leaf of two or more axes that has no `block_axis`.

    Source: Zhang et al. 2024, Algorithm 1, arXiv:2406.16793.
    """
    return {"nu": zeros_shaped(lambda p: jnp.sum(p, shared_axes(p.ndim, block_axis), keepdims=True))}


@optimizer(scale_by_adam_mini)
def adam_mini(
    learning_rate: NonNegative, b1: Decay = 0.9, b2: Decay = 0.999, eps: Positive = 1e-8, *,
    block_axis: int | None = -1, weight_decay: DecayKind = None,
):  # fmt: skip
    """Adam-mini: Adam in half the memory, with one second moment per block."""
