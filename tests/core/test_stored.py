"""Slots in the dtypes of a user's choice: any slot, of any transformation, wherever it stands."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core.leafwise import leafwise
from gradtx.core.slots import Slot

PARAMS = {"head": {"w": jnp.ones((2, 3))}, "body": {"w": jnp.ones((3, 3)), "b": jnp.ones(3)}}


def dtypes(tree):
    return {x.dtype.name for x in jax.tree.leaves(tree)}


def test_slots_by_name_wherever_they_are():
    inner = gradtx.chain(gradtx.clip(1.0), gradtx.monitor(gradtx.lookahead(gradtx.adamw(0.1), 2, 0.5)))
    tx = gradtx.stored(inner, mu="bfloat16", slow="float16")
    state = tx.init(PARAMS)
    assert dtypes(gradtx.find_state(state, "mu")) == {"bfloat16"}
    assert dtypes(gradtx.find_state(state, "slow")) == {"float16"}
    assert dtypes(gradtx.find_state(state, "nu")) == {"float32"}
    assert jax.tree.structure(state) == jax.tree.structure(inner.init(PARAMS)), "the state is the inner one's"


def test_every_slot_but_those_that_have_a_codec_of_their_own():
    state = gradtx.stored(gradtx.adam(0.1), "bfloat16", nu="float32").init(PARAMS)[0]
    assert (dtypes(state.mu), dtypes(state.nu), state.count.dtype) == ({"bfloat16"}, {"float32"}, jnp.int32)


def test_slots_of_some_parameters():
    state = gradtx.stored(gradtx.adam(0.1), mu={"head/**": "float16", "**/b": "bfloat16"}).init(PARAMS)[0]
    found = jax.tree.map(lambda x: x.dtype.name, state.mu)
    assert found == {"head": {"w": "float16"}, "body": {"w": "float32", "b": "bfloat16"}}
    factored = gradtx.stored(gradtx.scale_by_sm3(), {"body/w": "bfloat16"}).init(PARAMS)
    assert dtypes(factored.mu["body"]["w"]) == {"bfloat16"}, "all arrays of a parameter"
    assert dtypes(factored.mu["head"]) == {"float32"}


def test_dtypes_stay_and_updates_are_nearly_the_same():
    plain, tx = gradtx.adam(0.1), gradtx.stored(gradtx.adam(0.1), mu="bfloat16", nu="float16")
    state, wanted = tx.init(PARAMS), plain.init(PARAMS)
    step = jax.jit(lambda tx, s, g: tx.update(g, s, PARAMS))
    for t in range(1, 4):
        g = jax.tree.map(lambda p, t=t: p / t, PARAMS)
        before = state
        u, state = step(tx, state, g)
        v, wanted = step(plain, wanted, g)
        assert jax.tree.map(jax.typeof, state) == jax.tree.map(jax.typeof, before)
        chex.assert_trees_all_close(u, v, rtol=1e-2)


class MeanState(NamedTuple):
    mean: Slot


def test_a_users_own_transformation():
    rule = lambda g, s: (s.mean, s._replace(mean=(s.mean + g) / 2))
    mine = gradtx.transformation(lambda: leafwise(rule, MeanState))
    state = gradtx.stored(mine(), "float16").init(PARAMS)
    assert dtypes(state.mean) == {"float16"}


def test_another_librarys_transformation():
    optax = pytest.importorskip("optax")
    tx = gradtx.stored(optax.adam(0.1), "bfloat16", nu="float32")
    state = tx.init(PARAMS)
    assert (dtypes(state[0].mu), dtypes(state[0].nu)) == ({"bfloat16"}, {"float32"})
    with jax.numpy_dtype_promotion("standard"):
        _, after = tx.update(PARAMS, state, PARAMS)
    assert jax.tree.map(jax.typeof, after) == jax.tree.map(jax.typeof, state)


def test_a_state_of_shapes_alone():
    shapes = jax.eval_shape(lambda: PARAMS)
    state = jax.eval_shape(gradtx.stored(gradtx.adam(0.1), mu="bfloat16").init, shapes)
    assert dtypes(state[0].mu) == {"bfloat16"}


def test_what_is_described_is_what_is_kept():
    found = gradtx.describe(gradtx.stored(gradtx.adamw(0.1), "bfloat16"), PARAMS)
    assert [link.name for link in found.links] == ["scale_by_adam", "add_decayed_weights", "scale_by_lr"]
    assert found.links[0].bytes == found.state_bytes == 18 * 2 * 2 + 4


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: gradtx.stored(gradtx.adam(0.1), "bfloat16", "float16"), ValueError, "one codec for all"),
        (lambda: gradtx.stored(gradtx.adam(0.1), mu="int8"), TypeError, "stored: mu must be a floating-point dtype"),
        (lambda: gradtx.stored(gradtx.adam(0.1), mu={}), TypeError, "stored: mu must be"),
        (lambda: gradtx.stored(gradtx.adam(0.1), mu={"*": 3}), TypeError, r"stored: mu\['\*'\] must be"),
        (lambda: gradtx.stored(gradtx.adam(0.1), m="float16").init(PARAMS), ValueError, "no slot m; it has mu, nu"),
        (lambda: gradtx.stored(gradtx.adam(0.1), {"x": "float16"}).init(PARAMS), ValueError, "pattern 'x' matches no"),
        (lambda: gradtx.adam(0.1, mu_dtype="bfloat16"), TypeError, r"gradtx.stored\(gradtx.adam\(...\), mu="),
    ],
)  # fmt: skip
def test_what_is_refused(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_a_real_leaf_keeps_real_numbers_in_a_complex_slot():
    tx = gradtx.scale_by_momentum(0.5)
    state = tx.init(jnp.zeros(2))
    state = state._replace(trace=state.trace.astype(jnp.complex64))
    for wanted in (1.0, 1.5):
        u, state = tx.update(jnp.ones(2), state)
        np.testing.assert_array_equal(u, wanted)
    assert state.trace.dtype == jnp.complex64


def test_a_narrow_slot_of_a_wide_leaf():
    with jax.enable_x64(True):
        tx = gradtx.stored(gradtx.scale_by_momentum(0.5), trace="float32")
        u, state = tx.update(jnp.ones(2, jnp.float64), tx.init(jnp.zeros(2, jnp.float64)))
        assert (u.dtype, state.trace.dtype) == (jnp.float64, jnp.float32)


def test_a_complex_leaf_keeps_complex_numbers():
    tx = gradtx.stored(gradtx.scale_by_momentum(0.5), trace="float32")
    g = jnp.array([1 + 2j], jnp.complex64)
    updates, state = tx.update(g, tx.init(g))
    assert state.trace.dtype == jnp.complex64
    np.testing.assert_array_equal(updates, g)


def test_slots_of_other_shapes_are_bound_to_no_device():
    """A state that is bound would make the second step compile again, as the first step's result is not."""
    free = jnp.ones((3, 2))
    bound = jax.device_put(free, jax.devices()[1])
    for tx in (gradtx.scale_by_sm3(), gradtx.scale_by_factored_rms(min_dim_size_to_factor=1)):
        for kept in (tx, gradtx.stored(tx, "bfloat16")):
            assert not any(x.committed for x in jax.tree.leaves(kept.init(free)))
            assert {x.device for x in jax.tree.leaves(kept.init(bound)) if x.ndim} == {jax.devices()[1]}
