"""Solve ten fixed problems with gradtx's L-BFGS and with SciPy's L-BFGS-B, and compare them.

Both start at the same point in float64, remember ten pairs, and stop where the Euclidean norm of the gradient is at
most --tol. An evaluation is one of the function with its gradient.
"""

import argparse
import contextlib
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy
from jax import Array
from scipy.optimize import minimize

import gradtx

sys.path.insert(0, str(Path(__file__).parents[1]))
from _digits import CLASSES, load_small_digits

MEMORY = 10
REACH = 1.5  # evaluations, as a multiple of SciPy's
L2 = 1e-3  # of the logistic regression
LIMIT = 20_000  # iterations
QUICK = ("Rosenbrock 2", "Rosenbrock 10", "Beale", "Wood")


class Problem(NamedTuple):
    name: str
    loss: Callable[..., Array]
    start: Array
    args: tuple[Any, ...] = ()


class Solved(NamedTuple):
    value: float
    norm: float
    evaluations: int
    seconds: float
    point: Any


class Reached(Exception):
    """SciPy has evaluated a point where the gradient is small enough."""


def rosenbrock(x: Array) -> Array:
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def beale(x: Array) -> Array:
    powers = jnp.stack([x[1], x[1] ** 2, x[1] ** 3])
    return jnp.sum((jnp.array([1.5, 2.25, 2.625]) - x[0] * (1 - powers)) ** 2)


def wood(x: Array) -> Array:
    a, b, c, d = x
    steep = 100 * (b - a**2) ** 2 + (1 - a) ** 2 + 90 * (d - c**2) ** 2 + (1 - c) ** 2
    return steep + 10.1 * ((b - 1) ** 2 + (d - 1) ** 2) + 19.8 * (b - 1) * (d - 1)


def powell(x: Array) -> Array:
    a, b, c, d = x.reshape(-1, 4).T
    return jnp.sum((a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4)


def quadratic(x: Array, curvature: Array) -> Array:
    return jnp.sum(curvature * (x - 1) ** 2) / 2


def broyden(x: Array) -> Array:
    padded = jnp.pad(x, 1)
    return jnp.sum(((3 - 2 * x) * x - padded[:-2] - 2 * padded[2:] + 1) ** 2)


def logistic(w: Array, images: Array, labels: Array) -> Array:
    logits = images @ w[:-1] + w[-1]
    likelihood = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
    return L2 / 2 * jnp.sum(w[:-1] ** 2) - jnp.mean(likelihood)


def problems(names: tuple[str, ...] | None) -> list[Problem]:
    """All ten, or those of some names."""
    digits = load_small_digits(seed=0)
    images = jnp.asarray(digits.train_images, jnp.float64)
    everything = [
        *(Problem(f"Rosenbrock {n}", rosenbrock, jnp.tile(jnp.array([-1.2, 1.0]), n // 2)) for n in (2, 10, 100, 1000)),
        Problem("Digits, logistic", logistic, jnp.zeros((images.shape[1] + 1, CLASSES)), (images, digits.train_labels)),
        Problem("Beale", beale, jnp.array([1.0, 1.0])),
        Problem("Wood", wood, jnp.array([-3.0, -1.0, -3.0, -1.0])),
        Problem("Powell 100", powell, jnp.tile(jnp.array([3.0, -1.0, 0.0, 1.0]), 25)),
        Problem("Broyden 100", broyden, jnp.full(100, -1.0)),
        Problem("Quadratic 100", quadratic, jnp.zeros(100), (jnp.logspace(0, 4, 100),)),
    ]
    return [p for p in everything if names is None or p.name in names]


def by_gradtx(problem: Problem, tol: float) -> Solved:
    run = lambda: jax.block_until_ready(
        gradtx.solve(
            problem.loss, problem.start, gradtx.lbfgs(memory_size=MEMORY), tol=tol, max_iterations=LIMIT,
            args=problem.args,
        )
    )  # fmt: skip
    run()  # compiles
    begin = time.perf_counter()
    found = run()
    seconds = time.perf_counter() - begin
    return Solved(float(found.value), float(found.gradient_norm), int(found.evaluations), seconds, found.params)


def by_scipy(problem: Problem, tol: float) -> Solved:
    value_and_grad = jax.jit(jax.value_and_grad(problem.loss))
    jax.block_until_ready(value_and_grad(problem.start, *problem.args))  # compiles
    count, best = 0, Solved(np.inf, np.inf, 0, 0.0, problem.start)
    begin = time.perf_counter()

    def evaluate(flat: Any) -> Any:
        nonlocal count, best
        count += 1
        point = jnp.asarray(flat).reshape(problem.start.shape)
        value, grad = value_and_grad(point, *problem.args)
        norm = float(np.linalg.norm(grad))
        best = Solved(float(value), norm, count, time.perf_counter() - begin, point)
        if norm <= tol:
            raise Reached
        return float(value), np.asarray(grad, np.float64).ravel()

    options = dict(maxcor=MEMORY, ftol=0, gtol=0, maxiter=LIMIT, maxfun=2 * LIMIT)
    with contextlib.suppress(Reached):
        minimize(evaluate, np.asarray(problem.start).ravel(), jac=True, method="L-BFGS-B", options=options)
    return best


def same_minimum(ours: Solved, theirs: Solved) -> bool:
    """Whether the values agree to 1e-6, relative to 1 or to the value."""
    return abs(ours.value - theirs.value) <= 1e-6 * max(1.0, abs(theirs.value))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tol", type=float, default=1e-6, help="norm of the gradient at the end")
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    args = parser.parse_args()
    if not args.tol > 0:
        parser.error("argument --tol: wanted a number above 0")
    jax.config.update("jax_enable_x64", True)

    print(f"Machine: {platform.machine()}, {platform.system()}, {os.cpu_count()} cores")
    print(
        f"Versions: gradtx {gradtx.__version__}, JAX {jax.__version__}, SciPy {scipy.__version__}, "
        f"NumPy {np.__version__}, Python {platform.python_version()}"
    )
    print(f"{'':18}{'evaluations':^24}{'value':^26}{'milliseconds':^20}")
    header = f"{'gradtx':>8}{'SciPy':>8}{'ratio':>8}{'gradtx':>13}{'SciPy':>13}{'gradtx':>10}{'SciPy':>10}"
    print(f"{'problem':18}{header}  same minimum")
    ratios: list[float] = []
    for problem in problems(QUICK if args.quick else None):
        ours, theirs = by_gradtx(problem, args.tol), by_scipy(problem, args.tol)
        ratios.append(ours.evaluations / theirs.evaluations)
        print(
            f"{problem.name:18}{ours.evaluations:8}{theirs.evaluations:8}{ratios[-1]:8.2f}{ours.value:13.4g}"
            f"{theirs.value:13.4g}{1e3 * ours.seconds:10.1f}{1e3 * theirs.seconds:10.1f}  "
            f"{'yes' if same_minimum(ours, theirs) else 'no'}"
            f"{'' if max(ours.norm, theirs.norm) <= args.tol else ', not converged'}"
        )
    within = sum(ratio <= REACH for ratio in ratios)
    print(
        f"Within {REACH} times SciPy's evaluations: {within} of {len(ratios)}; the largest ratio is {max(ratios):.2f}"
    )


if __name__ == "__main__":
    main()
