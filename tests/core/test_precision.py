"""Dtypes: maths in float32 or wider, one rounding, and never an infinity out of a finite number."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core import precision


@pytest.mark.parametrize(
    ("stored", "computed"),
    [("float8_e4m3fn", "float32"), ("float16", "float32"), ("bfloat16", "float32"), ("float32", "float32")]
    + [("float64", "float64"), ("complex64", "complex64"), ("complex128", "complex128")],
)
def test_compute_dtype(stored, computed):
    with jax.enable_x64(True):
        assert precision.compute_dtype(stored) == jnp.dtype(computed)


def test_scalar_dtype_is_real_and_the_widest():
    assert precision.scalar_dtype({}) == jnp.float32
    assert precision.scalar_dtype({"a": jnp.ones(2, jnp.bfloat16), "b": jnp.ones(2, jnp.float16)}) == jnp.float32
    with jax.enable_x64(True):
        assert precision.scalar_dtype([jnp.ones(2, jnp.complex128), jnp.ones(2, jnp.bfloat16)]) == jnp.float64


def test_narrow_saturates_finite_numbers_only():
    x = jnp.array([1e30, -1e30, jnp.inf, -jnp.inf, jnp.nan, 1.0])
    largest = float(jnp.finfo(jnp.float16).max)
    expected = np.array([largest, -largest, np.inf, -np.inf, np.nan, 1.0], np.float16)
    np.testing.assert_array_equal(precision.narrow(x, jnp.float16), expected)
    np.testing.assert_array_equal(precision.narrow(x, jnp.float32), x)
    assert float(precision.narrow(jnp.float32(3.3895314e38), jnp.bfloat16)) < np.inf


def test_casts_are_strongly_typed():
    assert not precision.cast(1.0, jnp.float32).weak_type
    assert not precision.narrow(jnp.asarray(1.0), jnp.float32).weak_type


def test_number_in_casts_arrays_and_leaves_python_numbers():
    assert precision.number_in(jnp.bfloat16(0.5), jnp.float32).dtype == jnp.float32
    assert precision.number_in(np.float64(0.1), jnp.float32).dtype == jnp.float32
    assert type(precision.number_in(0.1, jnp.float32)) is float


def test_a_decay_near_one_survives_bfloat16():
    """As a bfloat16, 0.999 is 1, and a debiased average would divide by zero."""
    params = {"w": jnp.ones(3, jnp.bfloat16)}
    tx = gradtx.scale_by_adam(b2=jnp.float32(0.999))
    state = tx.init(params)
    updates = params
    for _ in range(3):
        updates, state = jax.jit(tx.update)(params, state)
    assert updates["w"].dtype == jnp.bfloat16
    assert state.nu["w"].dtype == jnp.float32
    chex.assert_trees_all_close(state.nu["w"], jnp.full(3, 1 - 0.999**3), rtol=1e-4)
    chex.assert_trees_all_close(updates["w"], jnp.ones(3, jnp.bfloat16))


def test_a_chain_rounds_once():
    """Halves of the last place that two links add and take away again are not lost between them."""
    g = jnp.ones(2, jnp.bfloat16)
    tiny = 1 + 2.0**-9
    tx = gradtx.chain(gradtx.scale(tiny), gradtx.scale(1 / tiny), gradtx.scale(tiny), gradtx.scale(tiny))
    updates, _ = tx.update(g, tx.init(g))
    assert updates.dtype == jnp.bfloat16
    chex.assert_trees_all_equal(updates, jnp.full(2, tiny**2, jnp.bfloat16))
    assert float(updates[0]) > 1


def test_slot_dtypes_as_asked():
    params = {"w": jnp.ones(3, jnp.float32)}
    state = gradtx.stored(gradtx.adam(0.1), mu="bfloat16", nu=jnp.float16).init(params)[0]
    assert (state.mu["w"].dtype, state.nu["w"].dtype) == (jnp.bfloat16, jnp.float16)
    _, after = gradtx.scale_by_adam().update(params, state)
    assert (after.mu["w"].dtype, after.nu["w"].dtype) == (jnp.bfloat16, jnp.float16)
