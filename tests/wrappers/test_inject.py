"""inject_hyperparams: the state that programs expect, and the numbers of the bare optimizer."""

import functools
import pickle

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import make_grads, make_params, train

STEPS = 1000
decay = gradtx.exponential_decay(0.01, 100, 0.9)


@pytest.mark.parametrize("rate", [0.01, decay], ids=["number", "schedule"])
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32, jnp.float64], ids=lambda d: d.__name__)
def test_equals_the_bare_optimizer_over_1000_steps(dtype, rate):
    with jax.enable_x64(dtype == jnp.float64):
        params = {"w": make_params(dtype)["matrix"]}
        grads = {"w": make_grads(STEPS, dtype)["matrix"]}
        run = jax.jit(lambda tx: train(tx, params, grads))
        bare, bare_state, _ = run(gradtx.adam(rate, 0.9, 0.999, 1e-6))
        end, state, _ = run(gradtx.inject_hyperparams(gradtx.adam)(rate, b1=0.9, b2=0.999, eps=1e-6))
        tolerance = 1e-9 if dtype == jnp.float64 else 1e-4 if dtype == jnp.float32 else 2e-2
        chex.assert_trees_all_close(end, bare, rtol=tolerance, atol=tolerance)
        chex.assert_trees_all_close(state.inner_state[0], bare_state[0], rtol=tolerance, atol=tolerance)
        assert int(state.count) == STEPS


def test_what_is_in_the_state():
    tx = gradtx.inject_hyperparams(gradtx.adam)(decay, weight_decay=gradtx.coupled(0.1))
    state = tx.init(make_params(jnp.bfloat16))
    assert type(state.hyperparams) is dict
    assert set(state.hyperparams) == {"learning_rate", "b1", "b2", "eps", "eps_root", "weight_decay.weight_decay"}
    assert all(h.dtype == jnp.float32 for h in state.hyperparams.values())
    np.testing.assert_allclose(state.hyperparams["learning_rate"], 0.01)
    half = gradtx.inject_hyperparams(gradtx.sgd, hyperparam_dtype=jnp.bfloat16)(0.1)
    assert half.init(make_params()).hyperparams["learning_rate"].dtype == jnp.bfloat16


def test_seeds_and_static_arguments_are_not():
    tx = gradtx.inject_hyperparams(gradtx.add_noise)(0.01, 0.55, key=3)
    assert set(tx.init(jnp.ones(2)).hyperparams) == {"eta", "gamma"}
    tx = gradtx.inject_hyperparams(gradtx.add_noise)(0.01, 0.55, key=jax.random.key(3))
    assert set(tx.init(jnp.ones(2)).hyperparams) == {"eta", "gamma"}
    tx = gradtx.inject_hyperparams(gradtx.adam, static_args=["b1", "eps"])(0.1, nesterov=True)
    assert set(tx.init(jnp.ones(2)).hyperparams) == {"learning_rate", "b2", "eps_root"}
    assert set(gradtx.inject_hyperparams(gradtx.scale, "step_size")(0.1).init(jnp.ones(2)).hyperparams) == set()


def test_assigning_between_steps_takes_effect_and_compiles_once():
    tx = gradtx.inject_hyperparams(gradtx.sgd)(learning_rate=0.1)
    params = jnp.ones(2)
    state = tx.init(params)
    chex.clear_trace_counter()
    step = jax.jit(chex.assert_max_traces(tx.update, n=2))  # an assigned Python number is traced once more
    for rate in (1.0, 0.5, 0.25):
        state.hyperparams["learning_rate"] = rate
        updates, state = step(params, state)
        np.testing.assert_allclose(updates, -rate * params)
        assert float(state.hyperparams["learning_rate"]) == rate
    state.hyperparams["learning_rate"] = jnp.bfloat16(0.5)
    _, state = tx.update(params, state)
    assert state.hyperparams["learning_rate"].dtype == jnp.float32


def test_schedules_start_at_zero_and_win_over_what_is_assigned():
    tx = gradtx.inject_hyperparams(gradtx.sgd)(lambda count: 1.0 + count.astype(float))
    state = tx.init(jnp.ones(2))
    for t in range(3):
        state.hyperparams["learning_rate"] = 7.0
        updates, state = tx.update(jnp.ones(2), state)
        np.testing.assert_allclose(updates, -(1.0 + t))
        assert float(state.hyperparams["learning_rate"]) == 1.0 + t


def test_a_transformation_is_named_by_path():
    tx = gradtx.inject_hyperparams(gradtx.chain(gradtx.clip_by_global_norm(1.0), gradtx.scale(-0.1)))
    params = {"w": jnp.array([3.0, 4.0])}
    state = tx.init(params)
    assert set(state.hyperparams) == {"links[0].max_norm", "links[1].step_size"}
    state.hyperparams["links[0].max_norm"] = 10
    updates, _ = tx.update(params, state, params)
    np.testing.assert_allclose(updates["w"], [-0.3, -0.4], rtol=1e-6)
    assert pickle.loads(pickle.dumps(tx)) == tx


def scaled_sgd(rate, factor=2.0, *, name="x", flag=True, period=3):
    """Somebody's own factory, without annotations."""
    assert name == "x" and flag is True and isinstance(period, int)
    return gradtx.chain(gradtx.scale(factor), gradtx.sgd(rate))


@pytest.mark.parametrize("factory", [scaled_sgd, functools.partial(scaled_sgd, name="x")])
def test_any_function_is_a_factory(factory):
    tx = gradtx.inject_hyperparams(factory)(lambda count: 0.1 * (count.astype(float) + 1))
    state = tx.init(jnp.ones(2))
    assert set(state.hyperparams) == {"rate", "factor"}
    updates, state = tx.update(jnp.ones(2), state)
    updates, state = tx.update(jnp.ones(2), state)
    np.testing.assert_allclose(updates, -0.4, rtol=1e-6)
    assert gradtx.inject_hyperparams(factory)(0.1) == gradtx.inject_hyperparams(factory)(0.1)


def test_a_factory_of_optax():
    optax = pytest.importorskip("optax")
    params, grads = make_params(), make_grads(5)
    tx = gradtx.inject_hyperparams(optax.adam)(learning_rate=0.1, mu_dtype=jnp.float32)
    with jax.numpy_dtype_promotion("standard"):
        end, state, _ = train(tx, params, grads)
    chex.assert_trees_all_close(end, train(gradtx.adam(0.1), params, grads)[0], rtol=1e-5, atol=1e-6)
    assert set(state.hyperparams) == {"learning_rate", "b1", "b2", "eps", "eps_root"}


def test_extra_arguments_pass():
    tx = gradtx.inject_hyperparams(gradtx.reduce_on_plateau)(factor=0.5, patience=1)
    state = tx.init(jnp.ones(2))
    _, state = tx.update(jnp.ones(2), state, value=1.0)
    updates, _ = tx.update(jnp.ones(2), state, value=1.0)
    np.testing.assert_allclose(updates, 0.5)


def test_errors():
    with pytest.raises(ValueError, match="inject_hyperparams: sgd has no argument 'rate' to be static"):
        gradtx.inject_hyperparams(gradtx.sgd, static_args="rate")
    with pytest.raises(
        TypeError, match="inject_hyperparams: inner must be a transformation or a function that makes one, got 3"
    ):
        gradtx.inject_hyperparams(3)  # pyright: ignore[reportCallIssue, reportArgumentType]
    with pytest.raises(ValueError, match=r"sgd: learning_rate must be in \[0, inf\), got -1"):
        gradtx.inject_hyperparams(gradtx.sgd)(-1)
