"""Gradients of single examples: averaged, gathered, and their variance, against NumPy and Optax."""

import pickle

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx import aggregating
from tests.support import types_of

PARAMS = {"w": jnp.ones((2, 3)), "b": (jnp.zeros(()), None)}
TRACK = aggregating.track_per_element_mean_and_variance_with_ema()
RNG = np.random.default_rng(0)


def batches(count, n=4):
    """Gradients of n examples like PARAMS, for some batches."""
    return jax.tree.map(lambda p: jnp.asarray(RNG.standard_normal((count, n, *p.shape)), jnp.float32), PARAMS)


def at(tree, i):
    return jax.tree.map(lambda x: x[i], tree)


def whole(tree):
    """Several batches as one."""
    return jax.tree.map(lambda x: np.asarray(x, np.float64).reshape(-1, *x.shape[2:]), tree)


def run(tx, grads, params=PARAMS, **extra):
    """Compiled steps over stacked gradients; the state keeps its types."""
    step = jax.jit(lambda g, s: tx.update(g, s, params, **extra))
    state, results = tx.init(params), []
    for i in range(len(jax.tree.leaves(grads)[0])):
        result, new = step(at(grads, i), state)
        chex.assert_trees_all_equal(types_of(new), types_of(state))
        state = new
        results.append(result)
    return results, state


def test_average_over_examples():
    grads = batches(1)
    tx = aggregating.average_per_element_updates()
    (mean,), state = run(tx, grads)
    chex.assert_trees_all_close(mean, jax.tree.map(lambda g: g.mean(0), whole(grads)), rtol=1e-5, atol=1e-6)
    assert state == ()
    two = aggregating.average_per_element_updates([0, -1]).update(jnp.arange(24.0).reshape(3, 4, 2), state)[0]
    chex.assert_trees_all_close(two, jnp.arange(24.0).reshape(3, 4, 2).mean((0, 2)))


def test_several_batches_make_one_step_of_adam():
    grads = batches(4)
    tx = aggregating.process(gradtx.identity(), aggregating.average_incrementally_updates(0, 2), gradtx.adam(0.1))
    updates, state = run(tx, grads)
    adam, adam_state = gradtx.adam(0.1), gradtx.adam(0.1).init(PARAMS)
    for i in range(4):
        if i % 2 == 0:
            chex.assert_trees_all_equal(updates[i], jax.tree.map(jnp.zeros_like, PARAMS))
            continue
        mean = jax.tree.map(lambda g, i=i: jnp.asarray(g[4 * (i - 1) : 4 * (i + 1)].mean(0), jnp.float32), whole(grads))
        expected, adam_state = adam.update(mean, adam_state, PARAMS)
        chex.assert_trees_all_close(updates[i], expected, rtol=1e-4, atol=1e-6)
    assert int(state[2][0].count) == 2 and bool(state[1][1].ready)


def test_means_of_batches_that_are_averaged_already():
    tx = aggregating.average_incrementally_updates(None, 3)
    updates, state = run(tx, jnp.array([1.0, 2.0, 6.0, 5.0]), jnp.zeros(()))
    chex.assert_trees_all_close(updates, [0.0, 0.0, 3.0, 0.0])
    assert (int(state.micro_step), float(state.avg_grad), bool(state.ready)) == (1, 5.0, False)
    assert aggregating.accumulate_avg_updates(1).init(PARAMS) == ()


@pytest.mark.parametrize("steps", [1, 3])
def test_mean_and_squared_distances_over_all_batches(steps):
    grads = batches(steps)
    results, _ = run(aggregating.get_per_element_mean_and_sum_sq_diff_grads(0, steps), grads)
    every = whole(grads)
    mean, aux = results[-1]
    chex.assert_trees_all_close(mean, jax.tree.map(lambda g: g.mean(0), every), rtol=1e-5, atol=1e-6)
    squares = jax.tree.map(lambda g: np.sum((g - g.mean(0)) ** 2, 0), every)
    chex.assert_trees_all_close(aux["sum_sq_diff_grads"], squares, rtol=1e-5)
    assert int(aux["sample_size"]) == 4 * steps
    for mean, aux in results[:-1]:
        assert not any(np.any(x) for x in jax.tree.leaves((mean, aux)))


