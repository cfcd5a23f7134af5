"""Copies: what a call can make is checked where it comes back, any other tree of values comes back as it is."""

import copy
import pickle
import struct

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.aggregating import protocol
from gradtx.combine import skip
from gradtx.core import schedule, transformation
from gradtx.core.values import Value
from gradtx.wrappers import inject

TX = gradtx.chain(gradtx.clip_by_global_norm(1.0), gradtx.adam(gradtx.linear_schedule(0.1, 0.0, 10), b2=0.987654321))


def same(value):
    return pickle.loads(pickle.dumps(value))


def through(value):
    """Every way to copy a value."""
    cloudpickle = pytest.importorskip("cloudpickle")
    copies = [same(value), copy.copy(value), copy.deepcopy(value), cloudpickle.loads(cloudpickle.dumps(value))]
    return [*copies, pickle.loads(pickle.dumps(value, protocol=2))]


def test_functions_of_the_step_are_copied():
    cloudpickle = pytest.importorskip("cloudpickle")
    tx = gradtx.sgd(lambda step: jnp.exp2(-step.astype(float)))
    back = cloudpickle.loads(cloudpickle.dumps(tx))
    chex.assert_trees_all_equal(back.learning_rate(3), tx.learning_rate(3))
    assert copy.deepcopy(tx) == tx


def test_a_pickle_with_a_bad_number_is_refused():
    bad = pickle.dumps(TX).replace(struct.pack(">d", 0.987654321), struct.pack(">d", 9.87))
    with pytest.raises(ValueError, match=r"^adam: b2 must be in \[0, 1\), got 9\.87$"):
        pickle.loads(bad)
    nan = pickle.dumps(TX).replace(struct.pack(">d", 0.987654321), struct.pack(">d", np.nan))
    with pytest.raises(ValueError, match=r"^adam: b2 must be in \[0, 1\), got nan$"):
        pickle.loads(nan)
    remake, (kind, make, arguments) = gradtx.sgd(0.1).__reduce__()
    with pytest.raises(TypeError, match=r"^sgd: learning_rate must be a number in \[0, inf\) or a schedule, got 'x'$"):
        remake(kind, make, arguments | {"learning_rate": "x"})


def out_of_range():
    loss = lambda tx: sum(jnp.sum(jnp.sin(7 * x)) for x in jax.tree.leaves(tx))
    plain = gradtx.adamw(0.5, b1=0.4)
    yield jax.grad(loss)(plain)  # of any sign
    yield jax.tree.map(lambda x: jnp.array(jnp.nan), TX)
    yield jax.tree.map(lambda x: -1.0, TX)
    yield jax.tree.map(lambda x: None, TX)
    yield jax.tree.map(lambda x: x > 1, plain)
    yield jax.tree.map(np.float32, plain)  # what a call would make a Python number of
    yield jax.tree.map(lambda x: jax.ShapeDtypeStruct((), jnp.float32), plain)
    yield jax.tree.map(lambda x: np.zeros((), jax.dtypes.float0), plain)
    yield jax.tree.map(lambda x: "a label", plain)


def test_trees_of_values_come_back_as_they_are():
    for tree in out_of_range():
        assert isinstance(tree, Value)
        for back in through(tree):
            assert type(back) is type(tree)
            assert jax.tree.structure(back) == jax.tree.structure(tree)
            for x, y in zip(jax.tree.leaves(back), jax.tree.leaves(tree), strict=True):
                assert type(x) is type(y)
                np.testing.assert_equal(*([np.asarray(z) for z in (x, y)] if hasattr(x, "__array__") else [x, y]))


def test_stacked_values_come_back():
    stacked = jax.vmap(gradtx.adam)(jnp.logspace(-4, -1, 8))
    for back in through(stacked):
        assert back == stacked
    sampled = gradtx.sweep(gradtx.adam(0.1), {"b1": gradtx.uniform(0.5, 0.9)}, 4).tx
    assert same(sampled) == sampled


def test_what_optax_lets_through_comes_back():
    tx = gradtx.sgd.as_given(-0.1)
    assert [back.learning_rate for back in through(tx)] == [-0.1] * 5


def test_copies_share_what_cannot_change():
    assert copy.copy(TX) is TX
    table = np.array([0.1, 0.2])
    tx = gradtx.sgd(table)
    alone = copy.deepcopy([tx, tx, table])
    assert alone[0] is not tx
    assert alone[0].learning_rate is alone[1].learning_rate is alone[2]


def test_copies_of_traced_values():
    @jax.jit
    def step(rate):
        tx = gradtx.adam(rate)
        return copy.copy(tx).learning_rate * 2

    assert step(0.5) == 1.0


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (transformation._pair, "GradientTransformation"),
        (transformation._foreign, "as_transformation"),
        (schedule._function, "Schedule"),
        (skip._function, "Skip"),
        (protocol._pair, "Aggregator"),
        (inject.injected, "inject_hyperparams"),
    ],
)
def test_makers_that_are_shown_by_another_name_are_found_by_their_functions(make, name):
    assert make.__name__ == name
    assert pickle.loads(pickle.dumps(make)) is make
