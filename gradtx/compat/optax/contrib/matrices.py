"""Optimizers of matrices: Muon and GaLore."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

import gradtx
from gradtx.compat.optax import base
from gradtx.compat.optax.alias import optimizers
from gradtx.compat.optax.base import MaskOrFn, Number, OptState, Pair, Params, ScalarOrSchedule, Updated, Updates
from gradtx.compat.optax.combine import chain, partition
from gradtx.compat.optax.states import MuonState
from gradtx.compat.optax.table import Make, translation
from gradtx.compat.optax.transforms.links import add_decayed_weights, scale_by_learning_rate
from gradtx.core.selection import MaskedNode
from gradtx.linalg.matrices import DimensionNumbers
from gradtx.linalg.newton_schulz import COEFFICIENTS
from gradtx.optimizers import muon as ours

Axes: TypeAlias = Sequence[int] | int
KELLER = COEFFICIENTS["keller"][0]
PRESETS: dict[str, Any] = {"standard": KELLER, "dion": COEFFICIENTS["dion"]}


class MuonDimensionNumbers(NamedTuple):
    """Which axes of a weight are a matrix; all its other axes count matrices. See `gradtx.DimensionNumbers`."""

    reduction_axis: Axes = 0
    output_axis: Axes = 1


class GaLoreDimensionNumbers(NamedTuple):
    """Which axes of a weight are the rows and which the columns of a matrix; every axis is one of them."""

    reduction_axis: Axes = 0
    output_axis: Axes = 1


Numbers: TypeAlias = MuonDimensionNumbers | GaLoreDimensionNumbers
NumbersOrFn: TypeAlias = Numbers | Params | Callable[[Params], Params | None]
KINDS: dict[str, Any] = {
    "keller": KELLER, "numbers": NumbersOrFn, "preset": Literal["frobenius", "spectral", "aol", "schatten"],
}  # fmt: skip


def _is_numbers(x: Any) -> bool:
    return x is None or isinstance(x, MuonDimensionNumbers | GaLoreDimensionNumbers)


def _resolved(given: Any, tree: Params) -> Params:
    return given(tree) if callable(given) else given


def _translated(given: Any) -> Any:
    """A function of the parameters that gives dimension numbers of gradtx's type; None where they have no leaves."""

    def translate(tree: Params) -> Params:
        if not jax.tree.leaves(tree):
            return None
        axes = lambda x: x if isinstance(x, int) else tuple(x)
        own = lambda n: n if n is None else DimensionNumbers(axes(n.reduction_axis), axes(n.output_axis))
        return jax.tree.map(own, _resolved(given, tree), is_leaf=_is_numbers)

    return None if given is None else translate


@translation(
    """ns_coeffs:any=keller ns_steps:int=5 beta eps mu_dtype@mu * nesterov adaptive preconditioning:preset
    weight_dimension_numbers:numbers""",
    gradtx.scale_by_muon, **KINDS,
)  # fmt: skip
def scale_by_muon(make: Make, ns_coeffs: Any, ns_steps: int, weight_dimension_numbers: Any, **_: Any) -> Pair:
    """As `gradtx.scale_by_muon`; the coefficients are in the state. One triple per step: the last `ns_steps` are used.

    Raises:
        ValueError: from `init`, for coefficients that are no triples, or fewer triples than steps.
    """
    return _with_coefficients(make, ns_coeffs, ns_steps, weight_dimension_numbers)


