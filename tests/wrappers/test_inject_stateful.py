"""Stateful schedules in inject_hyperparams: their state is kept, and they see the extra arguments."""

import pickle
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import make_grads, make_params, train


class FollowLoss:
    """A learning rate that falls with an average of the loss, whose state is a Python number."""

    def init(self):
        return 1.0

    def update(self, state, *, value, **extra):
        return 0.9 * state + 0.1 * value

    def __call__(self, state, **extra):
        return 0.01 * jnp.minimum(state, 1)


class Falls(NamedTuple):
    best: jax.Array
    waited: jax.Array


class HalveWhenStuck:
    """Half the rate for each value that is not below the best, a NaN too, and none in the step that sees a NaN."""

    def init(self):
        return Falls(jnp.inf, 0)

    def update(self, state, *, value, **extra):
        worse = ~(value < state.best)
        return Falls(jnp.where(worse, state.best, value), state.waited + worse.astype(state.waited.dtype))

    def __call__(self, state, *, value=0.0, **extra):
        return jnp.where(jnp.isnan(value), 0, 0.5 ** jnp.asarray(state.waited, float))


class Both:
    """A schedule made of three functions."""

    def __init__(self, init, update, call):
        self.init, self.update, self.call = init, update, call

    def __call__(self, state, **extra):
        return self.call(state, **extra)


def test_a_rate_that_follows_the_loss():
    tx = gradtx.inject_hyperparams(gradtx.sgd)(FollowLoss())
    losses, average = [0.5, 0.25, 3.0, 0.1], 1.0
    state = tx.init(jnp.ones(2))
    assert set(state.hyperparams_states) == {"learning_rate"}
    np.testing.assert_allclose(state.hyperparams["learning_rate"], 0.01)
    for t, loss in enumerate(losses):
        updates, state = tx.update(jnp.ones(2), state, value=loss)
        rate = 0.01 * min(average, 1)  # evaluated before it is updated
        np.testing.assert_allclose(updates, -rate, rtol=1e-6)
        np.testing.assert_allclose(state.hyperparams["learning_rate"], rate, rtol=1e-6)
        average = 0.9 * average + 0.1 * loss
        np.testing.assert_allclose(state.hyperparams_states["learning_rate"], average, rtol=1e-6)
        assert int(state.count) == t + 1


def test_it_sees_the_extra_arguments_of_its_own_step():
    tx = gradtx.inject_hyperparams(gradtx.scale)(HalveWhenStuck())
    state = tx.init(jnp.ones(()))
    got = []
    for value in (3.0, 2.0, 2.5, jnp.nan, 2.0, 1.0):
        updates, state = tx.update(jnp.ones(()), state, value=jnp.asarray(value))
        got.append(float(updates))
    assert got == [1, 1, 1, 0, 0.25, 0.125]


def test_beside_numbers_and_plain_schedules_and_deep_inside():
    decay = gradtx.exponential_decay(0.9, 10, 0.5)
    inner = gradtx.chain(gradtx.clip_by_global_norm(1.0), gradtx.adam(FollowLoss(), b1=decay))
    tx = gradtx.inject_hyperparams(inner)
    params = make_params()
    state = tx.init(params)
    assert set(state.hyperparams_states) == {"links[1].learning_rate"}
    assert {"links[0].max_norm", "links[1].b1", "links[1].b2"} < set(state.hyperparams)
    assert type(state.hyperparams_states) is type(state.hyperparams) is dict
    state.hyperparams.update({"links[0].max_norm": 0.5, "links[1].learning_rate": 7.0})
    for t in range(3):
        _, state = tx.update(params, state, params, value=0.5)
        np.testing.assert_allclose(state.hyperparams["links[1].b1"], decay(t), rtol=1e-6)
    np.testing.assert_allclose(state.hyperparams["links[0].max_norm"], 0.5)
    np.testing.assert_allclose(state.hyperparams["links[1].learning_rate"], 0.01 * (0.5 + 0.5 * 0.9**2), rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32, jnp.float64], ids=lambda d: d.__name__)
@pytest.mark.parametrize("schedule", [FollowLoss(), HalveWhenStuck()], ids=["follow", "halve"])
def test_state_is_a_fixed_point_in_a_scan_under_jit(schedule, dtype):
    with jax.enable_x64(dtype == jnp.float64):
        tx = gradtx.inject_hyperparams(gradtx.adam)(schedule)
        params, grads = make_params(dtype), make_grads(6, dtype)
        loss = lambda p, g: dict(value=jnp.mean(jnp.square(p["vector"].astype(float))))
        first = jax.jit(tx.init)(params)
        chex.assert_trees_all_equal_shapes_and_dtypes(first, tx.init(params))
        run = jax.jit(lambda p, g: train(tx, p, g, loss))
        end, state, _ = run(params, grads)
        for old, new in zip(jax.tree.leaves(first), jax.tree.leaves(state), strict=True):
            assert jax.typeof(old) == jax.typeof(new) and not old.weak_type
        chex.assert_trees_all_equal_shapes_and_dtypes(end, params)
        assert float(state.hyperparams["learning_rate"]) != float(first.hyperparams["learning_rate"])


