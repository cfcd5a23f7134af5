"""What every loss promises, over the rows: its formula, its gradient, its dtypes, finite gradients at the edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradtx import losses
from gradtx.core.docstring import parsed
from tests.losses.rows import ROWS

H = 1e-6
COMPILED = {}


def arrays(row, dtype=None):
    """The inputs of a row, the floating-point ones in `dtype`."""
    floats = [jnp.asarray(x, dtype) for x in row.inputs[: row.floats]]
    return [*floats, *row.inputs[row.floats :]]


def value_and_grads(name, *inputs):
    """The values of a loss, and the gradients of their sum in all floating-point inputs, as NumPy arrays."""
    if name not in COMPILED:
        row = ROWS[name]
        total = lambda *xs: (lambda y: (jnp.sum(y), y))(row.loss(*xs))
        COMPILED[name] = jax.jit(jax.value_and_grad(total, tuple(range(row.floats)), has_aux=True))
    (_, value), grads = COMPILED[name](*inputs)
    return np.asarray(value), [np.asarray(g) for g in grads]


def test_every_loss_has_a_row():
    other = {"ctc_loss_with_forward_probs", "make_fenchel_young_loss"}
    used = {getattr(row.loss, "func", row.loss).__name__ for row in ROWS.values()}
    used |= {"ranking_softmax_loss", "dice_loss"}  # their rows are lambdas
    assert {name for name, x in vars(losses).items() if callable(x)} - other == used - {
        "fenchel_young_loss",
        "<lambda>",
    }


@pytest.mark.parametrize("name", ROWS)
def test_formula_and_gradient_in_float64(name):
    row = ROWS[name]
    with jax.enable_x64(True):
        value, grads = value_and_grads(name, *arrays(row, jnp.float64))
    assert value.dtype == np.float64
    np.testing.assert_allclose(value, row.oracle(*row.inputs), rtol=1e-12, atol=1e-12)
    # The slope of the oracle along a random direction.
    rng = np.random.default_rng(1)
    way = [rng.standard_normal(x.shape) for x in row.inputs[: row.floats]]
    moved = lambda h: [x + h * d for x, d in zip(row.inputs, way, strict=False)] + [*row.inputs[row.floats :]]
    slope = (np.sum(row.oracle(*moved(H))) - np.sum(row.oracle(*moved(-H)))) / (2 * H)
    np.testing.assert_allclose(sum(np.sum(g * d) for g, d in zip(grads, way, strict=True)), slope, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", ROWS)
def test_formula_in_float32(name):
    row = ROWS[name]
    value, _ = value_and_grads(name, *arrays(row, jnp.float32))
    assert value.dtype == np.float32
    np.testing.assert_allclose(value, row.oracle(*row.inputs), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ROWS)
def test_bfloat16_is_rounded_once(name):
    """What the float32 loss of the same numbers is, rounded."""
    row = ROWS[name]
    narrow = arrays(row, jnp.bfloat16)
    wanted, _ = value_and_grads(name, *(x.astype(jnp.float32) for x in narrow[: row.floats]), *narrow[row.floats :])
    value, _ = value_and_grads(name, *narrow)
    assert value.dtype == jnp.bfloat16
    np.testing.assert_array_equal(value, wanted.astype(jnp.bfloat16))


@pytest.mark.parametrize("name", ROWS)
def test_dtypes(name):
    row = ROWS[name]
    assert jax.eval_shape(row.loss, *arrays(row, jnp.float16)).dtype == jnp.float16
    if row.floats > 1:
        first, *others = arrays(row, jnp.float32)
        mixed = [first.astype(jnp.bfloat16), *others]
        with pytest.raises(ValueError, match=r"promotion.*strict"):
            jax.eval_shape(row.loss, *mixed)
        with jax.numpy_dtype_promotion("standard"):
            assert jax.eval_shape(row.loss, *mixed).dtype == jnp.float32


@pytest.mark.parametrize("name", ROWS)
def test_gradients_are_finite_at_zero_and_far_out(name):
    row = ROWS[name]
    x, *others = arrays(row, jnp.float32)
    for first in (0 * x, 1e4 * x):
        value, grads = value_and_grads(name, first, *others)
        assert all(np.all(np.isfinite(y)) for y in (value, *grads))


@pytest.mark.parametrize("name", ROWS)
def test_nan_stays_nan(name):
    """One entry of any input: a run that has gone wrong must not look right. (Dice's row leaves its class 0 out.)"""
    row = ROWS[name]
    for k in range(row.floats):
        inputs = [jnp.asarray(x, jnp.float32 if i < row.floats else None) for i, x in enumerate(row.inputs)]
        inputs[k] = inputs[k].at[(*(0,) * (inputs[k].ndim - 1), 1)].set(jnp.nan)
        assert jnp.isnan(row.loss(*inputs)).any(), f"input {k}"


def test_docstrings_tell_the_result_and_the_shapes_refused():
    for name, loss in vars(losses).items():
        if name.startswith("_") or not callable(loss):
            continue
        assert "Returns" in parsed(loss.__doc__).sections, name
    told = parsed(losses.cosine_distance.__doc__)
    assert told.sections["Raises"] == "\n    ValueError: the shapes of predictions and targets do not broadcast."
    assert told.arguments["axis"] == "along which the sums go: an axis, several, or None for all."
    told = parsed(losses.squared_error.__doc__)
    assert told.sections["Raises"] == "\n    ValueError: the shapes of predictions and targets are not equal."
    assert told.sections["Returns"] == "\n    The loss of each element."
