"""Float64 NumPy oracles, typed from the papers.

An oracle is `(theta, grads, *, hyperparameters by name) -> updates of each step`, for `theta` a list of leaves and
`grads` a list, over steps, of such lists. `leafwise` lifts one that sees a single leaf. Parameters follow
theta <- theta + update between steps.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

Leaf = np.ndarray


def leafwise(oracle: Callable[..., Any]) -> Callable[..., Any]:
    """Lift `(theta, grads of one leaf, **hyper)`, a generator that yields each update, to lists of leaves.

    The generator gets a one-element list for theta, whose element is the parameter at the step being taken.
    """

    @wraps(oracle)
    def lifted(theta: list[Leaf], grads: list[list[Leaf]], **hyper: Any) -> list[list[Leaf]]:
        columns = [run(oracle, [p], [[g[i]] for g in grads], hyper) for i, p in enumerate(theta)]
        return [[column[t][0] for column in columns] for t in range(len(grads))]

    return lifted


def run(oracle: Callable[..., Any], theta: list[Leaf], grads: list[list[Leaf]], hyper: dict[str, Any]) -> list[Any]:
    """Drive a generator oracle on one leaf, moving its parameter by each update."""
    theta = [np.array(p) for p in theta]
    out: list[Any] = []
    for u in oracle(theta, (g[0] for g in grads), **hyper):
        u = np.broadcast_to(u, theta[0].shape)
        out.append([u])
        theta[0] = theta[0] + u
    return out


def whole_tree(oracle: Callable[..., Any]) -> Callable[..., Any]:
    """Drive a generator oracle that sees all leaves: it yields a list of updates per step; theta is kept current."""

    @wraps(oracle)
    def lifted(theta: list[Leaf], grads: list[list[Leaf]], **hyper: Any) -> list[list[Leaf]]:
        theta = [np.array(p) for p in theta]
        out: list[list[Leaf]] = []
        for us in oracle(theta, iter(grads), **hyper):
            out.append(list(us))
            theta[:] = [p + u for p, u in zip(theta, us, strict=True)]
        return out

    return lifted


def call(oracle: Callable[..., Any], theta: list[Leaf], grads: list[list[Leaf]], arguments: dict[str, Any]) -> Any:
    """Call an oracle with those of a transformation's arguments that it names."""
    names = inspect.signature(oracle).parameters
    return oracle(theta, grads, **{k: v for k, v in arguments.items() if k in names})


def descent(direction: Callable[..., Any]) -> Callable[..., Any]:
    """The oracle of an optimizer from that of its direction u: theta <- theta - eta (u + lambda theta)."""
    generator = direction.__wrapped__
    parameters = inspect.signature(generator).parameters

    def oracle(theta: list[Leaf], grads: Any, learning_rate: float, weight_decay: float | None, **hyper: Any) -> Any:
        for u in generator(theta, grads, **hyper):
            yield -learning_rate * (u + (weight_decay or 0) * theta[0])

    own = list(inspect.signature(oracle).parameters.values())[:4]
    oracle.__signature__ = inspect.Signature(own + [p for p in parameters.values() if p.name not in ("theta", "grads")])
    return leafwise(oracle)
