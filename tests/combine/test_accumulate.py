"""Gradient accumulation: what is gathered, when a step is taken, and what it costs."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import at, make_grads, make_params, types_of


def run(tx, grads, params, **extras):
    """The updates of each micro-step, and the last state."""
    step = jax.jit(tx.update)
    state, out = tx.init(params), []
    for t in range(len(jax.tree.leaves(grads)[0])):
        updates, state = step(at(grads, t), state, params, **{k: v[t] for k, v in extras.items()})
        out.append(updates)
    return out, state


def test_by_hand():
    tx = gradtx.accumulate(gradtx.sgd(0.5), 2)
    out, state = run(tx, jnp.array([1.0, 3.0, 5.0]), jnp.zeros(()))
    assert [float(u) for u in out] == [0.0, -1.0, 0.0]
    assert (int(state.mini_step), int(state.gradient_step), float(state.acc_grads)) == (1, 1, 5.0)
    total, _ = run(gradtx.accumulate(gradtx.sgd(0.5), 2, reduction="sum"), jnp.array([1.0, 3.0]), jnp.zeros(()))
    assert float(total[1]) == -2.0


@pytest.mark.parametrize("n", [2, 4, 8])
def test_micro_batches_weighted_by_tokens_equal_one_big_batch(n):
    rng = np.random.default_rng(0)
    x, y = jnp.asarray(rng.standard_normal((32, 6)), jnp.float32), jnp.asarray(rng.standard_normal(32), jnp.float32)
    mask = jnp.asarray(rng.random(32) < 0.6, jnp.float32)
    w = jnp.asarray(rng.standard_normal(6), jnp.float32)
    loss = lambda w, x, y, mask: jnp.sum(mask * (x @ w - y) ** 2) / jnp.sum(mask)
    tx = gradtx.accumulate(gradtx.sgd(1.0), n)
    state, updates = tx.init(w), None
    for k in range(n):
        part = slice(k * 32 // n, (k + 1) * 32 // n)
        grads = jax.grad(loss)(w, x[part], y[part], mask[part])
        updates, state = tx.update(grads, state, w, weight=jnp.sum(mask[part]))
    chex.assert_trees_all_close(updates, -jax.grad(loss)(w, x, y, mask), rtol=2e-6, atol=1e-6)


def test_a_micro_step_of_weight_zero_adds_nothing():
    tx = gradtx.accumulate(gradtx.sgd(1.0), 2)
    out, _ = run(tx, jnp.array([3.0, jnp.nan]), jnp.zeros(()), weight=jnp.array([5, 0]))
    assert float(out[1]) == -3.0


def test_schedules_inside_count_optimizer_steps():
    seen = gradtx.Schedule(lambda step: 1 + step)
    out, _ = run(gradtx.accumulate(gradtx.sgd(seen), 3), jnp.ones(9), jnp.zeros(()))
    assert [float(u) for u in out] == [0, 0, -1, 0, 0, -2, 0, 0, -3]


def test_every_may_be_a_schedule_of_optimizer_steps():
    every = gradtx.Schedule(lambda step: jnp.where(step < 1, 1, 3))
    out, state = run(gradtx.accumulate(gradtx.sgd(1.0), every), jnp.arange(8.0), jnp.zeros(()))
    assert [float(u) for u in out] == [-0.0, 0, 0, -2, 0, 0, -5, 0]
    assert int(state.gradient_step) == 3


def test_one_compilation_for_every_number_of_micro_steps():
    traces = []

    @jax.jit
    def step(tx, grads, state):
        traces.append(tx)
        return tx.update(grads, state)

    params = jnp.ones(3)
    for every in (1, 2, 4):
        tx = gradtx.accumulate(gradtx.sgd(1.0), every)
        step(tx, params, tx.init(params))
    assert len(traces) == 1


def test_zeros_between_are_exact_and_has_updated_says_so():
    params, grads = make_params(), make_grads(6)
    tx = gradtx.accumulate(gradtx.adam(0.1), 3)
    state = tx.init(params)
    assert not gradtx.has_updated(state)
    for t in range(6):
        updates, state = jax.jit(tx.update)(at(grads, t), state, params)
        assert bool(gradtx.has_updated(state)) == (t % 3 == 2)
        assert all(bool(jnp.all(u == 0)) != gradtx.has_updated(state) for u in jax.tree.leaves(updates))


def test_skipped_micro_steps_are_as_if_they_had_not_been():
    tx = gradtx.accumulate(gradtx.adam(0.1), 2, skip=gradtx.skip_not_finite())
    bad = jnp.array([1.0, jnp.nan, jnp.inf, 3.0])
    out, state = run(tx, jnp.stack([bad, bad[::-1]], 1)[:, :1], jnp.zeros(1))
    clean, clean_state = run(gradtx.accumulate(gradtx.adam(0.1), 2), jnp.array([[1.0], [3.0]]), jnp.zeros(1))
    assert [float(u[0]) for u in out[:3]] == [0, 0, 0]
    chex.assert_trees_all_equal(out[3], clean[1])
    chex.assert_trees_all_equal(state.inner_opt_state, clean_state.inner_opt_state)
    assert state.skip_state == {"should_skip": False, "num_not_finite": 0}


def test_a_skip_right_after_a_step_is_no_step():
    tx = gradtx.accumulate(gradtx.sgd(1.0), 1, skip=gradtx.skip_not_finite())
    _, state = run(tx, jnp.array([1.0, jnp.nan]), jnp.zeros(()))
    assert not gradtx.has_updated(state)
    assert int(state.gradient_step) == 1
    assert bool(state.skip_state["should_skip"])


def test_skip_functions():
    tree = {"a": jnp.array([3.0, jnp.nan]), "b": jnp.array([jnp.inf, 4.0])}
    skip, info = gradtx.skip_not_finite()(tree, 0)
    assert bool(skip) and int(info["num_not_finite"]) == 2
    large = gradtx.skip_large_updates(25.0)
    assert bool(large(tree, 0)[0])  # NaN
    skip, info = large({"a": jnp.array([3.0, 4.0])}, 0)
    assert not bool(skip) and float(info["norm_squared"]) == 25.0
    assert bool(large({"a": jnp.array([3.0, 4.1])}, 0)[0])
    annealed = gradtx.skip_large_updates(lambda step: 10 - step)
    assert [bool(annealed({"a": jnp.array(3.0)}, jnp.int32(t))[0]) for t in (0, 1, 2)] == [False, False, True]
    assert gradtx.hyperparameters(gradtx.accumulate(gradtx.sgd(0.1), 2, skip=large))["skip"] == large


@pytest.mark.parametrize("params_dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
@pytest.mark.parametrize("grads_dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
@pytest.mark.parametrize("acc", [None, "bfloat16", "float32"])
def test_dtypes(params_dtype, grads_dtype, acc):
    params, grads = make_params(params_dtype), make_grads(4, grads_dtype)
    inner = gradtx.adam(0.1)
    tx = gradtx.accumulate(inner, 2)
    tx = tx if acc is None else gradtx.stored(tx, acc_grads=acc)
    state = tx.init(params)
    kept = jnp.dtype(acc or "float32")
    assert {x.dtype for x in jax.tree.leaves(state.acc_grads)} == {kept}

    def body(state, g):
        updates, state = tx.update(g, state, params)
        return state, updates

    after, updates = jax.eval_shape(lambda s: jax.lax.scan(body, s, grads), state)
    assert types_of(after) == types_of(state)
    expected, _ = jax.eval_shape(inner.update, at(grads, 0), inner.init(params), params)
    assert jax.tree.map(lambda u: u.dtype, updates) == jax.tree.map(lambda u: u.dtype, expected)


def test_float64_gradients_gathered_in_float32_and_the_reverse():
    with jax.enable_x64(True):
        for dtype, acc in ((jnp.float64, "float32"), (jnp.float32, "float64")):
            params, grads = make_params(dtype), make_grads(2, dtype)
            out, state = run(gradtx.stored(gradtx.accumulate(gradtx.sgd(1.0), 2), acc_grads=acc), grads, params)
            assert {x.dtype for x in jax.tree.leaves(state.acc_grads)} == {jnp.dtype(acc)}
            mean = jax.tree.map(lambda g: -jnp.mean(g, 0), grads)
            chex.assert_trees_all_close(out[1], mean, rtol=1e-6, atol=1e-6)


def memory(tx, params):
    """Bytes alive at once in a compiled training step whose parameters and state are donated."""

    def loss(p, x):
        return jnp.mean((jnp.tanh(jnp.tanh(x @ p["a"]) @ p["b"]) @ p["c"]) ** 2)

    def step(p, s, x):
        return gradtx.step(tx, p, s, jax.grad(loss)(p, x))

    state = jax.eval_shape(tx.init, params)
    compiled = jax.jit(step, donate_argnums=(0, 1)).lower(params, state, jnp.ones((8, 256))).compile()
    m: Any = compiled.memory_analysis()
    return m.argument_size_in_bytes + m.output_size_in_bytes + m.temp_size_in_bytes - m.alias_size_in_bytes


@pytest.mark.parametrize("inner", [gradtx.sgd(0.1, 0.9), gradtx.adam(0.1)], ids=lambda tx: tx.name)
def test_memory_is_one_accumulator(inner):
    params = {name: jnp.ones((256, 256)) for name in "abc"}
    one = sum(x.nbytes for x in jax.tree.leaves(params))
    more = memory(gradtx.accumulate(inner, 4), params) - memory(inner, params)
    assert more <= 1.05 * one, more / one


def test_another_library_sees_its_own_dtype():
    seen = []

    class Theirs:
        init = staticmethod(lambda params: ())

        @staticmethod
        def update(updates, state, params=None):
            seen.append(updates.dtype)
            return updates, state

    tx = gradtx.accumulate(Theirs(), 2)
    params = jnp.ones(3, jnp.bfloat16)
    state = tx.init(params)
    for _ in range(2):
        _, state = tx.update(params, state, params)
    assert set(seen) == {jnp.dtype(jnp.bfloat16)}


def test_missing_gradients_stay_missing():
    params = {"w": jnp.ones(2), "frozen": jnp.ones(3)}
    tx = gradtx.accumulate(gradtx.adam(0.1), 1)
    updates, state = tx.update({"w": jnp.ones(2), "frozen": None}, tx.init(params), params)
    assert updates["frozen"] is None
    chex.assert_trees_all_equal(state.acc_grads["frozen"], jnp.zeros(3))


def test_agrees_with_optax():
    optax = pytest.importorskip("optax")
    params, grads = make_params(), make_grads(20)
    out, _ = run(gradtx.accumulate(gradtx.adam(0.1), 4), grads, params)
    theirs = optax.MultiSteps(optax.adam(0.1), 4)
    state = theirs.init(params)
    with jax.numpy_dtype_promotion("standard"):
        for t in range(20):
            updates, state = jax.jit(theirs.update)(at(grads, t), state, params)
            chex.assert_trees_all_close(out[t], updates, rtol=1e-5, atol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match=r"accumulate: every must be in \[1, inf\), got 0"):
        gradtx.accumulate(gradtx.sgd(0.1), 0)
    with pytest.raises(TypeError, match="accumulate: every must be a whole number"):
        gradtx.accumulate(gradtx.sgd(0.1), 2.5)
    with pytest.raises(ValueError, match="accumulate: reduction must be one of 'mean', 'sum', got 'max'"):
        gradtx.accumulate(gradtx.sgd(0.1), 2, reduction="max")
    with pytest.raises(TypeError, match=r"accumulate: skip must be a function .*, got 3"):
        gradtx.accumulate(gradtx.sgd(0.1), 2, skip=3)  # pyright: ignore[reportArgumentType]
    tx = gradtx.accumulate(gradtx.sgd(0.1), 2)
    with pytest.raises(TypeError, match="accumulate: state must be MultiStepsState from init, got tuple"):
        tx.update(jnp.ones(2), ())
    with pytest.raises(ValueError, match=r"accumulate: weight must be one number, got float32\(2,\)"):
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)), weight=jnp.ones(2))
    with pytest.raises(ValueError, match=r"accumulate: updates and state differ at \['w'\]: \(3,\) != \(2,\)"):
        tx.update({"w": jnp.ones(3)}, tx.init({"w": jnp.ones(2)}))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_partial_group_is_flushed_by_a_micro_step_of_weight_zero(reduction):
    tx = gradtx.accumulate(gradtx.adam(0.1), 4, reduction=reduction)
    params, grads = make_params(), make_grads(3)
    state = tx.init(params)
    for i in range(3):
        _, state = tx.update(at(grads, i), state, params)
    flush = gradtx.replace(tx, every=1)
    updates, state = flush.update(jax.tree.map(jnp.zeros_like, params), state, params, weight=0)
    assert gradtx.has_updated(state) and int(state.mini_step) == 0 and int(state.gradient_step) == 1
    gathered = jax.tree.map(lambda g: g.mean(0) if reduction == "mean" else g.sum(0), grads)
    wanted, _ = tx.inner.update(gathered, tx.inner.init(params), params)
    chex.assert_trees_all_close(updates, wanted, rtol=1e-5)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_leaf_that_is_reset_in_mid_group_is_averaged_over_its_own_micro_steps(reduction):
    params = {"old": jnp.ones(2), "new": jnp.ones(3)}
    grads = [jax.tree.map(lambda p, v=v: v * p, params) for v in (1.0, 2.0, 4.0, 10.0)]
    weights = (1.0, 3.0, 2.0, 2.0)
    tx = gradtx.accumulate(gradtx.sgd(1.0), 4, reduction=reduction)
    step = jax.jit(lambda g, s, w: tx.update(g, s, params, weight=w))
    state = tx.init(params)
    for g, w in zip(grads[:2], weights[:2], strict=True):
        _, state = step(g, state, w)
    state = gradtx.reset(tx, state, params, "new")
    for g, w in zip(grads[2:], weights[2:], strict=True):
        updates, state = step(g, state, w)
    both = {"mean": ((1 + 6 + 8 + 20) / 8, (8 + 20) / 4), "sum": (35.0, 28.0)}[reduction]
    np.testing.assert_allclose(updates["old"], -both[0], rtol=1e-6)
    np.testing.assert_allclose(updates["new"], -both[1], rtol=1e-6)
    for g in grads:  # the next group is one for all again
        updates, state = step(g, state, 1.0)
    np.testing.assert_allclose(updates["new"], -17 / 4 if reduction == "mean" else -17, rtol=1e-6)
    np.testing.assert_allclose(updates["old"], updates["new"][:2])
