"""`MultiSteps` and its rules for gradients that are left out."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx.compat.optax as optax

PARAMS = {"w": jnp.zeros(2)}


def feed(ms, *values, params=PARAMS):
    """The first element of each update, whether each call took a step, and the last state."""
    state, firsts, stepped = ms.init(params), [], []
    for value in values:
        grads = jax.tree.map(lambda p, value=value: jnp.full_like(p, value), params)
        updates, state = ms.update(grads, state, params)
        firsts.append(float(updates["w"][0]))
        stepped.append(bool(ms.has_updated(state)))
    return firsts, stepped, state


def test_mean_and_sum():
    ms = optax.MultiSteps(optax.scale(1.0), 4)
    assert not ms.has_updated(ms.init(PARAMS))
    firsts, stepped, state = feed(ms, 1, 2, 3, 4, 8)
    assert firsts == [0, 0, 0, 2.5, 0]
    assert stepped == [False, False, False, True, False]
    assert (int(state.mini_step), int(state.gradient_step)) == (1, 1)
    assert feed(optax.MultiSteps(optax.scale(1.0), 3, use_grad_mean=False), 1, 2, 3)[0] == [0, 0, 6]


def test_it_is_a_class_and_a_pair():
    ms = optax.MultiSteps(optax.sgd(1.0), 2)
    init, update = ms.gradient_transformation()
    state = init(PARAMS)
    assert state == optax.MultiStepsState(0, 0, (optax.EmptyState(),) * 2, state.acc_grads)
    assert isinstance(ms.inner_opt, optax.GradientTransformation)
    _, state = update(PARAMS, state, PARAMS)
    assert int(state.mini_step) == 1


def test_the_schedule_takes_the_gradient_step():
    ms = optax.MultiSteps(optax.scale(1.0), lambda step: jnp.where(step < 2, 1, 3))
    assert feed(ms, *[1] * 8)[1] == [True, True, False, False, True, False, False, True]


def test_a_skipped_gradient_changes_nothing():
    ms = optax.MultiSteps(optax.scale(1.0), 2, should_skip_update_fn=optax.skip_not_finite)
    firsts, _, state = feed(ms, 1.0, jnp.nan, 3.0, jnp.inf)
    assert firsts == [0, 0, 2, 0]
    assert (int(state.mini_step), int(state.gradient_step)) == (0, 1)
    assert bool(state.skip_state["should_skip"])
    assert int(state.skip_state["num_not_finite"]) == 2
    small = partial(optax.skip_large_updates, max_squared_norm=10.0)
    assert feed(optax.MultiSteps(optax.scale(1.0), 2, should_skip_update_fn=small), 1, 9, jnp.nan, 2)[0] == [
        0,
        0,
        0,
        1.5,
    ]


def test_skip_functions():
    step = jnp.zeros((), jnp.int32)
    for bad in (jnp.inf, -jnp.inf, jnp.nan):
        skip, info = optax.skip_not_finite([jnp.array(bad), jnp.zeros(2)], step, None)
        assert skip and info["should_skip"]
        assert int(info["num_not_finite"]) == 1
    for value, skips, norm in (
        (11.0, True, 121.0),
        (3.0, False, 9.0),
        (jnp.inf, True, jnp.inf),
        (jnp.nan, True, jnp.nan),
    ):
        skip, info = optax.skip_large_updates([jnp.array(value)], step, None, 100.0)
        assert bool(skip) == bool(info["should_skip"]) == skips
        np.testing.assert_array_equal(info["norm_squared"], norm)


@pytest.mark.parametrize("params_dtype", [jnp.float32, jnp.float16, jnp.bfloat16])
@pytest.mark.parametrize("grads_dtype", [jnp.float32, jnp.float16, jnp.bfloat16])
def test_updates_have_the_dtype_of_the_optimizer(grads_dtype, params_dtype):
    params, grads = jnp.ones(2, params_dtype), jnp.ones(2, grads_dtype)
    inner = optax.adam(1e-2)
    ms = optax.MultiSteps(inner, 2)
    wanted = jax.eval_shape(lambda g, p: inner.update(g, inner.init(p), p)[0], grads, params)
    got, state = jax.eval_shape(lambda g, p: ms.update(g, ms.init(p), p), grads, params)
    assert got == wanted
    assert state == jax.eval_shape(ms.init, params)
    assert state.acc_grads.dtype == jnp.float32


@pytest.mark.parametrize(
    ("asked", "kept"), [(None, jnp.bfloat16), ("float16", jnp.float16), (jnp.float32, jnp.float32)]
)
def test_the_accumulator_keeps_its_dtype_in_a_scan(asked, kept):
    ms = optax.MultiSteps(optax.sgd(1e-2), 2, accumulator_dtype=asked)
    params = jnp.ones(2, jnp.bfloat16)
    step = lambda state, _: ms.update(params, state, params)[::-1]
    state, _ = jax.lax.scan(step, ms.init(params), length=3)
    assert state.acc_grads.dtype == kept


def test_extra_arguments_reach_the_optimizer():
    ms = optax.MultiSteps(optax.scale_by_polyak(), 1)
    params = jnp.ones(2)
    updates, _ = ms.update(params, ms.init(params), params, value=1.0, weight=3.0)
    np.testing.assert_allclose(updates, 0.5 * params)
    with pytest.raises(TypeError, match="value"):
        ms.update(params, ms.init(params), params)


def test_complex_gradients_keep_their_imaginary_part():
    ms = optax.MultiSteps(optax.scale(1.0), 2)
    grads = jnp.array([1 + 2j], jnp.complex64)
    _, state = ms.update(grads, ms.init(grads))
    np.testing.assert_array_equal(ms.update(3 * grads, state)[0], 2 * grads)


def test_a_nan_does_not_outlive_its_group():
    firsts, _, _ = feed(optax.MultiSteps(optax.scale(1.0), 2), 1.0, jnp.nan, 2.0, 4.0)
    np.testing.assert_array_equal(firsts, [0, jnp.nan, 0, 3])
