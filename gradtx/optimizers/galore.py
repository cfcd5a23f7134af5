"""GaLore: another optimizer's direction, taken in a low-rank subspace of each matrix's gradient."""

from functools import reduce
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from gradtx.combine.optimizer import optimizer
from gradtx.core import checks, precision
from gradtx.core.arguments import OneOf
from gradtx.core.averages import safe_divide
from gradtx.core.errors import is_none
from gradtx.core.explicit import gathered, laid_out_like
from gradtx.core.fields import Count, InnerState
from gradtx.core.hyperparameters import NonNegative, Number, PositiveInt
from gradtx.core.restart import is_per_leaf, next_count, of_leaf
from gradtx.core.selection import MaskedNode
from gradtx.core.slots import Slot, slot_dtype
from gradtx.core.transformation import Inner, Pair, as_transformation, transformation
from gradtx.core.typing import Array, PyTree
from gradtx.core.varying import vary_with
from gradtx.linalg.dimensions import Dimensions
from gradtx.linalg.matrices import from_matrices, resolve_dimensions, to_matrices
from gradtx.optimizers.adam import scale_by_adam
from gradtx.transforms.decay import DecayKind

Side = Annotated[str, OneOf("smaller", "larger")]
"""On which side of a matrix the projection acts."""


class GaLoreState(NamedTuple):
    """State of `scale_by_galore`."""

    count: Count  # steps taken, int32
    base_optimizer_state: InnerState  # of the inner transformation, which sees projected gradients
    projector: Slot  # for each matrix an orthonormal basis, (stack axes, side, rank); else `MaskedNode`


def projected(x: Any, numbers: Any, rank: int, side: str) -> tuple[bool, tuple[int, ...], tuple[int, ...]]:
    """Whether a leaf's matrices are projected from the left, P^H G, and the shapes of P and of what becomes of G."""
    *stack, m, n = jax.eval_shape(lambda x: to_matrices(x, numbers), jax.ShapeDtypeStruct(x.shape, x.dtype)).shape
    left, r = m == n or (m < n) == (side == "smaller"), min(rank, m, n)
    return left, (*stack, m if left else n, r), (*stack, *((r, n) if left else (m, r)))


def basis(g: Array, rank: int, left: bool, fix_signs: bool) -> Array:
    """The first singular vectors of matrices, their largest entries positive if asked; no gradient flows through."""
    u, _, vh = jnp.linalg.svd(jax.lax.stop_gradient(g), full_matrices=False)
    vectors = (u if left else vh.mT.conj())[..., :rank]
    if not fix_signs or not vectors.size:
        return vectors
    place = jnp.argmax(jnp.abs(vectors), axis=-2, keepdims=True)
    largest = jnp.take_along_axis(vectors, place, axis=-2)
    return vectors * safe_divide(largest.conj(), jnp.abs(largest).astype(vectors.dtype))


def project(g: Array, p: Array, left: bool) -> Array:
    """The coordinates of G in the subspace of P."""
    return p.mT.conj() @ g if left else g @ p


def project_back(r: Array, p: Array, left: bool) -> Array:
    """The matrix with coordinates R in the subspace of P."""
    return p @ r if left else r @ p.mT.conj()


@transformation(degree=0)
def scale_by_galore(
    rank: PositiveInt = 128, update_proj_gap: PositiveInt = 200, scale: Number = 1.0,
    base_optimizer: Inner | None = None, *, weight_dimension_numbers: Dimensions | None = None, side: Side = "smaller",
    fix_signs: bool = True,
) -> Pair:  # fmt: skip
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
    name = "scale_by_galore"

    def init(params: PyTree) -> GaLoreState:
        leaves, treedef = jax.tree.flatten(params, is_leaf=is_none)
        projectors: list[Any] = [None if p is None else MaskedNode() for p in leaves]
        for i, numbers in enumerate(resolve_dimensions(name, weight_dimension_numbers, params)):
            if (p := leaves[i]) is not None and numbers is not None:
                _, of_p, of_g = projected(p, numbers, rank, side)
                start = jnp.zeros(of_p, slot_dtype(p.dtype)), jnp.zeros(of_g, p.dtype)
                projectors[i], leaves[i] = vary_with(start, p)
        state = base.init(treedef.unflatten(leaves))
        return GaLoreState(jnp.zeros((), jnp.int32), state, treedef.unflatten(projectors))

    def update(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, GaLoreState]:
        numbers: list[Any] = list(resolve_dimensions(name, weight_dimension_numbers, updates))
        pathed, treedef = jax.tree_util.tree_flatten_with_path(updates, is_leaf=is_none)
        paths, old = [path for path, _ in pathed], [g for _, g in pathed]
        gs, projectors = list(precision.widen(old)), checks.matched(name, "state", updates, treedef, state.projector)
        lefts: dict[int, bool] = {}  # of the leaves that are matrices
        for i, g in enumerate(gs):
            if g is not None and numbers[i] is not None:
                lefts[i], of_p, _ = projected(g, numbers[i], rank, side)
                checks.check_shape(name, "projector", updates, i, projectors[i], of_p)
                gs[i] = to_matrices(gathered(g), numbers[i])

        def renewed() -> list[Array]:
            bases = {i: basis(gs[i], projectors[i].shape[-1], left, fix_signs) for i, left in lefts.items()}
            new = {i: p.astype(projectors[i].dtype) for i, p in bases.items()}
            if is_per_leaf(state.count):
                due = {i: of_leaf(state.count, paths[i]) % update_proj_gap == 0 for i in lefts}
                new = {i: jnp.where(due[i], p, projectors[i]) for i, p in new.items()}
            return list(new.values())

        kept = lambda: [projectors[i] for i in lefts]
        anyone = reduce(jnp.logical_or, [count % update_proj_gap == 0 for count in jax.tree.leaves(state.count)])
        for i, p in zip(lefts, jax.lax.cond(anyone, renewed, kept), strict=True):
            projectors[i] = p
        wide = {i: projectors[i].astype(gs[i].dtype) for i in lefts}
        seen = [project(g, wide[i], lefts[i]) if i in lefts else g for i, g in enumerate(gs)]
        directions, base_state = base.update(treedef.unflatten(seen), state.base_optimizer_state, None, **extra)
        new = treedef.flatten_up_to(directions)
        for i, left in lefts.items():
            full = from_matrices(project_back(new[i], wide[i], left), old[i], numbers[i])
            new[i] = laid_out_like(precision.number_in(scale, full.dtype) * full, old[i])
        state = GaLoreState(next_count(state.count), base_state, treedef.unflatten(projectors))
        return precision.round_like(treedef.unflatten(new), updates), state

    return Pair(init, update, "numbers", GaLoreState, {"projector": None})


@optimizer(scale_by_galore)
def galore(
    learning_rate: NonNegative, rank: PositiveInt = 128, update_proj_gap: PositiveInt = 200, scale: Number = 1.0,
    base_optimizer: Inner | None = None, *, weight_dimension_numbers: Dimensions | None = None, side: Side = "smaller",
    fix_signs: bool = True, weight_decay: DecayKind = None,
):  # fmt: skip
    """GaLore: theta <- theta - eta u, with Adam's direction taken in a low-rank subspace."""
