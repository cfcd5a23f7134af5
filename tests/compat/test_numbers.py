"""100 steps of each transformation give Optax's numbers to rounding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx.compat.optax as ours
from gradtx.compat.optax import config
from tests.compat.rows import ROWS

pytestmark = pytest.mark.slow

theirs = pytest.importorskip("optax")

STEPS = 100
SHAPES = {"w": (4, 3), "b": (4,), "s": (1,)}


def random_tree(seed, *leading):
    rng = np.random.default_rng(seed)
    return {k: jnp.asarray(rng.standard_normal((*leading, *shape)), jnp.float32) for k, shape in SHAPES.items()}


PARAMS = random_tree(0)
GRADIENTS = random_tree(1, STEPS)
VALUES = 1 + jnp.square(random_tree(2, STEPS)["s"][:, 0])


def run(module, tx):
    """All updates, and the last state."""
    tx = module.with_extra_args_support(tx)

    def step(carry, given):
        params, state = carry
        gradients, value = given
        updates, state = tx.update(gradients, state, params, value=value)
        return (module.apply_updates(params, updates), state), updates

    @jax.jit
    def steps(params):
        (_, state), updates = jax.lax.scan(step, (params, tx.init(params)), (GRADIENTS, VALUES))
        return updates, state

    return steps(PARAMS)


def largest_difference(x, y):
    """The largest difference of two trees, each leaf relative to its largest element."""

    def plain(x):
        data = jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
        return np.asarray(data).astype(np.float64)

    def of(a, b):
        a, b = plain(a), plain(b)
        return np.max(np.abs(a - b), initial=0) / max(np.max(np.abs(b), initial=0), 1e-30)

    return max(jax.tree.leaves(jax.tree.map(of, x, y)), default=0)


@pytest.mark.parametrize("row", [row for row in ROWS if row.numbers], ids=lambda row: row.name)
def test_numbers(row):
    with jax.numpy_dtype_promotion("standard"):
        wanted = run(theirs, row.build(theirs))
    with config.reproducing_optax(bool(row.differs)):
        got = run(ours, row.build(ours))
    assert jax.tree.map(jnp.shape, got[0]) == jax.tree.map(jnp.shape, wanted[0])
    wanted_leaves = [jax.tree.leaves(tree) for tree in wanted]
    assert largest_difference([jax.tree.leaves(tree) for tree in got], wanted_leaves) < row.rtol


@pytest.mark.parametrize("row", [row for row in ROWS if row.differs and row.numbers], ids=lambda row: row.name)
def test_deviations_are_off_by_default(row):
    with jax.numpy_dtype_promotion("standard"):
        wanted, _ = run(theirs, row.build(theirs))
    got, _ = run(ours, row.build(ours))
    assert largest_difference(got, wanted) > 1e-3
