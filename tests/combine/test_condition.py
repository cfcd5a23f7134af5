"""Transformations that run only where a step or a gradient allows it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import types_of

LIMIT = 2
NAN = jnp.array([jnp.nan, 1.0])
GOOD = jnp.array([2.0, -2.0])


def run(tx, grads, **extra):
    state, out = tx.init(jnp.zeros(2)), []
    for g in grads:
        updates, state = jax.jit(tx.update)(g, state, None, **extra)
        out.append(np.asarray(updates))
    return out, state


def test_not_finite_gradients_are_left_out_up_to_a_limit():
    tx = gradtx.apply_if_finite(gradtx.scale_by_momentum(0.5), LIMIT)
    out, state = run(tx, [GOOD, NAN, NAN, GOOD, NAN])
    np.testing.assert_array_equal(out, [GOOD, [0, 0], [0, 0], 1.5 * GOOD, [0, 0]])
    assert [int(x) for x in (state.notfinite_count, state.total_notfinite)] == [1, 3]
    assert not bool(state.last_finite)
    out, state = run(tx, [jnp.array([jnp.inf, 0.0])] * 3)
    assert [bool(np.all(u == 0)) for u in out] == [True, True, False]
    assert np.isinf(out[2][0])


def test_a_limit_of_zero_leaves_nothing_out():
    out, _ = run(gradtx.apply_if_finite(gradtx.scale(2.0), 0), [NAN])
    np.testing.assert_array_equal(out[0], 2 * NAN)


def test_under_vmap():
    tx = gradtx.apply_if_finite(gradtx.scale(2.0), LIMIT)
    state = jax.vmap(tx.init, axis_size=2, in_axes=None)(jnp.zeros(2))
    updates, state = jax.vmap(tx.update)(jnp.stack([NAN, GOOD]), state)
    np.testing.assert_array_equal(updates, [[0, 0], 2 * GOOD])
    np.testing.assert_array_equal(state.last_finite, [False, True])


def test_masked_and_transformed_at_odd_steps():
    odd = lambda step: step % 2 == 1
    masked, state = run(gradtx.conditionally_mask(gradtx.scale_by_momentum(1.0), odd), [GOOD] * 4)
    np.testing.assert_array_equal(masked, [[0, 0], GOOD, [0, 0], 2 * GOOD])
    assert int(state.step) == 4
    passed, state = run(gradtx.conditionally_transform(gradtx.scale_by_momentum(1.0), odd), [GOOD] * 4)
    np.testing.assert_array_equal(passed, [GOOD, GOOD, GOOD, 2 * GOOD])
    np.testing.assert_array_equal(state.inner_state.trace, 2 * GOOD)


@pytest.mark.parametrize("condition", [lambda step, value: value < 1, lambda step, **extra: extra["value"] < 1])
def test_conditions_see_extra_arguments(condition):
    tx = gradtx.conditionally_mask(gradtx.scale(2.0), condition)
    for value, factor in ((0.5, 2), (1.5, 0)):
        out, _ = run(tx, [GOOD], value=jnp.float32(value), unused=jnp.float32(3))
        np.testing.assert_array_equal(out[0], factor * GOOD)


def test_the_inner_transformation_gets_extra_arguments():
    def update(updates, state, params=None, *, factor):
        return updates * factor, state

    tx = gradtx.apply_if_finite(gradtx.GradientTransformation(lambda params: (), update), LIMIT)
    out, _ = run(tx, [GOOD], factor=jnp.float32(3))
    np.testing.assert_array_equal(out[0], 3 * GOOD)


def test_only_one_branch_runs():
    calls = []

    def update(updates, state, params=None):
        jax.debug.callback(lambda: calls.append(1))
        return updates, state

    tx = gradtx.conditionally_mask(gradtx.GradientTransformation(lambda params: (), update), lambda step: step == 2)
    run(tx, [GOOD] * 4)
    jax.effects_barrier()
    assert len(calls) == 1


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
def test_skipped_updates_keep_types(dtype):
    tx = gradtx.apply_if_finite(gradtx.adam(0.1), LIMIT)
    params = jnp.ones(2, dtype)
    state = tx.init(params)
    updates, after = jax.jit(tx.update)(jnp.full(2, jnp.nan, dtype), state, params)
    assert updates.dtype == dtype
    assert types_of(after) == types_of(state)


def test_agrees_with_optax():
    optax = pytest.importorskip("optax")
    grads = [GOOD, NAN, GOOD, NAN, NAN, NAN, GOOD]
    theirs = optax.apply_if_finite(optax.adam(0.1), LIMIT)
    ours, _ = run(gradtx.apply_if_finite(gradtx.adam(0.1), LIMIT), grads)
    state = theirs.init(jnp.zeros(2))
    with jax.numpy_dtype_promotion("standard"):
        for g, u in zip(grads, ours, strict=True):
            expected, state = theirs.update(g, state)
            np.testing.assert_allclose(u, expected, rtol=1e-5, atol=1e-6)


def test_errors():
    with pytest.raises(ValueError, match=r"apply_if_finite: max_consecutive_errors must be in \[0, inf\), got -1"):
        gradtx.apply_if_finite(gradtx.sgd(0.1), -1)
    with pytest.raises(
        TypeError, match=r"conditionally_mask: should_transform_fn must be a function .* it gives int32"
    ):
        gradtx.conditionally_mask(gradtx.sgd(0.1), lambda step: step)
    with pytest.raises(TypeError, match=r"conditionally_mask: should_transform_fn must return one bool, got int32\(\)"):
        run(gradtx.conditionally_mask(gradtx.sgd(0.1), lambda step, **extra: step), [GOOD])
    for tx, state in (
        (gradtx.apply_if_finite(gradtx.sgd(0.1), 1), "ApplyIfFiniteState"),
        (gradtx.conditionally_mask(gradtx.sgd(0.1), lambda step: True), "ConditionallyMaskState"),
        (gradtx.conditionally_transform(gradtx.sgd(0.1), lambda step: True), "ConditionallyTransformState"),
    ):
        with pytest.raises(TypeError, match=f"{tx.name}: state must be {state} from init, got tuple"):
            tx.update(GOOD, ())
