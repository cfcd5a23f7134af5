"""Pairs and schedules know the call that made them: they pickle, copy and compare, which Optax's closures do not."""

import copy
import math
import pickle

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
import gradtx.compat.optax as optax
from gradtx.compat.optax import config
from tests.compat.rows import ROWS

PARAMS = {"w": jnp.ones((4, 3)), "b": jnp.zeros(4), "s": jnp.ones(1)}
# Pickle has no way to a function that a row defines on the spot, and these are pairs of bare functions.
OF_LOCAL_FUNCTIONS = (
    "scale_by_factored_rms(fn)", "conditionally_transform", "conditionally_mask", "adopt", "sam", "sam(4)",
)  # fmt: skip
OF_AN_OBJECT = ("MultiSteps", "MultiSteps(sum)")  # their functions are methods, and it is not compared by value


def half(step):
    """A schedule that pickle finds."""
    return 0.5


def same_state(tx, other):
    """Whether both start alike, down to the types."""
    states = [jax.eval_shape(x.init, PARAMS) for x in (tx, other)]
    chex.assert_trees_all_equal_structs(*states)
    return jax.tree.leaves(states[0]) == jax.tree.leaves(states[1])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_pairs_pickle_and_copy(row):
    tx = row.build(optax)
    copies = [copy.copy(tx), copy.deepcopy(tx)]
    if row.name not in OF_LOCAL_FUNCTIONS:
        copies.append(pickle.loads(pickle.dumps(tx)))
    for again in copies:
        assert type(again) is type(tx)
        assert same_state(tx, again)
        assert row.name in OF_AN_OBJECT or again == tx


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_pairs_cloudpickle(row):
    cloudpickle = pytest.importorskip("cloudpickle")
    tx = row.build(optax)
    assert same_state(tx, cloudpickle.loads(cloudpickle.dumps(tx)))


@pytest.mark.parametrize("row", [row for row in ROWS if row.name not in OF_AN_OBJECT], ids=lambda row: row.name)
def test_pairs_of_equal_calls_are_equal(row):
    if row.name not in OF_LOCAL_FUNCTIONS:
        assert row.build(optax) == row.build(optax)
        assert hash(row.build(optax)) == hash(row.build(optax))


SCHEDULES = {
    "constant": lambda: optax.constant_schedule(0.1),
    "linear": lambda: optax.linear_schedule(0.1, 0.0, 10),
    "cosine": lambda: optax.warmup_cosine_decay_schedule(0.0, 0.1, 2, 10),
    "piecewise": lambda: optax.piecewise_constant_schedule(0.1, {3: 0.5}),
    "onecycle": lambda: optax.cosine_onecycle_schedule(10, 0.1),
    "join": lambda: optax.join_schedules([half, optax.exponential_decay(0.1, 3, 0.5)], [4]),
    "sgdr": lambda: optax.sgdr_schedule([dict(init_value=0.0, peak_value=1.0, decay_steps=9, warmup_steps=2)]),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_pickle_and_compare(name):
    schedule = SCHEDULES[name]()
    again = pickle.loads(pickle.dumps(schedule))
    assert again == schedule == SCHEDULES[name]()
    assert hash(again) == hash(schedule)
    chex.assert_trees_all_equal(again(5), schedule(5))
    assert optax.adam(schedule) == optax.adam(again)


def test_what_differs_is_unequal():
    assert optax.adam(0.1) != optax.adam(0.2)
    assert optax.adam(0.1) != optax.nadam(0.1)
    assert optax.adam(jnp.ones(2)) != optax.adam(jnp.zeros(2))
    assert optax.adam(jnp.ones(2)) == optax.adam(jnp.ones(2))
    assert optax.linear_schedule(0.1, 0.0, 10) != optax.linear_schedule(0.1, 0.0, 11)
    init, update = tx = optax.sgd(0.1)
    assert tx != optax.GradientTransformationExtraArgs(init, lambda *args: update(*args))
    assert tx == (init, update)


def test_deviations_are_remembered():
    with config.reproducing_optax():
        tx = optax.adan(1e-3)
    again = pickle.loads(pickle.dumps(tx))
    assert again == tx != optax.adan(1e-3)
    g = {"w": jnp.arange(3.0)}
    state = tx.update(g, tx.init(g), g)[1]
    chex.assert_trees_all_equal(again.update(g, state, g), tx.update(g, state, g))


def test_a_static_argument_does_not_trace_again():
    step = jax.jit(lambda tx, p: tx.init(p), static_argnums=0)
    for _ in range(2):
        step(optax.adam(optax.cosine_decay_schedule(0.1, 10)), PARAMS)
    assert step._cache_size() == 1


def test_the_switch_is_pickled_as_itself():
    from gradtx.core.arguments import AS_GIVEN

    assert pickle.loads(pickle.dumps(AS_GIVEN)) is AS_GIVEN


def test_numbers_out_of_gradtxs_range_survive():
    tx = pickle.loads(pickle.dumps(optax.sgd(-0.5)))
    updates, _ = tx.update(PARAMS, tx.init(PARAMS))
    assert float(updates["w"][0, 0]) == 0.5
    with pytest.raises(ValueError, match="learning_rate"):
        gradtx.sgd(-0.5)


def test_equal_numbers_are_equal_to_the_bit():
    """0.0 and -0.0 make different programs, so that one must not be taken for the other as a static argument."""
    make = {"pair": optax.scale, "schedule": optax.constant_schedule}
    for made in make.values():
        for zero in (0.0, np.float32(0.0), jnp.float32(0.0)):
            assert made(zero) == made(zero) and made(zero) != made(-zero)
        assert made(math.nan) == made(float("nan")) and hash(made(math.nan)) == hash(made(float("nan")))
    run = jax.jit(lambda tx: tx.update(jnp.ones(()), tx.init(0.0))[0], static_argnums=0)
    assert 1 / run(optax.scale(0.0)) == math.inf and 1 / run(optax.scale(-0.0)) == -math.inf


def test_pairs_of_the_first_release_are_found():
    """They were pickled as calls of functions in modules that are one today."""
    from gradtx.compat.optax.transforms import links, scaling

    assert scaling.scale_by_learning_rate is links.scale_by_learning_rate
    name = b"cgradtx.compat.optax.transforms.%s\n%s\n."
    for module, function in (
        ("adding", "add_decayed_weights"),
        ("moments", "scale_by_adan"),
        ("squares", "scale_by_sm3"),
    ):
        assert pickle.loads(name % (module.encode(), function.encode())) is getattr(optax, function)
