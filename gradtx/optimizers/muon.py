"""Muon: momentum whose matrices are orthogonalised by Newton-Schulz iterations."""

from collections.abc import Callable
from math import sqrt
from typing import Annotated, Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from gradtx.combine.descend import descend
from gradtx.combine.optimizer import optimizer
from gradtx.combine.partition import partition
from gradtx.core import precision
from gradtx.core.arguments import OneOf
from gradtx.core.averages import debias, ema
from gradtx.core.degree import LINEAR, SCALE_FREE, Degrees
from gradtx.core.errors import is_none
from gradtx.core.fields import Count
from gradtx.core.hyperparameters import Decay, NonNegative, NonNegativeNumber, OptionalDType, PositiveInt
from gradtx.core.leafwise import Leafwise, leafwise
from gradtx.core.slots import Slot
from gradtx.core.transformation import GradientTransformation, transformation
from gradtx.core.typing import Arguments, Array, ArrayLike, PyTree
from gradtx.linalg.coefficients import Coefficients, Orthogonaliser, Preconditioning
from gradtx.linalg.dimensions import Dimensions
from gradtx.linalg.matrices import matrices, resolve_dimensions
from gradtx.linalg.newton_schulz import as_tuples, orthogonalise
from gradtx.optimizers.adam import adam
from gradtx.transforms.decay import DecayKind

ShapeFactor: TypeAlias = Annotated[str, OneOf("none", "width", "spectral")]
"""What an orthogonal direction is multiplied by."""


class MuonState(NamedTuple):
    count: Count  # steps taken, int32
    mu: Slot  # running average of g


def muon_rule(
    g: Array, s: MuonState, *, beta: ArrayLike, nesterov: bool, bias_correction: bool, is_matrix: bool,
    orthogonaliser: Callable[[Array], Array] | None, ns_coeffs: Any, ns_steps: int | None, preconditioning: str,
    eps: ArrayLike, ns_precision: Any, adaptive: bool, shape_factor: str, consistent_rms: ArrayLike | None,
) -> tuple[Array, MuonState]:  # fmt: skip
    """mu <- beta mu + (1 - beta) g; u <- kappa orthogonalise(mu), where g is a matrix; see `scale_by_muon`."""
    mu = ema(s.mu, g, beta)
    if not bias_correction:
        u = ema(mu, g, beta) if nesterov else mu
    elif not nesterov:
        u = debias(mu, beta, s.count)
    else:
        u = beta * debias(mu, beta, s.count + 1) + (1 - beta) * debias(g, beta, s.count)
    s = s._replace(mu=mu)
    if not is_matrix:
        return u, s
    x = u if ns_precision is None or jnp.iscomplexobj(u) else precision.cast(u, ns_precision)
    if orthogonaliser is None:
        o = orthogonalise(x, ns_coeffs, ns_steps, preconditioning=preconditioning, eps=eps)
    else:
        o = orthogonaliser(x)
    o = precision.cast(o, u.dtype)
    if adaptive:
        o = o * precision.cast(jnp.sum((u.conj() * o).real), u.dtype)
    m, n = g.shape
    return o * precision.number_in(shape_factor_of(m, n, shape_factor, consistent_rms), u.dtype), s


def shape_factor_of(m: int, n: int, shape_factor: str, consistent_rms: Any) -> Any:
    """The number that an orthogonal direction from m inputs to n outputs is multiplied by."""
    if consistent_rms is not None:
        return consistent_rms * sqrt(max(m, n))
    ratio = n / max(1, m)
    return {"none": 1.0, "width": sqrt(max(1.0, ratio)), "spectral": sqrt(ratio)}[shape_factor]


def muon_degree(arguments: Arguments) -> Degrees:
    """Scale-free for matrices; leaves that are none keep their average."""
    if arguments["orthogonaliser"] is not None or arguments["weight_dimension_numbers"] is not None:
        return None
    return LINEAR if arguments["adaptive"] else SCALE_FREE


