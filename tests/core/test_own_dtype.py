"""What a caller may ask of every transformation it makes: 16-bit slots, and no check of ranges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core.slots import OWN_DTYPE

HALF = {"w": jnp.ones((2, 3), jnp.bfloat16)}


def dtypes(state):
    return {x.dtype.name for x in jax.tree.leaves(state)} - {"int32", "bool"}


@pytest.mark.parametrize(
    "tx", [gradtx.scale_by_adam(), gradtx.scale_by_sm3(), gradtx.scale_by_dog(), gradtx.scale_by_novograd()], ids=str
)
def test_slots_in_the_parameters_dtype(tx):
    """Those of a parameter's shape, those of other shapes, and scalars; a dtype asked for is kept."""
    with OWN_DTYPE.turned():
        state = tx.init(HALF)
    assert dtypes(state) == {"bfloat16"}
    assert dtypes(tx.init(HALF)) == {"float32"}
    updates, new_state = tx.update(HALF, state, HALF)
    assert jax.tree.map(jax.typeof, new_state) == jax.tree.map(jax.typeof, state)
    assert updates["w"].dtype == jnp.bfloat16


def test_a_dtype_asked_for_wins():
    with OWN_DTYPE.turned():
        state = gradtx.scale_by_adam(mu_dtype="float32").init(HALF)
    assert (state.mu["w"].dtype, state.nu["w"].dtype) == (jnp.float32, jnp.bfloat16)


def test_ranges_are_not_checked():
    up = gradtx.scale_by_lr.as_given(-1.0)
    sign = gradtx.scale_by_adam.as_given(0.0, 0.0, 0.0)
    with pytest.raises(TypeError, match="b1"):
        gradtx.scale_by_adam.as_given("0.9")
    assert float(up.update(jnp.ones(()), up.init(None))[0]) == 1
    assert float(sign.update(jnp.float32(-3), sign.init(jnp.zeros(())))[0]) == -1
    with pytest.raises(ValueError, match="learning_rate"):
        gradtx.scale_by_lr(-1.0)


def test_a_real_leaf_keeps_real_numbers_in_a_complex_slot():
    tx = gradtx.scale_by_momentum(0.5, trace_dtype="complex64")
    state = tx.init(jnp.zeros(2))
    for wanted in (1.0, 1.5):
        u, state = tx.update(jnp.ones(2), state)
        np.testing.assert_array_equal(u, wanted)
    assert state.trace.dtype == jnp.complex64


def test_a_narrow_slot_of_a_wide_leaf():
    with jax.enable_x64(True):
        tx = gradtx.scale_by_momentum(0.5, trace_dtype="float32")
        u, state = tx.update(jnp.ones(2, jnp.float64), tx.init(jnp.zeros(2, jnp.float64)))
        assert (u.dtype, state.trace.dtype) == (jnp.float64, jnp.float32)


def test_slots_of_other_shapes_are_bound_to_no_device():
    """A state that is bound would make the second step compile again, as the first step's result is not."""
    free = jnp.ones((3, 2))
    bound = jax.device_put(free, jax.devices()[1])
    for tx in (gradtx.scale_by_sm3(), gradtx.scale_by_factored_rms(min_dim_size_to_factor=1)):
        assert not any(x.committed for x in jax.tree.leaves(tx.init(free)))
        assert {x.device for x in jax.tree.leaves(tx.init(bound)) if x.ndim} == {jax.devices()[1]}


def test_a_complex_leaf_keeps_complex_numbers_in_a_real_slot():
    tx = gradtx.scale_by_momentum(0.5, trace_dtype="float32")
    g = jnp.array([1 + 2j], jnp.complex64)
    updates, state = tx.update(g, tx.init(g))
    assert state.trace.dtype == jnp.complex64
    np.testing.assert_array_equal(updates, g)


def test_flatten_keeps_the_vector_in_the_parameters_dtype():
    with OWN_DTYPE.turned():
        assert dtypes(gradtx.flatten(gradtx.scale_by_adam()).init(HALF)) == {"bfloat16"}
        mixed = HALF | {"b": jnp.ones(2, jnp.float16)}
        assert dtypes(gradtx.flatten(gradtx.scale_by_adam()).init(mixed)) == {"float32"}


@pytest.mark.parametrize(
    "tx",
    [
        gradtx.scale_by_zoom_linesearch(5, slope_rtol=0.9, curv_rtol=jnp.inf, approx_dec_rtol=None, relative=False),
        gradtx.scale_by_backtracking_linesearch(5, slope_rtol=0.9),
    ],
    ids=lambda tx: tx.name,
)
def test_line_searches_compute_wide(tx):
    """A decrease that bfloat16 cannot resolve beside 100 is seen, and the state keeps its dtypes."""
    loss = lambda x: 100 + jnp.sum(x.astype(jnp.float32) ** 2)
    x = jnp.array([1.0, 2.0], jnp.bfloat16)
    with OWN_DTYPE.turned():
        state = tx.init(x)
    value, grad = jax.value_and_grad(loss)(x)
    _, new_state = tx.update(-x / 16, state, x, value=value, grad=grad, value_fn=loss)
    assert float(new_state.info.decrease_error) == 0
    assert int(new_state.info.num_linesearch_steps) == 1
    assert jax.tree.map(jax.typeof, new_state) == jax.tree.map(jax.typeof, state)
    assert dtypes(new_state) == {"bfloat16"}


def test_only_calls_are_checked():
    """What is made of a value's leaves, such as a step along a gradient, is taken as it is, whatever builds it."""
    for make in (gradtx.adam, gradtx.scale_by_lr):
        with pytest.raises(ValueError, match="learning_rate"):
            make(-1.0)
        uphill = jax.tree.map(lambda x: -x if x == 1.0 else x, make(1.0))
        u, _ = uphill.update(jnp.ones(()), uphill.init(jnp.ones(())))
        np.testing.assert_allclose(u, 1.0, rtol=1e-6)
        assert make.as_given(-1.0) == uphill