def test_a_state_may_be_donated_and_have_keys_and_no_leaves():
    shared = jnp.zeros(())

    def init():
        return {"key": jax.random.key(0), "sums": (shared, shared), "nothing": None}

    def update(state, *, value, **extra):
        return state | {"key": jax.random.split(state["key"])[0], "sums": (value, value)}

    tx = gradtx.inject_hyperparams(gradtx.sgd)(Both(init, update, lambda s, **_: jax.random.uniform(s["key"])))
    params, value = jnp.ones(2), jnp.asarray(2.0)
    step = jax.jit(tx.update, donate_argnums=1)
    _, state = tx.update(params, tx.init(params), value=value)
    for _ in range(2):
        updates, state = step(params, state, value=value)
    assert not shared.is_deleted() and not value.is_deleted()
    key = jax.random.split(jax.random.split(jax.random.key(0))[0])[0]
    np.testing.assert_allclose(updates, -jax.random.uniform(key), rtol=1e-6)


def test_a_narrower_float_keeps_the_dtype_of_the_state():
    narrow = Both(lambda: 0.0, lambda s, *, value: value, lambda s, **_: s)
    tx = gradtx.inject_hyperparams(gradtx.sgd)(narrow)
    _, state = tx.update(jnp.ones(2), tx.init(jnp.ones(2)), value=jnp.bfloat16(0.5))
    assert state.hyperparams_states["learning_rate"].dtype == jnp.float32


def scaled(rate):
    """Somebody's own factory."""
    return gradtx.chain(gradtx.scale(2.0), gradtx.scale(rate))


def test_any_function_is_a_factory():
    tx = gradtx.inject_hyperparams(scaled)(FollowLoss())
    updates, state = tx.update(jnp.ones(2), tx.init(jnp.ones(2)), value=0.0)
    np.testing.assert_allclose(updates, 0.02)
    updates, _ = tx.update(jnp.ones(2), state, value=0.0)
    np.testing.assert_allclose(updates, 0.018, rtol=1e-6)


def test_equals_optax():
    optax = pytest.importorskip("optax")
    make = lambda library: library.inject_hyperparams(library.adam)(learning_rate=FollowLoss())
    value = lambda p, g: dict(value=jnp.mean(jnp.square(p["vector"])))
    params, grads = make_params(), make_grads(20)
    with jax.numpy_dtype_promotion("standard"):
        wanted, their_state, _ = jax.jit(lambda: train(make(optax), params, grads, value))()
    end, state, _ = jax.jit(lambda: train(make(gradtx), params, grads, value))()
    chex.assert_trees_all_close(end, wanted, rtol=1e-5, atol=1e-6)
    assert type(state)._fields == type(their_state)._fields and type(state).__name__ == type(their_state).__name__
    np.testing.assert_allclose(
        state.hyperparams_states["learning_rate"], their_state.hyperparams_states["learning_rate"], rtol=1e-5
    )


FOLLOW = FollowLoss()


def test_is_a_value():
    tx = gradtx.inject_hyperparams(gradtx.sgd)(FOLLOW)
    same = gradtx.inject_hyperparams(gradtx.sgd)(FOLLOW)
    assert tx == same and hash(tx) == hash(same)
    again = pickle.loads(pickle.dumps(tx))
    chex.assert_trees_all_equal(again.init(jnp.ones(2)), tx.init(jnp.ones(2)))
    assert isinstance(FOLLOW, gradtx.StatefulSchedule)
    assert not isinstance(gradtx.constant_schedule(1.0), gradtx.StatefulSchedule)


def test_without_one_the_state_is_as_it_was():
    state = gradtx.inject_hyperparams(gradtx.sgd)(gradtx.constant_schedule(0.1)).init(jnp.ones(2))
    assert type(state).__name__ == "InjectHyperparamsState"
    assert type(state)._fields == ("count", "hyperparams", "inner_state")


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (Both(lambda: 0.0, lambda s, **_: (s, s), lambda s, **_: 0.1), r"got \(.*\) from update, wanted float32\[\]"),
        (Both(lambda: 0.0, lambda s, **_: jnp.ones(3), lambda s, **_: 0.1), r"got float32\[3\] from update, wanted f"),
        (Both(lambda: 0, lambda s, **_: 0.5, lambda s, **_: 0.1), r"got float32\[\] from update, wanted int32"),
        (Both(lambda: 0, lambda s, **_: s, lambda s, **_: None), "must return a number, got None"),
        (Both(lambda: 0, lambda s, **_: s, lambda s, **_: jnp.ones(2)), "must return a number, got Array"),
    ],
    ids=["structure", "shape", "dtype", "none", "vector"],
)
def test_errors(schedule, message):
    tx = gradtx.inject_hyperparams(gradtx.sgd)(schedule)
    with pytest.raises(TypeError, match=f"inject_hyperparams: the stateful schedule learning_rate.*{message}"):
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)))


def test_outside_it_a_stateful_schedule_is_refused():
    tx = gradtx.sgd(FollowLoss())
    with pytest.raises(TypeError, match=r"to gradtx\.inject_hyperparams, which keeps its state; got .*FollowLoss"):
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)))
    with pytest.raises(TypeError, match="which keeps its state"):
        gradtx.warmup(FollowLoss(), 10)
    with pytest.raises(TypeError, match=r"FollowLoss.update\(\) missing 1 required keyword-only argument: 'value'"):
        tx = gradtx.inject_hyperparams(gradtx.sgd)(FollowLoss())
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)))
