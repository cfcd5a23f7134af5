"""Slots: their dtypes, their starts, and buffers of their own."""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core import slots
from gradtx.core.leafwise import leafwise
from gradtx.core.slots import CopySlot, PositiveSlot
from gradtx.core.walk import declared


class Anchored(NamedTuple):
    slot: PositiveSlot
    anchor: Any


class Foreign(NamedTuple):
    trace: Any
    count: Any


class Real(NamedTuple):
    slot: PositiveSlot


@pytest.mark.parametrize(
    ("stored", "kept", "real"),
    [("bfloat16", "float32", "float32"), ("float16", "float32", "float32"), ("float32", "float32", "float32")]
    + [("complex64", "complex64", "float32")],
)
def test_default_dtypes(stored, kept, real):
    p = jnp.ones(2, stored)
    assert slots.zeros()(p).dtype == jnp.dtype(kept)
    assert slots.start_of(Real, "slot")(p).dtype == jnp.dtype(real)
    assert slots.copy()(p).dtype == jnp.dtype(kept)


def test_float64_parameters_have_float64_slots():
    with jax.enable_x64(True):
        assert slots.zeros()(jnp.ones(2, jnp.float64)).dtype == jnp.float64
        assert slots.start_of(Real, "slot")(jnp.ones(2, jnp.complex128)).dtype == jnp.float64


@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf, -jnp.inf, 3e38])
def test_a_start_does_not_depend_on_the_parameters_values(bad, jitted):
    start = slots.full(0.25)
    out = (jax.jit(start) if jitted else start)(jnp.array([bad, 1.0]))
    chex.assert_trees_all_equal(out, jnp.full(2, 0.25))


def test_a_start_may_be_a_hyperparameter():
    out = jax.jit(lambda x: gradtx.scale_by_rss(x).init({"w": jnp.ones(2, jnp.bfloat16)}))(0.5)
    chex.assert_trees_all_equal(out.sum_of_squares["w"], jnp.full(2, 0.5))
    many = jax.vmap(lambda x: gradtx.scale_by_rss(x).init(jnp.ones(2)))(jnp.array([0.5, 2.0]))
    chex.assert_trees_all_equal(many.sum_of_squares, jnp.array([[0.5, 0.5], [2.0, 2.0]]))


class CopyState(NamedTuple):
    start: CopySlot


keeping = gradtx.transformation(lambda: leafwise(lambda g, s, p: (g + s.start - p, s), CopyState))


def pointers(tree):
    return {x.unsafe_buffer_pointer() for x in jax.tree.leaves(tree)}


@pytest.mark.parametrize("dtype", [None, "float32"])
def test_copies_never_alias(dtype):
    params = {"w": jnp.arange(3.0), "v": jnp.ones((2, 2))}
    tx = keeping() if dtype is None else gradtx.stored(keeping(), dtype)
    for init in (tx.init, jax.jit(tx.init)):
        state = init(params)
        chex.assert_trees_all_equal(state.start, params)
        assert not pointers(state) & pointers(params)
    step = jax.jit(gradtx.step, donate_argnums=(1, 2))
    after, state = step(tx, params, state, {"w": jnp.zeros(3), "v": jnp.ones((2, 2))})
    chex.assert_trees_all_close(after, {"w": jnp.arange(3.0), "v": jnp.full((2, 2), 2.0)})
    chex.assert_trees_all_close(state.start["w"], jnp.arange(3.0))


def test_numpy_parameters_are_not_aliased():
    params = {"w": np.zeros(3, np.float32)}
    state = keeping().init(params)
    params["w"][:] = 7
    chex.assert_trees_all_equal(state.start["w"], jnp.zeros(3))


def test_only_what_declares_nothing_has_slots_by_their_looks():
    """A state of another library: no field that is not declared beside others that are, nor what a tuple holds."""
    params = {"w": jnp.ones(2)}
    states = (params, {"kept": params}, Anchored(params, params), Foreign(params, jnp.ones(())))
    assert [name for _, name, _, _ in declared(states, params)] == ["slot", "trace"]
