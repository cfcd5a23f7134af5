"""Against Optax: equal formulas give equal runs, and each library's transformations chain inside the other's."""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx
from tests.support import make_grads, make_params, train

optax = pytest.importorskip("optax")

STEPS = 20
RATE = 0.01
SHAPES = {"scalar": (), "kernel": (2, 3, 2, 4)}  # few, for the time here is that of compilation
MASK = {"scalar": False, "kernel": True}


def halving(step):
    return 0.1 * 0.5 ** jnp.asarray(step, float)


PAIRS = {
    "sgd": (gradtx.sgd(RATE), optax.sgd(RATE)),
    "momentum": (gradtx.sgd(RATE, 0.9), optax.sgd(RATE, 0.9)),
    "nesterov": (gradtx.sgd(RATE, 0.9, nesterov=True), optax.sgd(RATE, 0.9, nesterov=True)),
    "scheduled": (gradtx.sgd(halving, 0.9), optax.sgd(halving, 0.9)),
    "adagrad": (gradtx.adagrad(RATE), optax.adagrad(RATE)),
    "rmsprop": (gradtx.rmsprop(RATE), optax.rmsprop(RATE)),
    "rmsprop outside": (gradtx.rmsprop(RATE, eps_in_sqrt=False), optax.rmsprop(RATE, eps_in_sqrt=False)),
    "rmsprop centered": (gradtx.rmsprop(RATE, 0.8, 1e-3, centered=True), optax.rmsprop(RATE, 0.8, 1e-3, centered=True)),
    "rmsprop debiased": (gradtx.rmsprop(RATE, bias_correction=True), optax.rmsprop(RATE, bias_correction=True)),
    "rmsprop momentum": (gradtx.rmsprop(RATE, momentum=0.9), optax.rmsprop(RATE, momentum=0.9)),
    "adam": (gradtx.adam(RATE, 0.8, 0.99, 1e-6), optax.adam(RATE, 0.8, 0.99, 1e-6)),
    "adam eps_root": (gradtx.adam(RATE, eps_root=1e-4), optax.adam(RATE, eps_root=1e-4)),
    "adamw": (gradtx.adamw(RATE), optax.adamw(RATE)),
    "adamw masked": (
        gradtx.adamw(RATE, weight_decay=gradtx.decoupled(0.1, MASK)),
        optax.adamw(RATE, weight_decay=0.1, mask=MASK),
    ),
    "nadam": (gradtx.nadam(RATE), optax.nadam(RATE)),
    "nadamw": (gradtx.nadamw(RATE), optax.nadamw(RATE)),
    "adamax": (gradtx.adamax(RATE), optax.adamax(RATE)),
    "adamaxw": (gradtx.adamaxw(RATE), optax.adamaxw(RATE)),
    "amsgrad": (gradtx.amsgrad(RATE), optax.amsgrad(RATE)),
    "clip": (gradtx.clip(0.5), optax.clip(0.5)),
    "clip_by_global_norm": (gradtx.clip_by_global_norm(0.5), optax.clip_by_global_norm(0.5)),
    "centralize": (gradtx.centralize(), optax.centralize()),
    "decay": (gradtx.add_decayed_weights(0.1, MASK), optax.add_decayed_weights(0.1, MASK)),
    "ema": (gradtx.ema(0.9), optax.ema(0.9)),
    "scale_by_schedule": (gradtx.scale_by_schedule(halving), optax.scale_by_schedule(halving)),
}


def updates_of(*txs, dtype=jnp.float32):
    params, grads = make_params(dtype, shapes=SHAPES), make_grads(STEPS, dtype, shapes=SHAPES)
    return jax.jit(lambda: [train(tx, params, grads)[2] for tx in txs])()


@pytest.mark.parametrize("case", PAIRS)
def test_equal_to_optax(case):
    with jax.enable_x64(True):
        chex.assert_trees_all_close(*updates_of(*PAIRS[case], dtype=jnp.float64), rtol=1e-10, atol=1e-14)
    # In float32 Optax's bias correction, 1 - b2^t, has a relative error of up to 6e-8 / (1 - b2).
    chex.assert_trees_all_close(*updates_of(*PAIRS[case]), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["adam", "adamax", "amsgrad", "rms", "rss"])
def test_state_types_have_optaxs_names_and_fields(name):
    params = make_params(shapes=SHAPES)
    tx, theirs = (getattr(library, f"scale_by_{name}")() for library in (gradtx, optax))
    ours, wanted = tx.init(params), theirs.init(params)
    assert type(ours).__name__ == type(wanted).__name__
    assert ours._fields == wanted._fields
    updates, expected = jax.jit(lambda *now: [x.update(*now)[0] for x in (tx, theirs)])(params, wanted, params)
    chex.assert_trees_all_close(updates, expected, rtol=1e-5)


