"""Eager calls: one compiled call each, made once for all hyperparameters, and what is not traced runs as it stands."""

import gc
import weakref
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core import eager
from tests.support import compilations


def leaves(n, dtype=jnp.float32):
    return {f"layer{k}": jnp.full(5, k + 1.0, dtype) for k in range(n)}


class Seen(NamedTuple):
    mu: gradtx.Slot


traces: list[str] = []


@gradtx.transformation
def watched(learning_rate: gradtx.Real, decay: gradtx.Decay = 0.5):
    def rule(g, s, *, learning_rate, decay):
        traces.append(str(g.shape))
        mu = decay * s.mu + g
        return -learning_rate * mu, Seen(mu)

    return gradtx.leafwise(rule, Seen, learning_rate=learning_rate, decay=decay)


OPTIMIZERS = {
    "adam": gradtx.adam,
    "momentum": lambda lr: gradtx.sgd(lr, momentum=0.9),
    "clipped": lambda lr: gradtx.chain(gradtx.clip_by_global_norm(1.0), gradtx.adamw(lr)),
    "scheduled": lambda lr: gradtx.adam(gradtx.cosine_decay_schedule(lr, 10)),
    "muon": gradtx.muon,
    "masked": lambda lr: gradtx.masked(gradtx.lion(lr), "layer*"),
    "averaged": lambda lr: gradtx.schedule_free(gradtx.sgd(lr), lr),
}


@pytest.mark.parametrize("n", [1, 30])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_is_one_program_for_any_number_of_leaves(name, n):
    jax.clear_caches()  # so that every program that runs is compiled
    params = leaves(n)
    tx = OPTIMIZERS[name](0.1)
    state = tx.init(params)
    jax.clear_caches()
    assert compilations(lambda: tx.update(params, state, params)) == 1
    _, state = tx.update(params, state, params)
    assert compilations(lambda: tx.update(params, state, params)) == 0


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_made_anew_with_other_numbers_share_their_program(name):
    params = leaves(3)
    state = OPTIMIZERS[name](0.1).init(params)
    step = lambda lr: OPTIMIZERS[name](lr).update(params, state, params)
    first, second = step(0.1), step(0.2)
    assert compilations(lambda: [step(lr) for lr in (0.3, 0.4, 0.5)]) == 0
    assert not np.allclose(first[0]["layer1"], second[0]["layer1"])


def test_a_whole_step_and_an_addition_are_one_program_each():
    tx, params = gradtx.adam(0.1), leaves(20)
    state = tx.init(params)
    jax.clear_caches()
    assert compilations(lambda: gradtx.step(tx, params, state, params)) == 1
    assert compilations(lambda: gradtx.apply_updates(params, params)) == 1
    assert compilations(lambda: gradtx.tree_norm(params)) == 1
    assert compilations(lambda: gradtx.step(gradtx.adam(0.2), params, state, params)) == 0


def test_a_state_is_made_by_one_program_for_each_type():
    params = leaves(30) | {"matrix": jnp.ones((2, 3)), "scalar": jnp.float32(1)}
    jax.clear_caches()
    assert compilations(lambda: gradtx.adam(0.1).init(params)) == 4  # three types of slots, and the count
    assert compilations(lambda: gradtx.adam(0.2).init(params)) == 0


@pytest.mark.parametrize(
    "maker", [lambda a: gradtx.cosine_decay_schedule(a, 10), lambda a: gradtx.linear_schedule(a, 0.0, 7)]
)
def test_a_schedule_is_one_program_for_all_numbers(maker):
    steps = [jnp.int32(k) for k in range(3)]
    jax.clear_caches()
    assert compilations(lambda: maker(0.1)(steps[0])) == 1
    assert compilations(lambda: [maker(0.2 + k)(step) for k, step in enumerate(steps)]) == 0


def test_a_loss_is_one_program_for_all_numbers():
    x, y = jnp.linspace(-2, 2, 7), jnp.linspace(0, 1, 7)
    jax.clear_caches()
    assert compilations(lambda: gradtx.losses.sigmoid_binary_cross_entropy(x, y)) == 1
    assert compilations(lambda: gradtx.losses.huber_loss(x, y, delta=0.5)) == 1
    regions = x.reshape(1, 7, 1), y.reshape(1, 7, 1)
    assert compilations(lambda: gradtx.losses.dice_loss(*regions)) == 1
    assert compilations(lambda: [gradtx.losses.huber_loss(x, y, delta=0.5 + k) for k in range(4)]) == 0


