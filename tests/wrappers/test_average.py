"""Averages of parameters: their formulas, and the one call that finds evaluation parameters."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import at, make_grads, make_params, train

STEPS = 12
BASE = gradtx.adam(0.05)


def iterates(params, grads):
    """theta_1, theta_2, ... of the bare optimizer."""
    out, state = [], BASE.init(params)
    for t in range(STEPS):
        updates, state = BASE.update(at(grads, t), state, params)
        params = gradtx.apply_updates(params, updates)
        out.append(params)
    return out


def averaged(tx):
    """What evaluation_params gives after the run, and the parameters of the run."""
    params, grads = make_params(), make_grads(STEPS)
    params, state, _ = train(tx, params, grads)
    return gradtx.evaluation_params(state, params), iterates(make_params(), grads)


def weighted(trees, weights):
    total = sum(weights)
    return jax.tree.map(lambda *xs: sum(w * x for w, x in zip(weights, xs, strict=True)) / total, *trees)


def test_ema_is_debiased():
    average, thetas = averaged(gradtx.ema_params(BASE, 0.8))
    expected = weighted(thetas, [0.2 * 0.8 ** (STEPS - t) for t in range(1, STEPS + 1)])
    chex.assert_trees_all_close(average, expected, rtol=1e-5, atol=1e-6)


def test_ema_from_the_first_parameters():
    average, thetas = averaged(gradtx.ema_params(BASE, 0.8, debias=False))
    weights = [0.8**STEPS, *(0.2 * 0.8 ** (STEPS - t) for t in range(1, STEPS + 1))]
    chex.assert_trees_all_close(average, weighted([make_params(), *thetas], weights), rtol=1e-5, atol=1e-6)


def test_ema_with_warmup_reaches_less_far_back():
    average, thetas = averaged(gradtx.ema_params(BASE, 0.99, warmup=True))
    weights = []
    for t in range(1, STEPS + 1):
        d = min(0.99, (1 + t) / (10 + t))
        weights = [d * w for w in weights] + [1 - d]
    chex.assert_trees_all_close(average, weighted(thetas, weights), rtol=1e-5, atol=1e-6)


def test_swa_takes_every_period_th():
    average, thetas = averaged(gradtx.swa_params(BASE, start=4, period=3))
    chex.assert_trees_all_close(average, weighted([thetas[t - 1] for t in (4, 7, 10)], [1, 1, 1]), rtol=1e-5, atol=1e-6)


def test_polyak_takes_the_tail():
    average, thetas = averaged(gradtx.polyak_params(BASE, start=7))
    chex.assert_trees_all_close(average, weighted(thetas[6:], [1] * 6), rtol=1e-5, atol=1e-6)


def test_before_there_is_an_average_it_is_the_parameters():
    params = make_params()
    for tx in (gradtx.ema_params(BASE), gradtx.swa_params(BASE, start=5)):
        chex.assert_trees_all_equal(gradtx.evaluation_params(tx.init(params), params), params)


@pytest.mark.parametrize("maker", [gradtx.ema_params, gradtx.swa_params, gradtx.polyak_params])
def test_training_is_left_alone(maker):
    params, grads = make_params(), at(make_grads(1), 0)
    tx = maker(BASE)
    updates, (state, _) = tx.update(grads, tx.init(params), params)
    expected, expected_state = BASE.update(grads, BASE.init(params), params)
    chex.assert_trees_all_equal(updates, expected)
    chex.assert_trees_all_equal(state, expected_state)


def test_sixteen_bit_parameters_are_averaged_in_float32():
    tx = gradtx.polyak_params(gradtx.sgd(1.0))
    params = jnp.ones(4, jnp.bfloat16)
    state = tx.init(params)
    for _ in range(100):
        params, state = gradtx.step(tx, params, state, jnp.full(4, -(2.0**-7)))
    np.testing.assert_allclose(state[1].average, 1 + 2.0**-7 * 50.5, rtol=1e-6)
    assert gradtx.evaluation_params(state, params).dtype == jnp.bfloat16


def test_evaluation_params_of_an_optimizer_without_any_are_the_parameters():
    params = make_params()
    found = gradtx.evaluation_params(BASE.init(params), params)
    assert all(a is b for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(params), strict=True))


def test_evaluation_params_are_found_in_parts():
    params, grads = make_params(), make_grads(3)
    parts = {"free": gradtx.schedule_free_sgd(0.1), "plain": gradtx.sgd(0.1), "ema": gradtx.ema_params(BASE, 0.5)}
    tx = gradtx.partition(parts, {"scalar": "ema", "vector": "free", "matrix": "plain", "kernel": "plain"})
    end, state, _ = train(gradtx.chain(gradtx.clip(1.0), tx), params, grads)
    found = jax.jit(gradtx.evaluation_params)(state, end)
    for name in ("matrix", "kernel"):
        chex.assert_trees_all_equal(found[name], end[name])
    alone = gradtx.chain(gradtx.clip(1.0), parts["free"])
    one, one_state, _ = train(alone, params["vector"], grads["vector"])
    chex.assert_trees_all_close(found["vector"], gradtx.evaluation_params(one_state, one), rtol=1e-5, atol=1e-6)
    assert float(found["scalar"]) != float(end["scalar"])


def test_the_outermost_wrapper_counts():
    params, grads = make_params(), make_grads(4)
    tx = gradtx.ema_params(gradtx.lookahead(BASE, 2, 0.5), 0.5)
    end, state, _ = train(gradtx.lookahead(tx, 3, 0.5), params, grads)
    chex.assert_trees_all_close(gradtx.evaluation_params(state, end), state.slow)


def test_two_averages_side_by_side_are_an_error():
    params = {"w": jnp.ones(2)}
    tx = gradtx.chain(gradtx.ema_params(BASE), gradtx.swa_params(gradtx.identity()))
    with pytest.raises(ValueError, match=r"two wrappers average or keep the parameter at \['w'\]"):
        gradtx.evaluation_params(tx.init(params), params)


def test_evaluation_params_can_be_donated_with_the_state():
    params = make_params()
    tx = gradtx.schedule_free_sgd(0.1)
    state = tx.init(params)
    x = gradtx.evaluation_params(state, params)
    buffers = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves((x, state)) if leaf.size > 1]
    assert len(set(buffers)) == len(buffers)


def test_errors():
    with pytest.raises(ValueError, match=r"ema_params: decay must be in \[0, 1\), got 1"):
        gradtx.ema_params(BASE, 1.0)
    with pytest.raises(ValueError, match=r"swa_params: period must be in \[1, inf\), got 0"):
        gradtx.swa_params(BASE, period=0)
    with pytest.raises(ValueError, match="needs params"):
        gradtx.ema_params(BASE).update(jnp.ones(2), gradtx.ema_params(BASE).init(jnp.ones(2)))
