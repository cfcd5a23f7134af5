"""The sets that the projections project onto, each described again for the tests."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from gradtx import projections

N = 5
A = np.array([1.0, -2.0, 0.5, 0.0, 3.0])
LOWER, UPPER = np.array([-1.0, 0.0, 0.5, -3.0, 0.0]), np.array([1.0, 0.25, 0.5, 3.0, 2.0])


class Set(NamedTuple):
    """One set in R^5."""

    project: Callable[[Any], Any]
    residual: Callable[[np.ndarray], Any]  # by how much a point is outside, 0 within
    near: Callable[[np.ndarray], np.ndarray]  # some point of the set for each point of the space
    oracle: Callable[[np.ndarray], np.ndarray] | None = None  # the projection, by a quadratic programme
    convex: bool = True


def programme(bounds=None, constraints=(), start=None):
    """argmin ||y - x||^2 under constraints, by sequential least squares."""

    def solve(x):
        return minimize(
            lambda y: 0.5 * np.sum((y - x) ** 2),
            np.zeros(N) if start is None else start,
            jac=lambda y: y - x,
            bounds=bounds,
            constraints=constraints,
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 500},
        ).x

    return solve


def l1_programme(scale):
    """The l1 ball as a smooth programme: y = p - q with p, q >= 0 and sum(p + q) <= scale."""

    def solve(x):
        objective = lambda z: 0.5 * np.sum((z[:N] - z[N:] - x) ** 2)
        slope = lambda z: np.concatenate([z[:N] - z[N:] - x, -(z[:N] - z[N:] - x)])
        inside = {"type": "ineq", "fun": lambda z: scale - np.sum(z), "jac": lambda z: -np.ones(2 * N)}
        options = {"ftol": 1e-12, "maxiter": 500}
        z = minimize(objective, np.zeros(2 * N), jac=slope, bounds=[(0, None)] * 2 * N, constraints=inside,
                     method="SLSQP", options=options).x  # fmt: skip
        return z[:N] - z[N:]

    return solve


def equal(f, slope):
    return {"type": "eq", "fun": f, "jac": slope}


def at_least_zero(f, slope):
    return {"type": "ineq", "fun": f, "jac": slope}


def ones(y):
    return np.ones_like(y)


SETS = {
    "simplex": Set(
        lambda x: projections.projection_simplex(x, 2.0),
        lambda y: abs(np.sum(y) - 2) + np.sum(np.maximum(-y, 0)),
        lambda r: 2 * np.abs(r) / np.sum(np.abs(r)),
        programme([(0, None)] * N, equal(lambda y: np.sum(y) - 2, ones)),
    ),
    "l1_ball": Set(
        lambda x: projections.projection_l1_ball(x, 1.5),
        lambda y: max(np.sum(np.abs(y)) - 1.5, 0),
        lambda r: 1.5 * r / max(1.5, np.sum(np.abs(r))),
        l1_programme(1.5),
    ),
    "l1_sphere": Set(
        lambda x: projections.projection_l1_sphere(x, 1.5),
        lambda y: abs(np.sum(np.abs(y)) - 1.5),
        lambda r: 1.5 * r / np.sum(np.abs(r)),
        convex=False,
    ),
    "l2_ball": Set(
        lambda x: projections.projection_l2_ball(x, 1.5),
        lambda y: max(np.linalg.norm(y) - 1.5, 0),
        lambda r: 1.5 * r / max(1.5, np.linalg.norm(r)),
        programme(constraints=at_least_zero(lambda y: 1.5**2 - y @ y, lambda y: -2 * y)),
    ),
    "l2_sphere": Set(
        lambda x: projections.projection_l2_sphere(x, 1.5),
        lambda y: abs(np.linalg.norm(y) - 1.5),
        lambda r: 1.5 * r / np.linalg.norm(r),
        convex=False,
    ),
    "linf_ball": Set(
        lambda x: projections.projection_linf_ball(x, 1.5),
        lambda y: max(np.max(np.abs(y)) - 1.5, 0),
        lambda r: 1.5 * r / max(1.5, np.max(np.abs(r))),
        programme([(-1.5, 1.5)] * N),
    ),
    "box": Set(
        lambda x: projections.projection_box(x, jnp.asarray(LOWER), jnp.asarray(UPPER)),
        lambda y: np.sum(np.maximum(LOWER - y, 0) + np.maximum(y - UPPER, 0)),
        lambda r: LOWER + (UPPER - LOWER) / (1 + r**2),
        programme(list(zip(LOWER, UPPER, strict=True)), start=LOWER),
    ),
    "hypercube": Set(
        lambda x: projections.projection_hypercube(x, 0.75),
        lambda y: np.sum(np.maximum(-y, 0) + np.maximum(y - 0.75, 0)),
        lambda r: 0.75 / (1 + r**2),
        programme([(0, 0.75)] * N),
    ),
    "non_negative": Set(
        projections.projection_non_negative,
        lambda y: np.sum(np.maximum(-y, 0)),
        np.abs,
        programme([(0, None)] * N),
    ),
    "vector": Set(
        lambda x: projections.projection_vector(x, jnp.asarray(A)),
        lambda y: np.linalg.norm(y * (A @ A) - A * (A @ y)) / (A @ A),
        lambda r: A * r[0],
        lambda x: A * minimize(lambda c: np.sum((c * A - x) ** 2), 0.0, tol=1e-12).x,
    ),
    "hyperplane": Set(
        lambda x: projections.projection_hyperplane(x, jnp.asarray(A), 0.5),
        lambda y: abs(A @ y - 0.5) / np.linalg.norm(A),
        lambda r: np.append(r[:-1], (0.5 - A[:-1] @ r[:-1]) / A[-1]),
        programme(constraints=equal(lambda y: A @ y - 0.5, lambda y: A)),
    ),
    "halfspace": Set(
        lambda x: projections.projection_halfspace(x, jnp.asarray(A), 0.5),
        lambda y: max(A @ y - 0.5, 0) / np.linalg.norm(A),
        lambda r: np.append(r[:-1], (0.5 - A[:-1] @ r[:-1]) / A[-1] - r[-1] ** 2),
        programme(constraints=at_least_zero(lambda y: 0.5 - A @ y, lambda y: -A)),
    ),
}


def compiled(name):
    """The projection of a vector of five float64 numbers, compiled once."""
    if name not in _COMPILED:
        _COMPILED[name] = jax.jit(SETS[name].project)
    return lambda x: np.asarray(_COMPILED[name](np.asarray(x, np.float64)))


_COMPILED: dict[str, Any] = {}
