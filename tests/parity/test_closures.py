"""`equinox.internal.closure_to_pytree`: the closures of pairs become pytrees that compare by what they close over."""

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx.compat.optax as optax
from tests.compat.rows import ROWS

pytestmark = pytest.mark.slow

eqx = pytest.importorskip("equinox")

from equinox.internal import closure_to_pytree  # noqa: E402

PARAMS = {"w": jnp.ones((4, 3)), "b": jnp.zeros(4), "s": jnp.zeros(1)}


def static_part(tx):
    """All of a pair but its arrays, hashable as `filter_jit` needs it."""
    leaves, treedef = jax.tree.flatten(eqx.filter(closure_to_pytree(tx), eqx.is_array, inverse=True))
    return tuple(leaves), treedef


@pytest.mark.parametrize("row", [row for row in ROWS if "MultiSteps" not in row.name], ids=lambda row: row.name)
def test_equal_calls_do_not_trace_again(row):
    """(Those of `MultiSteps` do, as Optax's: it is an object.)"""
    first, again = static_part(row.build(optax)), static_part(row.build(optax))
    assert first == again
    assert hash(first[0]) == hash(again[0])


@pytest.mark.parametrize("row", [row for row in ROWS if row.numbers], ids=lambda row: row.name)
def test_the_converted_pair_is_the_same(row):
    tx = row.build(optax)

    def first_step(tx):
        state = tx.init(PARAMS)
        return optax.GradientTransformationExtraArgs(*tx).update(PARAMS, state, PARAMS, value=jnp.ones(()))

    init, update = closure_to_pytree(tx)
    converted = jax.eval_shape(lambda: first_step(type(tx)(init, update)))
    chex.assert_trees_all_equal_shapes_and_dtypes(jax.eval_shape(lambda: first_step(tx)), converted)


def closing_over(rate):
    return lambda count: rate / (count + 1)


MAKERS = {
    "a rate": lambda rate: optax.adam(rate),
    "a schedule": lambda rate: optax.adam(optax.linear_schedule(rate, 0.0, 10)),
    "a function": lambda rate: optax.sgd(closing_over(rate), 0.9),
    "injected": lambda rate: optax.inject_hyperparams(optax.adam)(rate),
    "muon": lambda rate: optax.contrib.muon(rate),
    "a mask": lambda rate: optax.adamw(rate, mask=lambda p: jax.tree.map(lambda x: x.ndim > 1, p)),
}


@pytest.mark.parametrize("name", MAKERS)
def test_arrays_are_arguments_of_the_step(name):
    """A learning rate that is an array may change without a trace, through schedules and functions, too."""
    traces = []

    @eqx.filter_jit
    def step(tx):
        traces.append(tx)
        return optax.GradientTransformationExtraArgs(*tx).update(PARAMS, tx.init(PARAMS), PARAMS)[0]

    for rate in (0.1, 0.2):
        tx = MAKERS[name](jnp.float32(rate))
        expected = tx.update(PARAMS, tx.init(PARAMS), PARAMS)[0]
        chex.assert_trees_all_close(step(closure_to_pytree(tx)), expected, rtol=1e-5, atol=1e-7)
    assert len(traces) == 1
