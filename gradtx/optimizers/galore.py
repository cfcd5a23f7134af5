"""GaLore: another optimizer's direction, taken in a low-rank subspace of each matrix's gradient."""

from functools import reduce
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from gradtx.combine.optimizer import optimizer
from gradtx.core.arguments import OneOf
from gradtx.core.averages import safe_divide
from gradtx.core.fields import Count, InnerState
from gradtx.core.hyperparameters import NonNegative, Number, PositiveInt
from gradtx.core.leafwise import Leafwise, leafwise
from gradtx.core.slots import MatrixSlot, zeros_shaped
from gradtx.core.transformation import Inner, as_transformation, transformation
from gradtx.core.typing import Array, ArrayLike
from gradtx.core.within import Within
from gradtx.linalg.dimensions import Dimensions
from gradtx.linalg.matrices import matrices
from gradtx.optimizers.adam import scale_by_adam
from gradtx.transforms.decay import DecayKind

Side = Annotated[str, OneOf("smaller", "larger")]
"""On which side of a matrix the projection acts."""


class GaLoreState(NamedTuple):
    count: Count  # steps taken, int32
    base_optimizer_state: InnerState  # of the inner transformation, which sees projected gradients
    projector: MatrixSlot  # for each matrix an orthonormal basis, (side, rank)


def galore_rule(
    g: Array, s: GaLoreState, *, update_proj_gap: int, side: str, fix_signs: bool, is_matrix: bool, renewed: Any
) -> tuple[Array, GaLoreState]:
    """R <- P^H G, or G P; P <- the first singular vectors of G at every `update_proj_gap`th step."""
    if not is_matrix:
        return g, s
    rank, left = s.projector.shape[-1], from_left(g.shape, side)
    due = (s.count - 1) % update_proj_gap == 0
    new = lambda: jnp.where(due, basis(g, rank, left, fix_signs).astype(s.projector.dtype), s.projector)
    p = jax.lax.cond(renewed, new, lambda: s.projector).astype(g.dtype)
    return (p.mT.conj() @ g if left else g @ p), s._replace(projector=p)


def galore_back_rule(
    r: Array, s: GaLoreState, *, scale: ArrayLike, side: str, is_matrix: bool, shape: tuple[int, ...]
) -> tuple[Array, GaLoreState]:
    """U <- scale P R, or scale R P^H."""
    if not is_matrix:
        return r, s
    p = s.projector.astype(r.dtype)
    return scale * (p @ r if from_left(shape, side) else r @ p.mT.conj()), s


def from_left(shape: tuple[int, ...], side: str) -> bool:
    """Whether a matrix of shape (m, n) is projected from the left, P^H G."""
    m, n = shape
    return m == n or (m < n) == (side == "smaller")


def basis(g: Array, rank: int, left: bool, fix_signs: bool) -> Array:
    """The first singular vectors of matrices, their largest entries positive if asked; no gradient flows through."""
    u, _, vh = jnp.linalg.svd(jax.lax.stop_gradient(g), full_matrices=False)
    vectors = (u if left else vh.mT.conj())[..., :rank]
    if not fix_signs or not vectors.size:
        return vectors
    place = jnp.argmax(jnp.abs(vectors), axis=-2, keepdims=True)
    largest = jnp.take_along_axis(vectors, place, axis=-2)
    return vectors * safe_divide(largest.conj(), jnp.abs(largest).astype(vectors.dtype))


@transformation(degree=0)
def scale_by_galore(
    rank: PositiveInt = 128, update_proj_gap: PositiveInt = 200, scale: Number = 1.0,
    base_optimizer: Inner | None = None, *, weight_dimension_numbers: Dimensions | None = None, side: Side = "smaller",
    fix_signs: bool = True,
) -> Leafwise:  # fmt: skip
    """Take another optimizer's direction in a low-rank subspace of each matrix's gradient.

    Per matrix G of shape (m, n), here with m <= n, at step t = 0, 1, ...:

        P <- the first `rank` left singular vectors of G, where t mod update_proj_gap = 0
        R <- P^H G
        u <- scale P base(R)

    and from the right, G P, where m > n. All other leaves go to the base optimizer as they are.

    Args:
        rank: at least 1, at most min(m, n) of which is used. Static.
        update_proj_gap: steps between new subspaces, >= 1. Static.
        scale: alpha; 0.25 in the paper.
        base_optimizer: a direction that needs no params, such as `scale_by_adam()`, the default.
        weight_dimension_numbers: which leaves are matrices, as in `muon`; None: every leaf of two axes.
        side: "smaller" projects the shorter side as in the paper, "larger" the longer one (as Optax does).
        fix_signs: whether each singular vector has its largest entry positive, or the sign that the SVD gave it.

    State: `GaLoreState(count, base_optimizer_state, projector)`: min(m, n) rank for P, and max(m, n) rank for each
        slot of the base optimizer.

    Source: Zhao et al. 2024, arXiv:2403.03507; differs: the signs of singular vectors are fixed.
    """
    base = scale_by_adam() if base_optimizer is None else as_transformation(base_optimizer)
    left, r = (lambda g: from_left(g.shape, side)), (lambda g: min(rank, *g.shape))
    projector = zeros_shaped(lambda g: (g if left(g) else g.mT)[:, : r(g)])
    inside = Within(base, galore_back_rule, lambda g: g[: r(g)] if left(g) else g[:, : r(g)])
    return leafwise(
        galore_rule, GaLoreState, layout=matrices(weight_dimension_numbers, only=False), within=inside,
        reduce=lambda counts: {"renewed": reduce(jnp.logical_or, [t % update_proj_gap == 0 for t in counts])},
        projector=projector, scale=scale, update_proj_gap=update_proj_gap, side=side, fix_signs=fix_signs,
    )  # fmt: skip


@optimizer(scale_by_galore)
def galore(
    learning_rate: NonNegative, rank: PositiveInt = 128, update_proj_gap: PositiveInt = 200, scale: Number = 1.0,
    base_optimizer: Inner | None = None, *, weight_dimension_numbers: Dimensions | None = None, side: Side = "smaller",
    fix_signs: bool = True, weight_decay: DecayKind = None,
):  # fmt: skip
    """GaLore: theta <- theta - eta u, with Adam's direction taken in a low-rank subspace."""
