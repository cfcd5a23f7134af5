"""Training of every optimizer, in one go or from a checkpoint; run as a program it resumes one in its own process."""

import sys
from functools import cache
from pathlib import Path

import tests.conftest  # noqa: F401  # pyright: ignore[reportUnusedImport]  # isort: skip  # sets JAX up as in the tests
import jax
import numpy as np
import orbax.checkpoint as ocp

import gradtx
from tests.catalogue import FIRST
from tests.support import FEW, at, make_grads, make_params, plain

HALF = 10


@cache
def rows():
    """The first row of each optimizer and wrapper, by a name of its own for each."""
    kept = [row for row in FIRST if row.tx.maker.__module__.split(".")[1] in ("optimizers", "wrappers")]
    return {f"{i}-{row.id}": row for i, row in enumerate(kept) if not row.tx.name.startswith("scale_by_")}


@cache
def step_of(name):
    """One jitted step of an optimizer."""
    row = rows()[name]

    @jax.jit
    def step(params, state, g):
        return gradtx.step(row.tx, params, state, g, **(row.extra(params, g) if row.extra else {}))

    return step


def steps(name, begin, end, params, state):
    """Parameters and state after the steps from `begin` to `end`."""
    grads = make_grads(2 * HALF, shapes=FEW)
    for i in range(begin, end):
        params, state = step_of(name)(params, state, at(grads, i))
    return params, state


def bits(tree):
    """Every leaf's bytes."""
    return [np.asarray(x).tobytes() for x in jax.tree.leaves(plain(tree))]


def start(row):
    """Parameters and state before the first step."""
    params = make_params(shapes=FEW)
    return params, row.tx.init(params)


def resume(folder):
    """Restore all optimizers, take the last steps, and save what they end with."""
    shapes = jax.tree.map(ocp.utils.to_shape_dtype_struct, {name: start(row) for name, row in rows().items()})
    with ocp.StandardCheckpointer() as checkpointer:
        restored = checkpointer.restore(folder / "half", shapes)
    ends = {name: bits(steps(name, HALF, 2 * HALF, *half)) for name, half in restored.items()}
    np.save(folder / "ends.npy", np.array([ends], dtype=object))


if __name__ == "__main__":
    resume(Path(sys.argv[1]))
