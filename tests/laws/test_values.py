"""Laws 1 to 5: a transformation is a value that can be jitted, stacked and differentiated."""

import copy
import pickle

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx
from tests.catalogue import FIRST, every_row, every_transformation, parametrized
from tests.rows import combinators, simple
from tests.support import FEW, at, make_grads, make_params, nudged, plain, stacked, train

STEPS = 4
NAMESPACE = (
    {name: getattr(gradtx, name) for name in dir(gradtx)}
    | combinators.FUNCTIONS
    | {
        "jax": jax,
        "jnp": jnp,
        "hyperbola": simple.hyperbola,
    }
)


def skip_exempt(row, law):
    if law in row.exempt:
        pytest.skip(f"{row.id}: {row.exempt[law]}")


@every_row
def test_equal_arguments_make_equal_values(row):
    again = eval(repr(row.tx), NAMESPACE)
    assert again == row.tx
    assert hash(again) == hash(row.tx)
    assert repr(again) == repr(row.tx)
    for path in gradtx.hyperparameters(row.tx):
        name = path.rpartition(".")[2].partition("[")[0]
        assert f"{name}=" in repr(row.tx) or name == "links", f"{path} is not shown"
    if any(isinstance(h, float) for h in jax.tree.leaves(row.tx)):
        assert nudged(row.tx, 1) != row.tx
    assert jax.tree.unflatten(jax.tree.structure(row.tx), jax.tree.leaves(row.tx)) == row.tx


@every_row
def test_pickles(row):
    assert pickle.loads(pickle.dumps(row.tx)) == row.tx
    assert copy.deepcopy(row.tx) == row.tx


@every_row
def test_pickles_by_value(row):
    cloudpickle = pytest.importorskip("cloudpickle")
    assert cloudpickle.loads(cloudpickle.dumps(row.tx)) == row.tx


@parametrized(FIRST)
def test_one_trace_for_all_hyperparameters(row):
    skip_exempt(row, "jit")
    params, grads = make_params(shapes=FEW), at(make_grads(1, shapes=FEW), 0)
    state = row.tx.init(params)
    chex.clear_trace_counter()

    @jax.jit
    @chex.assert_max_traces(n=1)
    def step(tx, params, state, grads):
        extra = row.extra(params, grads) if row.extra else {}
        updates, state = tx.update(grads, state, params, **extra)
        return gradtx.apply_updates(params, updates), state

    for k in range(3):  # traced, as a call would be, but neither compiled nor run
        params, state = step.trace(nudged(row.tx, k), params, state, grads).out_info


@every_transformation
def test_stacked_and_closed_over_are_equal(row):
    """A value among stacked ones under vmap, neither the first nor the last, and closed over: one run, to rounding."""
    skip_exempt(row, "vmap")
    with jax.enable_x64(True):
        params, grads = make_params(jnp.float64, shapes=FEW), make_grads(STEPS, jnp.float64, shapes=FEW)
        run = lambda tx: plain(train(tx, params, grads, row.extra))
        txs = [nudged(row.tx, 1), row.tx, nudged(row.tx, 2)]
        both = jax.jit(lambda tx: (at(jax.vmap(run, axis_size=3)(tx), 1), run(row.tx)))
        chex.assert_trees_all_close(*both(stacked(txs)), rtol=1e-8, atol=1e-10)


def split_floats(tx):
    """The floating hyperparameters, and the rest, of a transformation."""
    leaves, treedef = jax.tree.flatten(tx)
    floats = [x if isinstance(x, float) else None for x in leaves]
    return floats, (treedef, [None if isinstance(x, float) else x for x in leaves])


def merge(floats, rest):
    treedef, others = rest
    return treedef.unflatten([y if x is None else x for x, y in zip(floats, others, strict=True)])
