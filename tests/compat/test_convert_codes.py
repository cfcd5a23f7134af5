"""States of Optax into codes, out of codes, and from some codes into others."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.compat.convert import convert_state
from gradtx.core.codecs.coded import is_coded
from tests.compat.test_convert import AROUND, PARAMS, RUNS
from tests.support import types_of

pytestmark = pytest.mark.slow

optax = pytest.importorskip("optax")

INT8, LOG8 = gradtx.int8(3, rounding="stochastic", smallest=4), gradtx.log8(smallest=4)


def drawn(state):
    rng = np.random.default_rng(0)
    draw = lambda x: jnp.asarray(rng.uniform(0.1, 1.0, x.shape), x.dtype)
    return jax.tree.map(lambda x: draw(x) if jnp.issubdtype(x.dtype, jnp.inexact) else x + 3, state)


def restored(tx, params, state):
    return gradtx.restore(tx.init(params), gradtx.state_dict(state))[0]


@pytest.mark.parametrize("name", [name for name in RUNS if name != "sgd"])
def test_as_restore_does(name):
    theirs, ours = RUNS[name]
    state = drawn(theirs.init(PARAMS))
    plain, int8, log8 = convert_state(ours, PARAMS, state), gradtx.stored(ours, INT8), gradtx.stored(ours, LOG8)
    for params in (PARAMS, gradtx.pack(PARAMS)):
        coded = convert_state(int8, params, state)
        assert types_of(coded) == types_of(int8.init(params))
        assert any(map(is_coded, jax.tree.leaves(coded, is_leaf=is_coded)))
        chex.assert_trees_all_equal(coded, restored(int8, params, plain))
    coded = convert_state(int8, PARAMS, state)
    chex.assert_trees_all_equal(convert_state(ours, PARAMS, coded), restored(ours, PARAMS, coded))
    chex.assert_trees_all_equal(convert_state(log8, PARAMS, coded), restored(log8, PARAMS, coded))


@pytest.mark.parametrize("around", AROUND)
def test_within_a_wrapper_that_comes(around):
    wrapped, allowed = AROUND[around]
    tx, state = gradtx.stored(wrapped, LOG8), drawn(optax.adam(0.1).init(PARAMS))
    coded = convert_state(tx, PARAMS, state, allow_missing=allowed)
    assert types_of(coded) == types_of(tx.init(PARAMS))
    found = gradtx.find_state(coded, "scale_by_adam/mu/w")
    assert is_coded(found)
    chex.assert_trees_all_close(found.decoded(), state[0].mu["w"], rtol=0.1)
