"""The dtypes in which states are kept, and numbers of any range: as Optax's arguments say."""

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx
import gradtx.compat.optax as optax
from gradtx.compat.optax.kept import started

HALF = {"w": jnp.ones((2, 3), jnp.bfloat16)}


def dtypes(state):
    return {x.dtype.name for x in jax.tree.leaves(state)} - {"int32", "bool"}


@pytest.mark.parametrize(
    "tx", [gradtx.scale_by_adam(), gradtx.scale_by_sm3(), gradtx.scale_by_dog(), gradtx.scale_by_novograd()], ids=str
)
def test_slots_in_the_parameters_dtype(tx):
    """Those of a parameter's shape, those of other shapes, and scalars."""
    state = started(tx, HALF, None)
    assert dtypes(state) == {"bfloat16"}
    assert dtypes(tx.init(HALF)) == {"float32"}
    updates, new_state = tx.update(HALF, state, HALF)
    assert jax.tree.map(jax.typeof, new_state) == jax.tree.map(jax.typeof, state)
    assert updates["w"].dtype == jnp.bfloat16


def test_slots_of_packed_parameters_are_packed_as_these():
    packed = gradtx.pack({"v": jnp.ones(2, jnp.bfloat16), "w": jnp.ones(2, jnp.bfloat16), "b": jnp.ones(3)})
    state = started(gradtx.scale_by_adam(), packed, None)
    chex.assert_trees_all_equal_shapes_and_dtypes(state.mu, packed)


def test_a_dtype_asked_for_wins():
    state = optax.scale_by_adam(mu_dtype="float32").init(HALF)
    assert (state.mu["w"].dtype, state.nu["w"].dtype) == (jnp.float32, jnp.bfloat16)


def test_what_another_pair_keeps_is_its_own_affair():
    inner = optax.masked(optax.scale_by_adam(mu_dtype="float32"), {"w": True})
    state = optax.contrib.schedule_free(optax.chain(inner, optax.scale(-0.1)), 0.1).init(HALF)
    found = gradtx.find_state(state, "mu")
    assert dtypes(found) == {"float32"}


def test_flatten_keeps_the_vector_in_the_parameters_dtype():
    flat = gradtx.flatten(gradtx.scale_by_adam())
    assert dtypes(started(flat, HALF, None)) == {"bfloat16"}
    assert dtypes(started(flat, HALF | {"b": jnp.ones(2, jnp.float16)}, None)) == {"float32"}


def test_ranges_are_not_checked():
    up = gradtx.scale_by_lr.as_given(-1.0)
    sign = gradtx.scale_by_adam.as_given(0.0, 0.0, 0.0)
    with pytest.raises(TypeError, match="b1"):
        gradtx.scale_by_adam.as_given("0.9")
    assert float(up.update(jnp.ones(()), up.init(None))[0]) == 1
    assert float(sign.update(jnp.float32(-3), sign.init(jnp.zeros(())))[0]) == -1
    with pytest.raises(ValueError, match="learning_rate"):
        gradtx.scale_by_lr(-1.0)


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
    state = started(tx, x, None)
    value, grad = jax.value_and_grad(loss)(x)
    _, new_state = tx.update(-x / 16, state, x, value=value, grad=grad, value_fn=loss)
    assert float(new_state.info.decrease_error) == 0
    assert int(new_state.info.num_linesearch_steps) == 1
    assert jax.tree.map(jax.typeof, new_state) == jax.tree.map(jax.typeof, state)
