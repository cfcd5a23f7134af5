"""monitor: what it measures, and that it changes nothing."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import at, make_grads, make_params, train

BASE = gradtx.chain(gradtx.clip_by_global_norm(0.7), gradtx.adamw(0.01))


def flat_norm(tree):
    return np.sqrt(sum(np.sum(np.square(x, dtype=np.float64)) for x in map(np.asarray, jax.tree.leaves(tree))))


def test_measures_the_last_update():
    tx = gradtx.monitor(BASE)
    params, grads = make_params(), at(make_grads(1), 0)
    state = tx.init(params)
    assert set(state.measurements) == {"gradient_norm", "update_norm", "update_ratio", "learning_rate"}
    assert all(float(x) == 0 for x in state.measurements.values())
    updates, state = jax.jit(tx.update)(grads, state, params)
    found = state.measurements
    np.testing.assert_allclose(found["gradient_norm"], flat_norm(grads), rtol=1e-5)
    np.testing.assert_allclose(found["update_norm"], flat_norm(updates), rtol=1e-5)
    np.testing.assert_allclose(found["update_ratio"], flat_norm(updates) / flat_norm(params), rtol=1e-5)
    np.testing.assert_allclose(found["learning_rate"], 0.01, rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_on_and_off_are_the_same_to_the_bit(dtype):
    params, grads = make_params(dtype), make_grads(20, dtype)
    measures = {"largest": lambda updates: jnp.max(jnp.abs(updates["vector"]))}
    off, off_state, off_updates = jax.jit(lambda: train(gradtx.monitor(BASE, measures, on=False), params, grads))()
    bare, bare_state, bare_updates = jax.jit(lambda: train(BASE, params, grads))()
    on, on_state, on_updates = jax.jit(lambda: train(gradtx.monitor(BASE, measures), params, grads))()
    assert off_state.measurements == {}
    for seen in ((off, off_state.inner_state, off_updates), (on, on_state.inner_state, on_updates)):
        chex.assert_trees_all_equal(seen, (bare, bare_state, bare_updates))
    assert int(on_state.count) == int(off_state.count) == 20


def test_a_schedule_is_shown_as_it_was_used():
    tx = gradtx.monitor(gradtx.sgd(gradtx.linear_schedule(1.0, 0.0, 10)))
    state, seen = tx.init(jnp.ones(2)), []
    for _ in range(3):
        updates, state = tx.update(jnp.ones(2), state, jnp.ones(2))
        seen.append(float(state.measurements["learning_rate"]))
        np.testing.assert_allclose(updates, -seen[-1])
    np.testing.assert_allclose(seen, [1.0, 0.9, 0.8], rtol=1e-6)


def test_several_learning_rates_are_named_by_path_and_none_is_left_out():
    tx = gradtx.monitor(gradtx.partition({"a": gradtx.sgd(0.1), "b": gradtx.adam(0.2)}, {"x": "a", "y": "b"}))
    found = tx.init({"x": jnp.ones(2), "y": jnp.ones(3)}).measurements
    names = {k for k in found if "rate" in k}
    assert names == {"transforms['a'].learning_rate", "transforms['b'].learning_rate"}
    assert "learning_rate" not in gradtx.monitor(gradtx.scale_by_adam()).init(jnp.ones(2)).measurements


def test_an_injected_learning_rate_is_read_from_the_state():
    tx = gradtx.monitor(gradtx.inject_hyperparams(gradtx.sgd)(0.1))
    state = tx.init(jnp.ones(2))
    state.inner_state.hyperparams["learning_rate"] = 0.5
    _, state = tx.update(jnp.ones(2), state)
    assert float(state.measurements["learning_rate"]) == 0.5
    assert np.isnan(state.measurements["update_ratio"])  # no parameters were given


def test_measures_of_ones_own():
    measures = {
        "loss": lambda value: value,
        "trust": lambda state, params: {"mu": state[0].mu["w"], "size": jnp.size(params["w"])},
        "cosine": lambda gradients, updates: jnp.vdot(gradients["w"], updates["w"]),
    }
    tx = gradtx.monitor(gradtx.adam(0.1), measures, gradient_norm=False, update_norm=False, update_ratio=False)
    params = {"w": jnp.ones(3)}
    state = tx.init(params)
    step = jax.jit(lambda s, v: tx.update(params, s, params, value=v))
    before = jax.tree.map(jnp.shape, state)
    _, state = step(state, jnp.bfloat16(2.0))
    assert jax.tree.map(jnp.shape, state) == before
    assert set(state.measurements) == {"loss", "trust", "cosine", "learning_rate"}
    assert float(state.measurements["loss"]) == 2.0 and int(state.measurements["trust"]["size"]) == 3
    chex.assert_trees_all_equal(state.measurements["trust"]["mu"], state.inner_state[0].mu["w"])
    assert float(state.measurements["cosine"]) < 0


def test_hyperparameters_are_replaced_through_it():
    tx = gradtx.replace(gradtx.monitor(BASE), learning_rate=0.5)
    assert gradtx.hyperparameters(tx)["optimizer.links[1].learning_rate"] == 0.5


def test_no_host_callback():
    tx, params = gradtx.monitor(BASE), make_params()
    text = jax.jit(tx.update).lower(params, tx.init(params), params).as_text()
    assert "callback" not in text


@pytest.mark.parametrize("measure", [lambda *seen: 1.0, lambda **seen: 1.0, lambda value, /: value, print, 1.0])
def test_a_measure_asks_by_name(measure):
    with pytest.raises(TypeError, match=r"monitor: measures\['seen'\] must be a function of named arguments"):
        gradtx.monitor(BASE, {"seen": measure})


def test_errors():
    params = {"w": jnp.ones(3)}
    tx = gradtx.monitor(BASE, {"loss": lambda value: value})
    with pytest.raises(TypeError, match="monitor: the measure 'loss' needs value: call update"):
        tx.update(params, tx.init(params), params)
    seen = gradtx.monitor(gradtx.identity(), {"seen": lambda gradients: gradients["w"]})
    with pytest.raises(ValueError, match=r"measurement \['seen'\] is float32\(2,\), and was float32\(3,\) at first"):
        seen.update({"w": jnp.ones(2)}, seen.init(params))
    off = gradtx.monitor(BASE, on=False)
    with pytest.raises(ValueError, match="do not have the tree of the state's"):
        gradtx.monitor(BASE).update(params, off.init(params), params)


def test_a_measure_may_have_defaults_for_what_is_not_given():
    tx = gradtx.monitor(gradtx.sgd(0.1), {"doubled": lambda value=1.5: 2 * value})
    p = jnp.ones(2)
    _, state = tx.update(p, tx.init(p), p)
    assert state.measurements["doubled"] == 3.0
    _, state = tx.update(p, state, p, value=2.0)
    assert state.measurements["doubled"] == 4.0
