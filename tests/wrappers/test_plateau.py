"""Reduce on plateau: when the scale falls, and Optax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx

VALUES = [3.0, 2.0, 2.0, 2.0, 1.9999, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.0, 1.0]


def scales(tx, values):
    """What a gradient of one is multiplied by at each value."""
    step = jax.jit(lambda s, v: tx.update(jnp.ones(2), s, value=v))
    state, out = tx.init(jnp.ones(2)), []
    for value in values:
        updates, state = step(state, value)
        out.append(float(updates[0]))
    return out, state


def test_by_hand():
    tx = gradtx.reduce_on_plateau(0.5, patience=2, rtol=0.01, cooldown=1, min_scale=0.2)
    found, state = scales(tx, VALUES)
    # waiting:  -  -  1  2! cool  -  1  2!  cool  1  2!  cool  -  1
    assert found == [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, *[pytest.approx(0.2)] * 4]
    assert float(state.best_value) == 1.0 and int(state.plateau_count) == 1


def test_a_nan_is_not_better():
    found, state = scales(gradtx.reduce_on_plateau(0.5, patience=2), [1.0, jnp.nan, jnp.nan, 0.5])
    assert found == [1, 1, 0.5, 0.5] and float(state.best_value) == 0.5


@pytest.mark.parametrize("level", [-3.0, -1e-8, 0.0, 3.0])
def test_a_flat_value_of_any_sign_is_a_plateau(level):
    found, state = scales(gradtx.reduce_on_plateau(0.5, patience=2), [level] * 5)
    assert found == [1, 1, 0.5, 0.5, 0.25] and state.best_value == np.float32(level)


@pytest.mark.parametrize("sign", [1, -1])
def test_better_means_the_same_below_zero(sign):
    """Falls of 0.9 % and 1.1 % of 100, with rtol = 1 %: only the second is better, at 100 and at -100."""
    tx = gradtx.reduce_on_plateau(0.5, patience=1, rtol=0.01)
    assert scales(tx, [100.0 * sign, 100.0 * sign - 0.9])[0] == [1, 0.5]
    assert scales(tx, [100.0 * sign, 100.0 * sign - 1.1])[0] == [1, 1]


def test_means_of_some_values():
    tx = gradtx.reduce_on_plateau(0.5, patience=1, accumulation_size=3)
    found, state = scales(tx, [1.0, 2.0, 3.0, 3.0, 2.0, 1.5, 0.0])
    assert found == [1, 1, 1, 1, 1, 0.5, 0.5]
    assert float(state.best_value) == 2.0 and int(state.count) == 1


@pytest.mark.parametrize("size", [1, 3])
def test_agrees_with_optax(size):
    contrib = pytest.importorskip("optax.contrib")
    numbers = dict(factor=0.7, patience=3, rtol=0.05, atol=0.01, cooldown=2, accumulation_size=size, min_scale=0.1)
    values = np.abs(np.random.default_rng(0).normal(size=120) + np.linspace(3, 1, 120)).tolist()
    ours, state = scales(gradtx.reduce_on_plateau(**numbers), values)
    with jax.numpy_dtype_promotion("standard"):
        theirs, other = scales(contrib.reduce_on_plateau(**numbers), values)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert state._fields == other._fields
    np.testing.assert_allclose(list(state), list(other), rtol=1e-5)
    assert len(set(ours)) > 5


def test_works_behind_an_optimizer():
    tx = gradtx.chain(gradtx.adam(0.1), gradtx.reduce_on_plateau(0.5, patience=1))
    params = jnp.ones(3)
    state = tx.init(params)
    for _ in range(2):
        _, state = tx.update(params, state, params, value=jnp.bfloat16(1.0))
    updates, _ = tx.update(params, state, params, value=jnp.bfloat16(1.0))
    np.testing.assert_allclose(updates, -0.1 * 0.25, rtol=1e-5)


def test_errors():
    tx = gradtx.reduce_on_plateau()
    with pytest.raises(TypeError, match="reduce_on_plateau needs value: call update"):
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)))
    with pytest.raises(ValueError, match=r"factor must be in \[0, 1\], got 2"):
        gradtx.reduce_on_plateau(2)
    with pytest.raises(TypeError, match="patience must be a whole number"):
        gradtx.reduce_on_plateau(patience=1.5)
