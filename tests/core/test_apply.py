"""Applying updates: one rounding, the parameter's type, and errors with a path."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx


def test_adds_and_keeps_types():
    params = {"a": jnp.ones(2, jnp.bfloat16), "b": [jnp.array(1j), None], "c": jnp.arange(3), "d": jnp.ones(2)}
    updates = {"a": jnp.full(2, 0.5), "b": [jnp.array(2.0), None], "c": jnp.ones(3, int), "d": None}
    after = gradtx.apply_updates(params, updates)
    expected = {"a": jnp.full(2, 1.5, jnp.bfloat16), "b": [jnp.array(2 + 1j), None], "c": jnp.arange(1, 4)}
    chex.assert_trees_all_equal(after, expected | {"d": jnp.ones(2)})
    chex.assert_trees_all_equal_dtypes(after, params)


def test_rounds_once():
    """1 + 2^-8 + 2^-16 is past the middle of two bfloat16 neighbours; an update rounded first ends at it."""
    params, update = jnp.ones(1, jnp.bfloat16), jnp.full(1, 2.0**-8 + 2.0**-16)
    assert gradtx.apply_updates(params, update)[0] == 1 + 2.0**-7
    assert gradtx.apply_updates(params, update.astype(jnp.bfloat16))[0] == 1


def test_a_step_rounds_once_to_the_parameter():
    """`step` keeps the update wide until it is added; `update` alone rounds it to the gradient's dtype first."""
    params, grads = {"w": jnp.ones(1, jnp.bfloat16)}, {"w": jnp.full(1, -(1 + 2.0**-7), jnp.bfloat16)}
    tx = gradtx.chain(gradtx.scale(1 + 2.0**-7), gradtx.sgd(2.0**-8))
    exact = 1 + 2.0**-8 * (1 + 2.0**-7) ** 2
    after, _ = jax.jit(gradtx.step)(tx, params, tx.init(params), grads)
    assert after["w"].dtype == jnp.bfloat16
    assert after["w"][0] == jnp.bfloat16(exact)


def test_a_finite_sum_never_becomes_infinite():
    largest = jnp.array([jnp.finfo(jnp.float16).max], jnp.float16)
    chex.assert_trees_all_equal(gradtx.apply_updates(largest, largest), largest)


def test_numbers_and_numpy_arrays():
    after = gradtx.apply_updates({"x": 1.0, "y": np.ones(2)}, {"x": 0.5, "y": np.ones(2)})
    chex.assert_trees_all_equal(after, {"x": jnp.float32(1.5), "y": jnp.full(2, 2.0)})


def test_what_jax_gives_for_integer_parameters_leaves_them_alone():
    params = {"n": jnp.array(3), "w": jnp.array(2.0)}
    grads = jax.grad(lambda p: p["w"] * p["n"], allow_int=True)(params)
    chex.assert_trees_all_equal(gradtx.apply_updates(params, grads), {"n": jnp.array(3), "w": jnp.array(5.0)})


W = {"w": jnp.ones((3, 4))}


@pytest.mark.parametrize(
    ("params", "updates", "error", "message"),
    [
        (W, {"w": jnp.ones((4, 3))}, ValueError, r"params and updates differ at \['w'\]: \(3, 4\) != \(4, 3\)"),
        (W, {"w": jnp.ones(4)}, ValueError, r"params and updates differ at \['w'\]: \(3, 4\) != \(4,\)"),
        (W, {"v": W["w"]}, ValueError, r"updates and params have different trees: only updates has \['v'\]"),
        (W, W | {"v": W["w"]}, ValueError, r"only updates has \['v'\]"),
        (W | {"v": W["w"]}, W, ValueError, r"only params has \['v'\]"),
        (W, None, ValueError, "updates and params have different trees"),
        (
            W,
            {"w": jnp.ones((3, 4), complex)},
            TypeError,
            r"the update at \['w'\] is complex64, which cannot be added to float32",
        ),
        ({"n": jnp.arange(3)}, {"n": jnp.ones(3)}, TypeError, r"at \['n'\] is float32, which cannot be added to int32"),
    ],
)
def test_errors(params, updates, error, message):
    with pytest.raises(error, match="^apply_updates: .*" + message):
        gradtx.apply_updates(params, updates)