def _with_coefficients(make: Make, ns_coeffs: Any, ns_steps: int, numbers: Any, **others: Any) -> Pair:
    def made(coefficients: jax.Array) -> Pair:
        steps = ns_steps if coefficients.ndim == 1 else None
        return make(ns_coeffs=coefficients, ns_steps=steps, weight_dimension_numbers=_translated(numbers), **others)

    def init(params: Params) -> OptState:
        given = any(isinstance(x, jax.Array) for x in jax.tree.leaves(ns_coeffs))
        table = jnp.asarray(ns_coeffs if given else np.asarray(ns_coeffs))  # JAX takes numbers one by one, slowly
        if table.ndim not in (1, 2) or table.shape[-1] != 3:
            raise ValueError(f"scale_by_muon: ns_coeffs must be of shape (3,) or (steps, 3), got {table.shape}")
        if table.ndim == 2 and len(table) < ns_steps:
            raise ValueError(f"scale_by_muon: {ns_steps} steps need as many triples, got {len(table)}")
        table = table if table.ndim == 1 else table[-ns_steps:]
        return MuonState(*made(table).init(params), ns_coeffs=table)

    def update(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> Updated:
        count, mu, coefficients = state
        updates, new = made(coefficients).update(updates, ours.MuonState(count, mu))
        return updates, MuonState(*new, ns_coeffs=coefficients)

    return Pair(init, update)


@translation(
    """learning_rate>-! ns_coeffs:any=keller ns_steps:int=5 beta eps weight_decay>-:number=0.0 weight_decay_mask>-=None
    mu_dtype@mu * nesterov adaptive preconditioning:preset adam_b1>-=0.9 adam_b2>-=0.999 adam_eps_root>-=0.0
    adam_weight_decay>-:number=0.0 adam_learning_rate>-=None muon_weight_dimension_numbers>-:numbers=None
    consistent_rms:optional""",
    gradtx.scale_by_muon, **KINDS,
)  # fmt: skip
def muon(
    make: Make, learning_rate: ScalarOrSchedule, ns_coeffs: Any, ns_steps: int, eps: Number, weight_decay: Number,
    weight_decay_mask: MaskOrFn, mu_dtype: Any, nesterov: bool, adam_b1: Number, adam_b2: Number,
    adam_eps_root: Number, adam_weight_decay: Number, adam_learning_rate: ScalarOrSchedule | None,
    muon_weight_dimension_numbers: Any, **_: Any,
) -> Pair:  # fmt: skip
    """As `gradtx.muon`; `ns_coeffs` may be "standard", which gradtx calls "keller", or "dion".

    Raises:
        ValueError: another name.
    """
    if isinstance(ns_coeffs, str):
        if ns_coeffs not in PRESETS:
            raise ValueError(f"muon: ns_coeffs must be numbers or one of {', '.join(PRESETS)}, got {ns_coeffs!r}")
        ns_coeffs = PRESETS[ns_coeffs]
    numbers = muon_weight_dimension_numbers

    def labels(params: Params) -> Params:
        if numbers is None:
            return jax.tree.map(lambda p: "muon" if p.ndim == 2 else "adam", params)
        all_of = lambda n, part: jax.tree.map(lambda _: "adam" if n is None else "muon", part)
        return jax.tree.map(all_of, _resolved(numbers, params), params, is_leaf=_is_numbers)

    direction = _with_coefficients(make, ns_coeffs, ns_steps, numbers, shape_factor="width")
    rest = optimizers.adamw(
        learning_rate if adam_learning_rate is None else adam_learning_rate, adam_b1, adam_b2, eps, adam_eps_root,
        mu_dtype, adam_weight_decay, nesterov=nesterov,
    )  # fmt: skip
    # Optax scales by the shape in a link of its own, whose state is empty.
    decay = add_decayed_weights(weight_decay, weight_decay_mask)
    matrices = chain(direction, base.identity(), decay, scale_by_learning_rate(learning_rate))
    return partition({"muon": matrices, "adam": rest}, labels)


@translation(
    "rank update_proj_gap scale:float base_optimizer:tx weight_dimension_numbers:numbers", gradtx.scale_by_galore,
    **KINDS,
)  # fmt: skip
def scale_by_galore(make: Make, rank: Any, weight_dimension_numbers: Any, **_: Any) -> Pair:
    """As `gradtx.scale_by_galore(side="larger", fix_signs=False)`; leaves that are no matrices have empty projectors.

    Raises:
        TypeError: a rank that is no int.
        ValueError: a rank below 1; from `init`, dimension numbers that leave out an axis.
    """
    if not isinstance(rank, int):
        raise TypeError(f"scale_by_galore: rank must be an int, got {rank!r}")
    if rank < 1:
        raise ValueError(f"scale_by_galore: rank must be at least 1, got {rank}")

    def numbers_of(tree: Params) -> Params:
        given = _resolved(weight_dimension_numbers, tree)
        if isinstance(given, GaLoreDimensionNumbers):
            given = jax.tree.map(lambda p: given if p.ndim >= 2 else None, tree)
        return given if given is None else jax.tree.map(_whole, tree, given)

    numbers = None if weight_dimension_numbers is None else _translated(numbers_of)
    own = make(side="larger", fix_signs=False, weight_dimension_numbers=numbers)

    def init(params: Params) -> OptState:
        state = own.init(params)
        empty = lambda p, q: jnp.zeros((0, 0), p.dtype) if isinstance(q, MaskedNode) else q
        return state._replace(projector=jax.tree.map(empty, params, state.projector))

    return Pair(init, own.update)


def _whole(p: Any, numbers: GaLoreDimensionNumbers | None) -> GaLoreDimensionNumbers | None:
    """The numbers, if every axis of `p` is one of them."""
    count = sum(1 if isinstance(axes, int) else len(axes) for axes in numbers or ())
    if numbers is not None and count != p.ndim:
        raise ValueError(f"scale_by_galore: {numbers} must name every axis of the shape {p.shape}")
    return numbers
