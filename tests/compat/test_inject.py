"""`inject_hyperparams`: what is in the state, its dtypes, schedules, and numbers."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx.compat.optax as optax

PARAMS = {"w": jnp.arange(1.0, 4.0), "b": jnp.ones(())}
GRADS = jax.tree.map(jnp.ones_like, PARAMS)


def test_state():
    tx = optax.inject_hyperparams(optax.adamw)(optax.linear_schedule(1.0, 0.0, 4), mask=None, mu_dtype="bfloat16")
    state = tx.init(PARAMS)
    assert isinstance(state, optax.InjectStatefulHyperparamsState)
    assert type(state.hyperparams) is dict
    assert set(state.hyperparams) == {"learning_rate", "b1", "b2", "eps", "eps_root", "weight_decay"}
    assert type(state.hyperparams_states["learning_rate"]).__name__ == "WrappedScheduleState"
    assert set(state.hyperparams_states) == {"learning_rate"}
    assert state.inner_state[0].mu["w"].dtype == jnp.bfloat16


def test_programs_assign():
    tx = optax.inject_hyperparams(optax.clip_by_global_norm)(0.1)
    step, state = jax.jit(tx.update), tx.init(PARAMS)
    for norm in range(1, 4):
        state.hyperparams["max_norm"] = norm
        updates, state = step(jax.tree.map(lambda g: 100 * g, GRADS), state)
        np.testing.assert_allclose(optax.tree.norm(updates), norm, rtol=1e-6)
    state = optax.tree.set(state, max_norm=0.5)
    np.testing.assert_allclose(optax.tree.norm(step(GRADS, state)[0]), 0.5, rtol=1e-6)


@pytest.mark.parametrize("static", ["b1", ["b1", "eps"]])
def test_static_arguments(static):
    tx = optax.inject_hyperparams(optax.scale_by_adam, static_args=static)(b1=0.5)
    assert not set(tx.init(PARAMS).hyperparams) & set(static if isinstance(static, list) else [static])


def test_unknown_static_arguments():
    with pytest.raises(ValueError, match="no argument nothing"):
        optax.inject_hyperparams(optax.adam, static_args=("nothing",))


def test_static_functions():
    @partial(optax.inject_hyperparams, static_args="mask")
    def scale_some(rate, mask):
        return optax.masked(optax.scale(-rate), mask)

    tx = scale_some(0.1, lambda params: {"w": True, "b": False})
    updates, state = jax.jit(tx.update)(GRADS, tx.init(PARAMS))
    np.testing.assert_allclose(updates["w"], -0.1, rtol=1e-6)
    assert (float(updates["b"]), set(state.hyperparams)) == (1.0, {"rate"})


def test_a_schedule_starts_at_0():
    tx = optax.inject_hyperparams(optax.scale)(lambda count: 10 * count.astype(jnp.float32))
    step, state = jax.jit(tx.update), tx.init(PARAMS)
    for count in range(3):
        updates, state = step(GRADS, state)
        assert float(updates["b"]) == float(state.hyperparams["step_size"]) == 10 * count
        np.testing.assert_array_equal(state.hyperparams_states["step_size"], jnp.int32(count + 1))


class Sum(optax.schedules.StatefulSchedule):
    """The sum of what was seen at the steps before."""

    def init(self):
        return jnp.zeros(())

    def update(self, state, *, seen, **extra):
        return state + seen

    def __call__(self, state, **extra):
        return state


def test_stateful_schedules():
    tx = optax.inject_hyperparams(optax.scale)(step_size=Sum())
    step, state = jax.jit(tx.update), tx.init(PARAMS)
    for before in (0.0, 0.5, 1.0):
        updates, state = step(GRADS, state, PARAMS, seen=0.5)
        assert float(updates["b"]) == float(state.hyperparams["step_size"]) == before
        assert float(state.hyperparams_states["step_size"]) == before + 0.5
    assert optax.inject_stateful_hyperparams is optax.inject_hyperparams


@pytest.mark.parametrize("params_dtype", [jnp.float32, jnp.bfloat16])
def test_dtypes(params_dtype):
    params = optax.tree.cast(PARAMS, params_dtype)
    given = {"b1": 0.5, "b2": jnp.asarray(0.5), "eps": jnp.float32(1e-3), "eps_root": jnp.bfloat16(0.0)}
    kept = {"b1": params_dtype, "b2": params_dtype, "eps": jnp.float32, "eps_root": jnp.bfloat16}
    tx = optax.inject_hyperparams(optax.scale_by_adam)(**given)
    state = jax.eval_shape(tx.init, params)
    assert {name: x.dtype for name, x in state.hyperparams.items()} == kept
    for grads_dtype in (jnp.float32, jnp.bfloat16):
        grads = optax.tree.cast(params, grads_dtype)
        assert jax.eval_shape(tx.update, grads, state, params)[1] == state
    override = optax.inject_hyperparams(optax.scale_by_adam, hyperparam_dtype=jnp.bfloat16)(**given)
    assert jax.eval_shape(override.init, params).hyperparams["b1"].dtype == jnp.bfloat16
    assert jax.eval_shape(override.init, params).hyperparams["eps"].dtype == jnp.float32


def test_numbers_that_16_bits_cannot_hold():
    """In bfloat16 0.999 is 1: the state shows that, and what was given is computed with until it is assigned."""
    params = optax.tree.cast(PARAMS, jnp.bfloat16)
    tx, plain = optax.inject_hyperparams(optax.scale_by_adam)(), optax.scale_by_adam()
    state, plain_state = tx.init(params), plain.init(params)
    assert float(state.hyperparams["b2"]) == 1.0
    for _ in range(3):
        updates, state = tx.update(params, state)
        wanted, plain_state = plain.update(params, plain_state)
        np.testing.assert_array_equal(updates["w"], wanted["w"])
        assert updates["w"].dtype == jnp.bfloat16
    state.hyperparams["b1"] = jnp.bfloat16(0.0)
    state.hyperparams["b2"] = jnp.bfloat16(0.0)
    np.testing.assert_array_equal(tx.update(-params["w"], state._replace(inner_state=plain.init(params["w"])))[0], -1.0)


STATIC = {"adafactor": "min_dim_size_to_factor", "schedule_free_adamw": "warmup_steps"}
NAMES = ["adafactor", "adamw", "lion", "noisy_sgd", "novograd", "rprop", "sm3", "momo", "schedule_free_adamw", "sophia"]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_numbers_with_and_without(name):
    make = getattr(optax, name, None) or getattr(optax.contrib, name)
    kwargs = {"key": 3} if name == "noisy_sgd" else {}
    plain, injected = make(0.1, **kwargs), optax.inject_hyperparams(make, STATIC.get(name, ()))(0.1, **kwargs)
    state, injected_state = plain.init(PARAMS), injected.init(PARAMS)
    extra = {"value": 2.0, "obj_fn": lambda params: optax.tree.norm(params, squared=True)}
    for _ in range(2):
        updates, state = plain.update(GRADS, state, PARAMS, **extra)
        injected_updates, injected_state = injected.update(GRADS, injected_state, PARAMS, **extra)
        np.testing.assert_allclose(injected_updates["w"], updates["w"], rtol=1e-5)


def test_partial_factories():
    tx = optax.inject_hyperparams(partial(optax.nadam, b1=0.5))(0.1)
    assert float(tx.init(PARAMS).hyperparams["b1"]) == 0.5
    assert "nesterov" not in tx.init(PARAMS).hyperparams


def test_a_second_update_does_not_compile():
    tx = optax.inject_hyperparams(optax.sgd)(optax.linear_schedule(1.0, 0.0, 4), 0.9)
    traces = []

    @jax.jit
    def step(grads, state):
        traces.append(1)
        return tx.update(grads, state)

    _, state = step(GRADS, tx.init(PARAMS))
    step(GRADS, state)
    assert len(traces) == 1


def test_random_keys():
    tx = optax.inject_hyperparams(optax.add_noise)(eta=0.1, gamma=0.5, key=jax.random.key(3))
    plain = optax.add_noise(eta=0.1, gamma=0.5, key=jax.random.key(3))
    updates, state = jax.jit(tx.update)(GRADS, tx.init(PARAMS))
    np.testing.assert_allclose(updates["w"], plain.update(GRADS, plain.init(PARAMS))[0]["w"], rtol=1e-6)
    assert float(state.hyperparams["eta"]) == pytest.approx(0.1)
