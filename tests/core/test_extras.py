"""What counts as one number among the extra arguments of an update."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradtx.core.extras import one_number

ONE = [2, 2.0, True, np.int8(2), np.float16(2), np.bool_(True), np.array(2), np.array(True), np.float64(2)]
ONE += [jnp.array(2), jnp.array(True), jnp.array(2.0, jnp.bfloat16)]
NONE = ["2", None, 2j, np.array(2j), np.array("2"), jax.random.key(0), np.ma.array(2.0), jax.ShapeDtypeStruct((), "f4")]
SEVERAL = [np.ones(1), jnp.ones((1, 2)), np.ones(2, bool), jnp.arange(3), 10**400]
by_type = lambda x: f"{type(x).__name__}-{getattr(x, 'dtype', '')}"


@pytest.mark.parametrize("x", ONE, ids=by_type)
def test_one_number(x):
    """As a float: an array of one keeps its dtype, any other is a Python number or of JAX's default."""
    found = one_number("momo", "value", x)
    assert found == float(x) and np.ndim(found) == 0
    dtype = getattr(x, "dtype", None)
    if dtype is None:
        assert type(found) is float
    else:
        assert found.dtype == (dtype if jnp.issubdtype(dtype, jnp.floating) else jnp.float32)


@pytest.mark.parametrize("x", NONE, ids=by_type)
def test_no_number(x):
    with pytest.raises(TypeError, match="momo: value must be one number, got"):
        one_number("momo", "value", x)


@pytest.mark.parametrize("x", SEVERAL, ids=by_type)
def test_several_numbers_or_one_too_large(x):
    with pytest.raises(ValueError, match="momo: value must be one number"):
        one_number("momo", "value", x)