def test_running_averages_of_mean_and_variance():
    grads, decay = batches(6), 0.7
    tx = aggregating.add_mean_variance_to_opt(gradtx.sgd(1.0), decay, accumulation_steps=2)
    updates, state = run(tx, grads)
    mean_ema = variance_ema = weight = 0.0
    for i in range(3):
        g = whole(at(grads, slice(2 * i, 2 * i + 2)))["w"]
        mean_ema = decay * mean_ema + (1 - decay) * g.mean(0)
        variance_ema = decay * variance_ema + (1 - decay) * g.var(0, ddof=1)
        weight = decay * weight + (1 - decay)
        np.testing.assert_allclose(updates[2 * i + 1]["w"], -g.mean(0), rtol=1e-4, atol=1e-6)
    mean, variance = aggregating.get_unbiased_mean_and_variance_ema(state)
    np.testing.assert_allclose(mean["w"], mean_ema / weight, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(variance["w"], variance_ema / weight, rtol=1e-4)


def test_before_the_first_step_and_with_one_example_all_is_finite():
    tx = aggregating.add_mean_variance_to_opt(gradtx.sgd(1.0))
    chex.assert_tree_all_finite(aggregating.get_unbiased_mean_and_variance_ema(tx.init(PARAMS)))
    _, state = run(tx, batches(1, n=1))
    mean, variance = aggregating.get_unbiased_mean_and_variance_ema(state)
    chex.assert_tree_all_finite(mean)
    assert not np.any(variance["w"])


def test_narrow_and_complex_gradients():
    tx = aggregating.add_mean_variance_to_opt(gradtx.sgd(1.0), accumulation_steps=2)
    params = {"h": jnp.ones(3, jnp.bfloat16), "z": jnp.ones(2, jnp.complex64)}
    g = {"h": jnp.full((2, 300, 3), 0.125, jnp.bfloat16), "z": jnp.asarray(RNG.standard_normal((2, 300, 2)) + 1j)}
    g["z"] = g["z"].astype(jnp.complex64)
    updates, state = run(tx, g, params)
    chex.assert_trees_all_equal(updates[1]["h"], jnp.full(3, -0.125, jnp.bfloat16))
    mean, variance = aggregating.get_unbiased_mean_and_variance_ema(state)
    assert mean["z"].dtype == jnp.complex64 and variance["z"].dtype == jnp.float32
    np.testing.assert_allclose(variance["z"], np.asarray(g["z"]).reshape(600, 2).var(0, ddof=1), rtol=1e-4)
    assert state[1].mean_grads["h"].dtype == jnp.float32


def test_aggregators_are_values():
    tx = aggregating.add_mean_variance_to_opt(gradtx.sgd(0.1), 0.9)
    assert tx == aggregating.add_mean_variance_to_opt(gradtx.sgd(0.1), 0.9)
    assert hash(tx) == hash(pickle.loads(pickle.dumps(tx)))
    assert repr(aggregating.average_per_element_updates([0, 1])) == "average_per_element_updates(per_elt_axis=(0, 1))"
    assert isinstance(tx, aggregating.Aggregator) and isinstance(tx, gradtx.GradientTransformation)
    assert gradtx.hyperparameters(tx) == {
        "opt.learning_rate": 0.1,
        "opt.dampening": 0.0,
        "ema_decay": 0.9,
    }
    traces = []

    @jax.jit
    def step(tx, grads):
        traces.append(tx)
        return tx.update(grads, tx.init(PARAMS))[0]

    grads = at(batches(1), 0)
    faster = step(gradtx.replace(tx, opt=gradtx.sgd(0.2)), grads)
    chex.assert_trees_all_close(faster, jax.tree.map(lambda u: 2 * u, step(tx, grads)), rtol=1e-6)
    assert len(traces) == 1


def test_pairs_of_functions_and_extra_arguments():
    seen = []

    def update(updates, state, params=None, *, value):
        seen.append(value)
        return (jax.tree.map(lambda g: g.sum(0), updates), {"scale": value}), state

    total = aggregating.Aggregator(lambda params: (), update)
    halve = gradtx.stateless(lambda updates, params: jax.tree.map(lambda g: g / 2, updates))
    scaled = gradtx.GradientTransformation(lambda p: (), lambda u, s, p=None, *, scale: (scale * u, s))
    for aggregator in (total, (total.init, update)):
        tx = aggregating.process(halve, aggregator, scaled, aggregator_has_aux=True)
        updates, _ = tx.update(jnp.ones((4, 2)), tx.init(jnp.ones(2)), value=3.0)
        chex.assert_trees_all_close(updates, jnp.full(2, 6.0))
    assert seen == [3.0, 3.0]


def test_they_go_into_chains():
    tx = gradtx.chain(aggregating.average_per_element_updates(), gradtx.scale(2.0))
    updates, _ = tx.update(jnp.arange(4.0)[:, None], tx.init(jnp.ones(1)))
    chex.assert_trees_all_close(updates, jnp.array([3.0]))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: aggregating.accumulate_avg_updates(0), ValueError, r"accumulation_steps must be in \[1, inf\), got 0"),
        (lambda: aggregating.average_incrementally_updates(0, 0), ValueError, "accumulation_steps must be in"),
        (lambda: aggregating.average_per_element_updates("x"), TypeError, "per_elt_axis must be an axis or a seq"),
        (lambda: aggregating.average_per_element_updates(()), TypeError, "per_elt_axis must be an axis or a seq"),
        (lambda: aggregating.average_per_element_updates((0, 0)), TypeError, "per_elt_axis must be an axis or a seq"),
        (lambda: aggregating.add_mean_variance_to_opt(gradtx.sgd(1.0), 1.0), ValueError, r"ema_decay must be in \[0"),
        (lambda: aggregating.Aggregator(1, 2), TypeError, "Aggregator: init must be a function .*, got 1"),
        (
            lambda: aggregating.get_batch_size_from_per_elt_updates({"a": jnp.ones(3), "b": jnp.ones((2, 3))}, 0),
            ValueError,
            "must have the same batch size in every leaf",
        ),
        (
            lambda: aggregating.average_per_element_updates(1).update({"a": jnp.ones(3)}, ()),
            ValueError,
            r"must have axes 1 of examples, got float32\(3,\) at \['a'\]",
        ),
        (lambda: aggregating.get_unbiased_mean_and_variance_ema(()), ValueError, "wanted a state with one Per"),
        (
            lambda: TRACK.update(jnp.ones(2), TRACK.init(jnp.ones(2))),
            TypeError,
            "sum_sq_diff_grads",
        ),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_agrees_with_optax():
    optax = pytest.importorskip("optax")
    theirs = pytest.importorskip("optax.experimental").aggregating
    params, grads = jnp.ones(3), jnp.asarray(RNG.standard_normal((4, 5, 3)), jnp.float32)
    for steps in (1, 2):
        ours = aggregating.add_mean_variance_to_opt(gradtx.adam(0.1), 0.8, accumulation_steps=steps)
        other = theirs.add_mean_variance_to_opt(optax.adam(0.1), 0.8, accumulation_steps=steps)
        state, other_state = ours.init(params), other.init(params)
        for g in grads:
            updates, state = ours.update(g, state, params)
            with jax.numpy_dtype_promotion("standard"):
                expected, other_state = other.update(g, other_state, params)
            chex.assert_trees_all_close(updates, expected, rtol=1e-5, atol=1e-6)
        chex.assert_trees_all_close(tuple(state[2][0]), tuple(other_state[2][0]), rtol=1e-5)
        assert state[2][0]._fields == other_state[2][0]._fields
        if steps == 2:
            chex.assert_trees_all_close(tuple(state[1]), tuple(other_state[1]), rtol=1e-5)
            assert state[1]._fields == other_state[1]._fields