@pytest.mark.parametrize("case", ["momentum", "adam", "adamw masked", "rmsprop momentum", "clip"])
def test_ours_inside_optax_chain_and_theirs_inside_ours(case):
    ours, theirs = PAIRS[case]
    chains = [
        optax.chain(optax.clip_by_global_norm(1.0), theirs, optax.scale(0.5)),
        optax.chain(optax.clip_by_global_norm(1.0), ours, optax.scale(0.5)),
        optax.chain(gradtx.clip_by_global_norm(1.0), theirs, gradtx.scale(0.5)),
        gradtx.chain(gradtx.clip_by_global_norm(1.0), theirs, gradtx.scale(0.5)),
        gradtx.chain(optax.clip_by_global_norm(1.0), ours, optax.scale(0.5)),
        gradtx.chain(optax.chain(optax.clip_by_global_norm(1.0), ours), optax.scale(0.5)),
    ]
    expected, *others = updates_of(*chains)
    for updates in others:
        chex.assert_trees_all_close(updates, expected, rtol=1e-4, atol=1e-6)


def test_optax_wrappers_around_ours():
    params, grads = make_params(shapes=SHAPES), make_grads(6, shapes=SHAPES)
    wrap = lambda tx: optax.MultiSteps(optax.masked(tx, MASK), 2)
    ours, theirs = wrap(gradtx.adam(0.1)), wrap(optax.adam(0.1))
    runs = jax.jit(lambda: [train(tx, params, grads)[0] for tx in (ours, theirs)])()
    chex.assert_trees_all_close(*runs, rtol=1e-4, atol=1e-5)


class Pair(NamedTuple):
    init: Callable[..., Any]
    update: Callable[..., Any]


class Negated:
    """A user's class: a pair of methods, with state of its own."""

    def init(self, params):
        return jnp.zeros((), jnp.int32)

    def update(self, updates, state, params=None):
        return jax.tree.map(lambda g: -g, updates), state + 1


@pytest.mark.parametrize(
    "pair", [Pair(Negated().init, Negated().update), Negated(), (Negated().init, Negated().update)]
)
def test_a_users_pair_is_a_link(pair):
    params = make_params()
    tx = gradtx.chain(gradtx.scale(2.0), pair, gradtx.named_chain(last=gradtx.scale(3.0)))
    updates, state = jax.jit(tx.update)(params, tx.init(params), params, value=1.0)
    chex.assert_trees_all_close(updates, jax.tree.map(lambda p: -6 * p, params))
    assert state[1] == 1
    assert tx == gradtx.chain(gradtx.scale(2.0), pair, gradtx.named_chain(last=gradtx.scale(3.0)))
    assert jax.tree.leaves(tx) == [2.0, 3.0]


def test_an_extra_argument_reaches_the_foreign_link_that_takes_it():
    def update(updates, state, params=None, *, value):
        return jax.tree.map(lambda g: value * g, updates), state

    tx = gradtx.chain(gradtx.clip(1.0), Pair(lambda params: (), update), gradtx.scale(2.0))
    updates, _ = tx.update(jnp.array([3.0]), tx.init(jnp.zeros(1)), value=5.0)
    chex.assert_trees_all_equal(updates, jnp.array([10.0]))


FOREIGN = [optax.sgd(0.1, 0.9), optax.adam(0.1), optax.rmsprop(0.1), optax.lion(0.1), optax.adafactor(0.1)]


@pytest.mark.parametrize("theirs", FOREIGN, ids=["sgd", "adam", "rmsprop", "lion", "adafactor"])
def test_a_foreign_link_keeps_its_state_types_with_bfloat16(theirs):
    with jax.numpy_dtype_promotion("standard"):  # Optax counts on it
        params = make_params(jnp.bfloat16)
        tx = gradtx.chain(gradtx.clip_by_global_norm(1.0), theirs)
        state = jax.eval_shape(tx.init, params)
        updates, after = jax.eval_shape(tx.update, params, state, params)
        untyped = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)
        assert untyped(after) == untyped(state)
        assert {x.dtype for x in jax.tree.leaves(updates)} == {jnp.dtype(jnp.bfloat16)}


def test_a_foreign_link_that_would_widen_its_state_is_held_to_its_types():
    def update(updates, state, params=None):
        wide = jax.tree.map(lambda g, s: jnp.float32(g) + jnp.float32(s), updates, state)
        return wide, wide

    params = make_params(jnp.bfloat16)
    tx = gradtx.chain(Pair(lambda params: jax.tree.map(jnp.zeros_like, params), update))
    updates, after = jax.eval_shape(tx.update, params, tx.init(params))
    for tree in (updates, after[0]):
        chex.assert_trees_all_equal_shapes_and_dtypes(tree, params)


def test_a_foreign_links_hyperparameters_are_its_own():
    tx = gradtx.chain(optax.sgd(0.1), gradtx.scale(2.0))
    assert gradtx.hyperparameters(tx) == {"links[1].step_size": 2.0}
