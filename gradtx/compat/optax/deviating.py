"""gradtx's transformations with the formulas that Optax has in place of its sources', for where they are asked for."""

import jax
import jax.numpy as jnp

import gradtx
from gradtx.core import tree
from gradtx.core.averages import abs_sq, debias, divide_up_to, ema, safe_divide, sqrt
from gradtx.core.transformation import Pair
from gradtx.core.typing import Array, ArrayLike, PyTree
from gradtx.optimizers.adabelief import ScaleByBeliefState, acprop_rule
from gradtx.optimizers.adan import ScaleByAdanState
from gradtx.search import lbfgs


def acprop_late_rule(
    g: Array, s: ScaleByBeliefState, *, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike, eps_root: ArrayLike
) -> tuple[Array, ScaleByBeliefState]:
    """As `acprop_rule`, with nu around the mu of before the step."""
    u, new = acprop_rule(g, s, b1=b1, b2=b2, eps=eps, eps_root=eps_root)
    return u, new._replace(nu=ema(s.nu, abs_sq(g - s.mu), b2) + eps_root)


@gradtx.lifted(acprop_late_rule, ScaleByBeliefState)
def scale_by_acprop(b1: gradtx.Decay, b2: gradtx.Decay, eps: gradtx.NonNegative, eps_root: gradtx.NonNegative):
    """`gradtx.scale_by_acprop` with the variance around the average of before the step."""


def adan_rule(
    g: Array, s: ScaleByAdanState, *, b1: ArrayLike, b2: ArrayLike, b3: ArrayLike, eps: ArrayLike, eps_root: ArrayLike
) -> tuple[Array, ScaleByAdanState]:
    """u = (m + (1 - b2) v) / (sqrt(n + eps_root) + eps), all three debiased; n averages |g + (1 - b2) d|^2."""
    d, weight = jnp.where(s.count == 1, 0, g - s.g), 1 - b2
    m, v, n = ema(s.m, g, b1), ema(s.v, d, b2), ema(s.n, abs_sq(g + weight * d), b3)
    ahead = debias(m, b1, s.count) + weight * debias(v, b2, s.count)
    return ahead / (sqrt(debias(n, b3, s.count) + eps_root) + eps), s._replace(m=m, v=v, n=n, g=g)


@gradtx.lifted(adan_rule, ScaleByAdanState)
def scale_by_adan(
    b1: gradtx.Decay, b2: gradtx.Decay, b3: gradtx.Decay, eps: gradtx.NonNegative, eps_root: gradtx.NonNegative
):
    """`gradtx.scale_by_adan` with 1 - b2 for the weight b2 of the change of the gradient."""


def every_pair(state: lbfgs.ScaleByLBFGSState, s: PyTree, inner: Array) -> tuple[Array, Array]:
    """The weight 1 / <s, y>, whatever its sign; no pair is forgotten."""
    return safe_divide(jnp.ones_like(inner), inner), state.weights_memory


def newest_scale(g: PyTree, value: Array | None, state: lbfgs.ScaleByLBFGSState, order: Array) -> Array:
    """gamma: <s, y> / <y, y> of the newest pair, 1 after a step of 0, and at first min(1, 1 / ||g||)."""
    y = jax.tree.map(lambda memory: memory[order[-1]], state.diff_updates_memory)
    gamma = jnp.where(tree.all_zero(y), 1, lbfgs.scale_of(state, order[-1]))
    return jnp.where(state.count == 1, divide_up_to(jnp.ones_like(gamma), tree.scaled_norm(g), 1.0), gamma)


@gradtx.transformation
def scale_by_lbfgs(memory_size: gradtx.PositiveInt, scale_init_precond: bool) -> Pair:
    """`gradtx.scale_by_lbfgs` that keeps every pair with <s, y> != 0, so that H may have negative eigenvalues."""
    return lbfgs.lbfgs_pair(memory_size, scale_init_precond, every_pair, newest_scale)
