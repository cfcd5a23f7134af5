"""Schedule-free: its average, its precision, and Optax."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import make_grads, make_params, train


def test_by_hand():
    tx = gradtx.schedule_free(gradtx.sgd(0.1), 0.1, b1=0.5)
    params = jnp.array(1.0)
    state = tx.init(params)
    seen = []
    for g in (1.0, 2.0):
        updates, state = tx.update(jnp.array(g), state, params)
        params = params + updates
        seen.append((float(state.z), float(gradtx.evaluation_params(state, params)), float(params)))
    # z: 1 - 0.1, then 0.9 - 0.2; x: the mean of the two; y: half way.
    np.testing.assert_allclose(seen, [(0.9, 0.9, 0.9), (0.7, 0.8, 0.75)], rtol=1e-6)


def test_evaluation_params_are_the_mean_of_the_iterates_also_where_b1_varies():
    b1 = lambda step: 0.5 + 0.4 * jnp.tanh(step / 5)
    tx = gradtx.schedule_free(gradtx.sgd(0.1), 0.1, b1=b1)
    params = make_params()

    def step(carry, g):
        params, state = carry
        updates, state = tx.update(g, state, params)
        params = gradtx.apply_updates(params, updates)
        return (params, state), (state.z, gradtx.evaluation_params(state, params))

    run = jax.jit(lambda params, grads: jax.lax.scan(step, (params, tx.init(params)), grads)[1])
    zs, found = jax.device_get(run(params, make_grads(12)))
    means = jax.tree.map(lambda z: np.stack([np.mean(z[: t + 1], axis=0) for t in range(12)]), zs)
    chex.assert_trees_all_close(found, means, rtol=1e-4, atol=1e-5)


def test_before_the_first_step_the_average_is_the_parameters():
    params = make_params()
    state = gradtx.schedule_free_adamw().init(params)
    chex.assert_trees_all_equal(gradtx.evaluation_params(state, params), params)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_sixteen_bit_parameters_have_the_average_of_the_float32_run(dtype):
    tx = gradtx.schedule_free_sgd(0.05)
    target = jnp.linspace(-2.0, 2.0, 64)
    noise = jax.random.normal(jax.random.key(0), (3000, 64))

    def run(dtype):
        def body(carry, noise):
            params, state = carry
            grads = (params.astype(jnp.float32) - target + noise).astype(dtype)
            return gradtx.step(tx, params, state, grads), None

        params = jnp.zeros(64, dtype)
        (params, state), _ = jax.lax.scan(body, (params, tx.init(params)), noise)
        return params, state

    params, state = jax.jit(run, static_argnums=0)(dtype)
    assert state.z.dtype == state.x.dtype == jnp.float32
    assert gradtx.evaluation_params(state, params).dtype == dtype
    exact = gradtx.evaluation_params(*reversed(jax.jit(run, static_argnums=0)(jnp.float32)))
    # The average is of 3000 noisy gradients; a recovered one would be off by the rounding of the parameters, often.
    np.testing.assert_allclose(state.x, exact, atol=5e-3)


def test_float32_parameters_keep_one_value_each():
    state = gradtx.schedule_free_sgd().init(make_params())
    assert jax.tree.leaves(state.x) == []
    assert sum(x.size for x in jax.tree.leaves(state.z)) == sum(x.size for x in jax.tree.leaves(make_params()))


def test_scalar_parameters_keep_shape_and_dtype():
    params = {"a": jnp.array(1.0, jnp.bfloat16), "b": None}
    tx = gradtx.schedule_free_sgd(0.1)
    _, state = tx.update(params, tx.init(params), params)
    x = gradtx.evaluation_params(state, params)
    assert x["a"].shape == () and x["a"].dtype == jnp.bfloat16 and x["b"] is None


def test_warmup_begins_above_zero_and_counts_less():
    tx = gradtx.schedule_free_sgd(1.0, warmup_steps=4)
    params = jnp.array(0.0)
    state, rates = tx.init(params), []
    for _ in range(6):
        updates, state = tx.update(jnp.array(1.0), state, params)
        params = params + updates
        rates.append(float(state.max_lr))
    np.testing.assert_allclose(rates, [0.25, 0.5, 0.75, 1, 1, 1])
    np.testing.assert_allclose(state.weight_sum, sum(r**2 for r in rates))


def test_radam_is_silent_while_the_second_moment_is_not_trusted():
    params, grads = make_params(), make_grads(8)
    _, _, updates = train(gradtx.schedule_free_radam(0.1), params, grads)
    moves = np.asarray(jnp.abs(updates["vector"]).max(axis=1))
    assert (moves[:4] < 1e-6).all() and (moves[5:] > 1e-4).all()


@pytest.mark.parametrize("name", ["schedule_free_sgd", "schedule_free_adamw"])
def test_agrees_with_optax(name):
    contrib = pytest.importorskip("optax.contrib")
    params, grads = make_params(), make_grads(20)
    theirs = getattr(contrib, name)(0.1, b1=0.8, weight_decay=0.1)
    ours = getattr(gradtx, name)(0.1, b1=0.8, weight_decay=0.1)

    @partial(jax.jit, static_argnums=(0, 1))
    def ends(tx, evaluated):
        end, state, _ = train(tx, params, grads)
        return end, evaluated(state, end)

    with jax.numpy_dtype_promotion("standard"):
        wanted = ends(theirs, contrib.schedule_free_eval_params)
    chex.assert_trees_all_close(ends(ours, gradtx.evaluation_params), wanted, rtol=1e-5, atol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match=r"schedule_free: b1 must be in \(0, 1\], got 0"):
        gradtx.schedule_free(gradtx.sgd(0.1), 0.1, b1=0.0)
    tx = gradtx.schedule_free_sgd(0.1)
    with pytest.raises(ValueError, match="schedule_free needs params"):
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)))
    with pytest.raises(ValueError, match=r"schedule_free: updates and state have different trees|different trees"):
        gradtx.evaluation_params(tx.init({"a": jnp.ones(2)}), {"b": jnp.ones(2)})