def test_a_rule_is_traced_once_for_each_type_of_leaf():
    params = leaves(4) | {"matrix": jnp.ones((2, 3))}
    state = watched(0.1).init(params)
    step = jax.jit(lambda rate, state: watched(rate).update(params, state, params))
    traces.clear()
    updates, state = step(0.0, state)
    for k in range(1, 5):
        updates, state = step(0.1 * k, state)
    assert sorted(traces) == ["(2, 3)", "(5,)"]
    chex.assert_trees_all_close(updates["matrix"], jnp.full((2, 3), -0.4 * 1.9375), rtol=1e-6)


def test_decays_are_exact():
    """1 - 0.999 is 0.001, which it is not in float32; arrays are operands, whatever they are."""
    params = leaves(1)
    for b2, wanted in ((0.999, 0.001), (jnp.float32(0.999), 1 - np.float32(0.999))):
        tx = gradtx.adam(0.1, b2=b2)
        _, state = tx.update(params, tx.init(params), params)
        np.testing.assert_allclose(state[0].nu["layer0"], wanted, rtol=2e-7)
    array = lambda b2: gradtx.adam(0.1, b2=b2).update(params, state, params)
    array(jnp.float32(0.9))
    rates = [jnp.float32(b2) for b2 in (0.8, 0.7)]
    assert compilations(lambda: [array(b2) for b2 in rates]) == 0


def test_all_kinds_of_numbers_and_arrays_are_taken():
    params = {"w": jnp.arange(1.0, 4.0)}
    state = gradtx.adam(0.1).init(params)
    wanted = jax.jit(gradtx.adam(0.1).update)(params, state, params)
    numpy = jax.tree.map(np.asarray, (params, state))
    for rate in (0.1, np.float32(0.1), np.float64(0.1), jnp.float32(0.1), jnp.asarray(0.1, jnp.bfloat16)):
        got = gradtx.adam(rate).update(params, state, params)
        chex.assert_trees_all_close(got, wanted, rtol=2e-3 if getattr(rate, "dtype", None) == jnp.bfloat16 else 1e-6)
        assert jax.tree.map(lambda x: (x.dtype, x.weak_type), got) == jax.tree.map(
            lambda x: (x.dtype, x.weak_type), wanted
        )
    chex.assert_trees_all_close(gradtx.adam(0.1).update(numpy[0], numpy[1], numpy[0]), wanted, rtol=1e-6)
    assert gradtx.sgd(1).update(params, gradtx.sgd(1).init(params))[0]["w"].tolist() == [-1, -2, -3]


def test_placed_arrays_stay_where_they_are():
    device = jax.devices()[3]
    params = jax.device_put(leaves(2), device)
    tx = gradtx.adam(0.1)
    updates, state = tx.update(params, tx.init(params), params)
    assert all(x.devices() == {device} for x in jax.tree.leaves((updates, state[0].mu)))
    mesh = jax.sharding.Mesh(np.array(jax.devices()), "d")
    cut = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("d"))
    params = {"w": jax.device_put(jnp.arange(16.0), cut)}
    updates, state = tx.update(params, tx.init(params), params)
    assert all(x.sharding.is_equivalent_to(cut, 1) for x in (updates["w"], state[0].mu["w"], state[0].nu["w"]))


def test_leaves_on_several_devices_run_as_they_stand():
    params = {str(k): jax.device_put(jnp.arange(1.0, 4.0), d) for k, d in enumerate(jax.devices()[:2])}
    tx = gradtx.sgd(0.5)
    updates, _ = tx.update(params, tx.init(params), params)
    assert [x.devices() for x in updates.values()] == [x.devices() for x in params.values()]
    chex.assert_trees_all_equal(updates["1"], jnp.array([-0.5, -1, -1.5]))


def test_functions_as_extra_arguments_do_not_compile_anew():
    tx = gradtx.chain(gradtx.adam(0.1), gradtx.scale(0.5))
    params = leaves(3)
    state = tx.init(params)
    step = lambda: tx.update(params, state, params, value_fn=lambda p: 0.0, value=jnp.float32(1))
    jax.block_until_ready(step())
    assert compilations(step) == 0


def test_errors_are_those_of_the_rule_with_the_transformations_name():
    params = leaves(1)
    tx = gradtx.chain(gradtx.scale(1.0), gradtx.adam(0.1))
    state = tx.init(params)
    for wrong, words in [
        ({"other": jnp.ones(5)}, "scale: .* trees"),
        ({"layer0": jnp.ones(4)}, "scale: .* differ at"),
    ]:
        with pytest.raises((TypeError, ValueError), match=words):
            tx.update(wrong, state, params)
    with pytest.raises(TypeError, match="apply_updates: the update at \\['w'\\] is complex64"):
        gradtx.apply_updates({"w": jnp.ones(3)}, {"w": jnp.ones(3, jnp.complex64)})

    def wrong_rule(g):
        raise ArithmeticError("this rule: no")

    tx = gradtx.stateless_leafwise(wrong_rule)
    with pytest.raises(ArithmeticError, match="this rule: no") as caught:
        tx.update(params, tx.init(params))
    assert caught.value.__context__ is None  # nothing is said of the attempt to trace it


