"""Newton-Schulz iterations: the orthogonal factor of a matrix by matrix products alone."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.core import precision
from gradtx.core.averages import abs_sq, safe_divide, sqrt
from gradtx.core.typing import Array

PRECONDITIONINGS = ("frobenius", "spectral", "aol", "schatten")


def _cushioned(coefficients: list[tuple[float, float, float]], s: float) -> list[tuple[float, float, float]]:
    """Coefficients of p(x / s): singular values that rounding lifts above 1 stay in range."""
    return [(a / s, b / s**3, c / s**5) for a, b, c in coefficients]


CONVERGENT = (1.875, -1.25, 0.375)
"""The quintic that converges to 1 with order three from anywhere in (0, 1]."""

COEFFICIENTS: dict[str, list[tuple[float, float, float]]] = {
    # Jordan et al. 2024, the original Muon: five equal steps, singular values 0.68 to 1.13.
    "keller": [(3.4445, -4.7750, 2.0315)] * 5,
    # Ahn et al. 2025, arXiv:2504.05295.
    "dion": [
        (4.0848, -6.8946, 2.9270), (3.9505, -6.3029, 2.6377), (3.7418, -5.5913, 2.3037),
        (2.8769, -3.1427, 1.2046), (2.8366, -3.0525, 1.2012),
    ],
    # Amsel et al. 2025, arXiv:2505.16932, with the authors' cushion of 1 %.
    "polar_express": _cushioned(
        [
            (8.28721201814563, -23.595886519098837, 17.300387312530933),
            (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
            (3.9486908534822946, -2.908902115952949, 0.5518191394370137),
            (3.3184196573706015, -2.488488024314874, 0.51004894012372),
            (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
        ],
        1.01,
    ),
    # The same method with a cushion of 2 % in the optimisation itself.
    "polar_express_2": _cushioned(
        [
            (8.156554524902461, -22.48329292557795, 15.878769915207462),
            (4.042929935166739, -2.808917465908714, 0.5000178451051316),
            (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
            (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
            (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
        ],
        1.0,
    ),
    # Grishina et al. 2025, arXiv:2506.10935.
    "cans": [
        (8.4703, -25.1081, 18.6293), (4.1828, -3.1087, 0.5806), (3.9619, -2.9541, 0.5630),
        (3.2866, -2.4647, 0.5074), (2.2737, -1.6447, 0.4162),
    ],
    # Boissin et al. 2025, arXiv:2512.04632: four steps, made for preconditioning="aol".
    "turbo": [
        (4.0098, -7.0585, 2.4635), (3.4585, -5.5479, 2.5959), (2.7573, -3.2939, 1.4254), (2.7215, -3.0494, 1.3169),
    ],
    # Eight fast steps and two that converge: singular values within 0.05 % of 1.
    "exact": [(3.4445, -4.7750, 2.0315)] * 8 + [(2.0, -1.5, 0.5)] * 2,
}  # fmt: skip
"""Coefficients (a, b, c) of each step, by name."""


def orthogonalise(
    x: Array, coefficients: Any = "keller", steps: int | None = None, *, preconditioning: str = "frobenius",
    eps: Any = 1e-8,
) -> Array:  # fmt: skip
    """Push the singular values of matrices towards 1: U S V^H becomes about U V^H.

    From X = x / (||x||_F + eps), in the orientation with fewer rows than columns, repeat

        A <- X X^H
        X <- a X + (b A + c A^2) X

    Args:
        x: of shape (..., m, n), real or complex; leading axes count matrices.
        coefficients: a name in `COEFFICIENTS`, one triple (a, b, c) for all steps, or a sequence of triples.
        steps: how many; by default one for each triple, five for a single one. Further steps than triples use
            `CONVERGENT`, fewer use the first ones.
        preconditioning: what X is divided by at first: "frobenius", its Frobenius norm; "schatten", its Schatten-4
            norm; "spectral", its largest singular value (an SVD); "aol", each row by the root of its sum in |X X^H|,
            which also changes U V^H a little.
        eps: at least 0, added to the Frobenius norm; the other three do not depend on the scale of x at all.

    Returns:
        An array like `x`. Zero matrices stay zero. The loop is rolled: memory does not grow with `steps`.

    Raises:
        ValueError: fewer than two axes, an unknown name, or coefficients that are not triples.

    Source: Björck & Bowie 1971; Jordan et al. 2024 for the fast coefficients.
    """
    if x.ndim < 2:
        raise ValueError(f"orthogonalise: wanted matrices, of shape (..., m, n), got {x.shape}")
    rows = coefficient_rows(coefficients, steps, x.dtype)
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = _preconditioned(x, preconditioning, eps)
    x, _ = jax.lax.scan(lambda x, abc: (_step(x, abc), None), x, rows)
    return x.mT if tall else x


def triples(coefficients: Any) -> Any:
    """The numbers of coefficients, one triple or rows of them: in NumPy, or in JAX where some are arrays of it.

    Raises:
        ValueError: an unknown name, or coefficients that are not triples of finite numbers.
    """
    if isinstance(coefficients, str):
        if coefficients not in COEFFICIENTS:
            known = ", ".join(COEFFICIENTS)
            raise ValueError(f"orthogonalise: coefficients must be triples or one of {known}, got {coefficients!r}")
        coefficients = COEFFICIENTS[coefficients]
    in_jax = any(isinstance(x, jax.Array) for x in jax.tree.leaves(coefficients))
    try:
        table: Any = jnp.asarray(coefficients) if in_jax else np.asarray(coefficients)
    except (TypeError, ValueError):
        raise ValueError(f"orthogonalise: coefficients must be numbers, got {coefficients!r}") from None
    if not in_jax and not (np.issubdtype(table.dtype, np.number) and np.isfinite(table).all()):
        raise ValueError(f"orthogonalise: coefficients must be finite numbers, got {coefficients!r}")
    if table.ndim not in (1, 2) or table.shape[-1] != 3 or not table.size:
        raise ValueError(f"orthogonalise: coefficients must be (a, b, c) or a sequence of them, got {coefficients!r}")
    return table


def as_tuples(coefficients: Any) -> Any:
    """Coefficients as a name, or as a triple of numbers or a tuple of such triples."""
    if isinstance(coefficients, str) or (not isinstance(coefficients, list | tuple) and np.ndim(coefficients) == 0):
        return coefficients
    return tuple(map(as_tuples, coefficients))


def coefficient_rows(coefficients: Any, steps: int | None, dtype: Any) -> Array:
    """The coefficients of each step, one row per step."""
    table = precision.cast(triples(coefficients), dtype)
    if table.ndim == 1:
        return jnp.tile(table, (5 if steps is None else steps, 1))
    missing = 0 if steps is None else max(0, steps - len(table))
    return jnp.concatenate([table[:steps], jnp.tile(jnp.asarray(CONVERGENT, dtype), (missing, 1))])


def _step(x: Array, abc: Array) -> Array:
    """a X + (b A + c A^2) X with A = X X^H."""
    gram = x @ x.mT.conj()
    return abc[0] * x + (abc[1] * gram + abc[2] * (gram @ gram)) @ x


def _preconditioned(x: Array, how: str, eps: Any) -> Array:
    """X scaled so that no singular value exceeds 1."""
    if how not in PRECONDITIONINGS:
        raise ValueError(f"orthogonalise: preconditioning must be one of {', '.join(PRECONDITIONINGS)}, got {how!r}")
    norm = frobenius_norm(x)
    if how == "frobenius":
        return over(x, norm + precision.number_in(eps, norm.dtype))
    x = over(x, norm)  # the others are taken from a matrix of norm 1, where nothing overflows
    if how == "spectral":
        return over(x, jnp.linalg.norm(x, ord=2, axis=(-2, -1), keepdims=True))
    gram = x @ x.mT.conj()
    if how == "aol":
        return over(x, sqrt(jnp.sum(jnp.abs(gram), axis=-1, keepdims=True)))
    return over(x, sqrt(frobenius_norm(gram)))


def frobenius_norm(x: Array) -> Array:
    """The Frobenius norm of matrices, shape (..., 1, 1); no square overflows, and its gradient at zero is zero."""
    peak = jax.lax.stop_gradient(jnp.max(jnp.abs(x), axis=(-2, -1), keepdims=True, initial=0))
    return peak * sqrt(jnp.sum(abs_sq(over(x, peak)), axis=(-2, -1), keepdims=True))


def over(x: Array, y: Array) -> Array:
    """x / y for a real y, and zero where y is zero."""
    return safe_divide(x, precision.cast(y, x.dtype))