@transformation(degree=muon_degree)
def scale_by_muon(
    ns_coeffs: Coefficients = "keller", ns_steps: PositiveInt | None = None, beta: Decay = 0.95,
    eps: NonNegativeNumber = 1e-8, *, nesterov: bool = True, bias_correction: bool = True, adaptive: bool = False,
    preconditioning: Preconditioning = "frobenius", orthogonaliser: Orthogonaliser = None,
    shape_factor: ShapeFactor = "none", consistent_rms: NonNegativeNumber | None = None,
    weight_dimension_numbers: Dimensions | None = None, ns_precision: OptionalDType = None,
) -> Leafwise:  # fmt: skip
    """Orthogonalise the averaged gradient of every matrix.

    Per matrix from m inputs to n outputs, at step t = 1, 2, ...:

        mu <- beta mu + (1 - beta) g
        u  <- mu / (1 - beta^t), with `nesterov` beta mu / (1 - beta^(t+1)) + (1 - beta) g / (1 - beta^t)
        u  <- kappa orthogonalise(u), times <u, orthogonalise(u)> with `adaptive`

    Args:
        ns_coeffs: a name such as "polar_express", (a, b, c), or one triple per step; see `orthogonalise`.
        ns_steps: Newton-Schulz steps >= 1; None: five, or one per triple.
        beta: in [0, 1), decay of the average of g.
        eps: at least 0, added to the Frobenius norm.
        nesterov: whether to look one step ahead.
        bias_correction: without it u is mu, or beta mu + (1 - beta) g: the form of the original code.
        adaptive: scale by the dual norm (Bernstein & Newhouse 2024, arXiv:2409.20325).
        preconditioning: "frobenius", "spectral", "aol" or "schatten".
        orthogonaliser: takes the place of Newton-Schulz: a function of one matrix (m, n), with static numbers.
        shape_factor: kappa: "none" 1; "width" sqrt(max(1, n / m)), the original's; "spectral" sqrt(n / m).
        consistent_rms: where given, kappa is this times sqrt(max(m, n)) (0.2 in arXiv:2502.16982).
        weight_dimension_numbers: None: every leaf is a kernel (in, out). Else which leaves are matrices, as in `muon`;
            those that are not keep their averaged gradient.
        ns_precision: the dtype of the iterations; bfloat16 is usual on accelerators.

    State: `MuonState(count, mu)`, one value per parameter; those of matrices of one shape are kept in a stack.

    Source: Jordan et al. 2024 (kellerjordan.github.io/posts/muon); differs: the average is debiased, as in Optax.
    """
    return leafwise(
        muon_rule, MuonState, layout=matrices(weight_dimension_numbers), beta=beta, nesterov=nesterov,
        bias_correction=bias_correction, orthogonaliser=orthogonaliser, ns_coeffs=as_tuples(ns_coeffs),
        ns_steps=ns_steps, preconditioning=preconditioning, eps=eps, ns_precision=ns_precision, adaptive=adaptive,
        shape_factor=shape_factor, consistent_rms=consistent_rms,
    )  # fmt: skip


@optimizer(scale_by_muon)
def muon(
    learning_rate: NonNegative, ns_coeffs: Coefficients = "keller", ns_steps: PositiveInt | None = None,
    beta: Decay = 0.95, eps: NonNegativeNumber = 1e-8, *, nesterov: bool = True, bias_correction: bool = True,
    adaptive: bool = False, preconditioning: Preconditioning = "frobenius", orthogonaliser: Orthogonaliser = None,
    shape_factor: ShapeFactor = "width", consistent_rms: NonNegativeNumber | None = None,
    weight_dimension_numbers: Dimensions | None = None, weight_decay: DecayKind = None,
    adam_learning_rate: NonNegative | None = None, adam_b1: Decay = 0.9, adam_b2: Decay = 0.999,
    adam_eps: NonNegative = 1e-8, adam_eps_root: NonNegative = 0.0, adam_weight_decay: DecayKind = None,
    ns_precision: OptionalDType = None,
) -> GradientTransformation:  # fmt: skip
    """Muon for matrices, Adam for all other leaves.

    Matrices: theta <- theta - eta kappa (orthogonalised momentum), as `scale_by_muon` says. By default every leaf of
    two axes is one; embeddings and the head are better left to Adam, and kernels of more axes given to Muon:
    `weight_dimension_numbers={"embed/**": None, "head/**": None, "**/qkv": DimensionNumbers(0, (1, 2)), "**": "auto"}`.

    Args:
        learning_rate: eta >= 0; 0.02 with `shape_factor="width"`, Adam's own with `consistent_rms=0.2`.
        nesterov: look one step ahead, in Adam too (as in Optax).
        weight_dimension_numbers: which leaves are matrices: a tree or a prefix of one, a function of the parameters, or
            patterns, of `DimensionNumbers`, None (Adam's) or `"auto"`.
        weight_decay: of the matrices: None, a strength (decoupled) or a kind; see `descend`.
        adam_learning_rate: Adam's; by default `learning_rate`.
        adam_b1: in [0, 1), Adam's.
        adam_b2: in [0, 1), Adam's.
        adam_eps: at least 0, Adam's.
        adam_eps_root: at least 0, Adam's.
        adam_weight_decay: of the leaves that Adam has.

    State: `PartitionState` with the parts "muon" (one value per parameter) and "adam" (two).

    Source: Jordan et al. 2024 (kellerjordan.github.io/posts/muon); Liu et al. 2025, arXiv:2502.16982.
    """

    def labels(tree: PyTree) -> PyTree:
        found = resolve_dimensions("muon", weight_dimension_numbers, tree, all_used=True)
        names = ["adam" if number is None else "muon" for number in found]
        return jax.tree.unflatten(jax.tree.structure(tree, is_leaf=is_none), names)

    direction = scale_by_muon(
        ns_coeffs, ns_steps, beta, eps, nesterov=nesterov, bias_correction=bias_correction, adaptive=adaptive,
        preconditioning=preconditioning, orthogonaliser=orthogonaliser, shape_factor=shape_factor,
        consistent_rms=consistent_rms, weight_dimension_numbers=weight_dimension_numbers, ns_precision=ns_precision,
    )  # fmt: skip
    rest = adam(
        learning_rate if adam_learning_rate is None else adam_learning_rate, adam_b1, adam_b2, adam_eps,
        eps_root=adam_eps_root, nesterov=nesterov, weight_decay=adam_weight_decay,
    )  # fmt: skip
    return partition({"muon": descend(direction, learning_rate, weight_decay), "adam": rest}, labels)