def test_nans_are_found():
    tx = gradtx.stateless_leafwise(lambda g: g / (g - g))
    g = jnp.zeros(3)
    with jax.debug_nans(True), pytest.raises(FloatingPointError):
        jax.block_until_ready(tx.update(g, tx.init(g)))


def test_without_jit_a_rule_runs_on_numbers():
    tx, g, state = watched(0.1), leaves(2), watched(0.1).init(leaves(2))
    traces.clear()
    with jax.disable_jit():
        tx.update(g, state)
        tx.update(g, state)
    assert traces == ["(5,)"] * 4


def test_inside_a_trace_nothing_changes():
    tx, params = gradtx.adam(0.1), leaves(3)
    state = tx.init(params)
    text = str(jax.make_jaxpr(tx.update)(params, state, params))
    closed = str(jax.make_jaxpr(lambda: tx.update(params, state, params))())
    for jaxpr in (text, closed):
        assert "gradtx_step" not in jaxpr and jaxpr.count("gradtx_each[") == 2
    jax.eval_shape(tx.update, params, state, params)
    wanted = tx.update(params, state, params)[0]["layer1"][0]
    slope = jax.grad(lambda p: tx.update(params, state, p)[0]["layer1"][0] + p["layer1"][0])(params)  # without jit
    assert slope["layer1"].tolist() == [1, 0, 0, 0, 0]
    many = jax.vmap(lambda lr: gradtx.adam(lr).update(params, state, params)[0]["layer1"][0])(jnp.array([0.1, 0.2]))
    chex.assert_trees_all_close(many, jnp.array([1.0, 2.0]) * wanted, rtol=1e-6)
    rate = jax.grad(lambda lr: gradtx.adam(lr).update(params, state, params)[0]["layer1"][0])(0.1)
    chex.assert_trees_all_close(rate, wanted / 0.1, rtol=1e-6)


def test_nothing_is_kept_of_what_was_computed_with():
    big = jnp.arange(1000.0)
    times_big = lambda big: lambda g: g * big
    tx = gradtx.chain(gradtx.stateless_leafwise(times_big(big)), gradtx.sgd(jnp.float32(0.1), momentum=0.9))
    params = {"w": jnp.ones(1000)}
    state = tx.init(params)
    updates, state = tx.update(params, state, params)
    params = gradtx.apply_updates(params, updates)
    gradtx.losses.l2_loss(params["w"], big)
    arrays = [x for x in jax.tree.leaves((params, updates, state, tx)) if isinstance(x, jax.Array)]
    alive = [weakref.ref(x) for x in (big, *arrays)]
    assert len(alive) == 5
    del tx, params, updates, state, arrays, big
    gc.collect()
    assert [x() for x in alive] == [None] * len(alive)


def test_programs_do_not_grow_without_end():
    family = ("a test",)
    for k in range(2 * eager.MEMBERS + 1):
        eager.program(family, k, lambda: lambda: None)
        assert len(eager._family(*family)) <= eager.MEMBERS
    assert eager._family.cache_info().maxsize == eager.FAMILIES


def test_numbers_that_are_others_at_each_call_are_not_compiled_for_ever():
    """A decay is part of the program."""
    params, make = leaves(2), lambda b: gradtx.adam(0.1, b1=b)
    state = make(0.5).init(params)
    step = lambda k: make(k / 256).update(params, state, params)
    for k in range(eager.TRIED + 1):
        step(k)
    assert compilations(lambda: [step(100 + k) for k in range(eager.TRIED)]) == 0
    with jax.disable_jit():
        wanted = step(200)
    step(200)
    assert compilations(lambda: step(200)) == 1  # one that is called again is
    chex.assert_trees_all_close(step(200), wanted, rtol=1e-6)


def test_packed_parameters():
    params = {"a": jnp.arange(3.0), "b": jnp.arange(3.0) + 1, "c": jnp.ones((2, 2))}
    tx, packed = gradtx.adam(0.1), gradtx.pack(params)
    got, _ = gradtx.step(tx, packed, tx.init(packed), params)
    wanted, _ = gradtx.step(tx, params, tx.init(params), params)
    chex.assert_trees_all_close(got.unpack(), wanted, rtol=1e-6)


def test_the_native_step_can_be_turned_off():
    tx, params = gradtx.adam(0.1), leaves(3)
    state = tx.init(params)
    wanted = tx.update(params, state, params)
    with gradtx.native.off():
        assert compilations(lambda: tx.update(params, state, params)) == gradtx.native.available()
        chex.assert_trees_all_close(tx.update(params, state, params), wanted, rtol=1e-6)
