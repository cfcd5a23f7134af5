"""Arithmetic on whole trees, against NumPy on all elements."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import make_params, types_of

X: dict[str, Any] = {"a": jnp.array([3.0, -4.0]), "b": [jnp.array(-1.0, jnp.bfloat16), None], "c": jnp.zeros((0, 2))}
FLAT = np.array([3.0, -4.0, -1.0])
INF = float("inf")


@pytest.mark.parametrize("ord", [1, 2, INF])
@pytest.mark.parametrize("squared", [False, True])
def test_norm(ord, squared):
    wanted = np.linalg.norm(FLAT, ord) ** (2 if squared else 1)
    np.testing.assert_allclose(gradtx.tree_norm(X, ord, squared=squared), wanted, rtol=1e-6)
    assert gradtx.tree_norm({}, ord, squared=squared) == 0
    gradient = jax.grad(lambda x: gradtx.tree_norm(x, ord, squared=squared))(jnp.zeros(3))
    assert np.isfinite(gradient).all()


def test_infinity_in_words():
    assert gradtx.tree_norm(X, "inf") == gradtx.tree_norm(X, INF)


@pytest.mark.parametrize("ord", [1, 2, INF])
def test_norm_of_complex_numbers(ord):
    x = np.array([3 + 4j, -1j], np.complex64)
    norm = gradtx.tree_norm({"z": jnp.asarray(x)}, ord)
    assert norm.dtype == jnp.float32
    np.testing.assert_allclose(norm, np.linalg.norm(x, ord), rtol=1e-6)


def test_unknown_norm():
    with pytest.raises(ValueError, match=r"tree_norm: ord must be 1, 2, jnp\.inf or 'inf', got 3"):
        gradtx.tree_norm(X, 3)


def test_extremes_and_sums():
    assert (gradtx.tree_max(X), gradtx.tree_min(X)) == (3, -4)
    assert gradtx.tree_max({}) == -INF and gradtx.tree_min({}) == INF
    assert gradtx.tree_total(X) == -2 and gradtx.tree_size(X) == 3
    assert gradtx.tree_vdot(X, X) == 26


def test_add_scaled_rounds_once():
    x, y = jnp.full(3, 256, jnp.bfloat16), jnp.full(3, 1.0, jnp.float32)
    sum_ = gradtx.tree_add_scaled({"x": x, "n": None}, 1.01, {"x": y, "n": None})
    assert sum_["x"].dtype == jnp.bfloat16 and sum_["n"] is None
    assert (sum_["x"] == jnp.asarray(257.01).astype(jnp.bfloat16)).all()
    z = gradtx.tree_add_scaled(jnp.array(1 + 1j), jnp.array(2.0), jnp.array(1j))
    assert z == 1 + 3j


def test_cast_leaves_integers_alone():
    tree = X | {"n": jnp.arange(3), "flag": jnp.ones((), bool), "z": jnp.ones(2, jnp.complex64), "big": jnp.array(1e6)}
    cast = gradtx.tree_cast(tree, "float16")
    assert [cast[k].dtype for k in ("a", "n", "flag", "z")] == [jnp.float16, jnp.int32, jnp.bool_, jnp.complex64]
    assert cast["big"] == 65504
    assert gradtx.tree_cast(tree, None) is tree


def test_random_like():
    like = make_params(jnp.bfloat16)
    x = gradtx.tree_random_like(jax.random.key(0), jax.eval_shape(lambda: like))
    assert types_of(x) == types_of(like)
    assert x["matrix"].ravel()[0] != x["kernel"].ravel()[0]
    uniform = gradtx.tree_random_like(jax.random.key(0), like, jax.random.uniform, jnp.float32)
    assert uniform["kernel"].dtype == jnp.float32 and 0 <= gradtx.tree_min(uniform) <= gradtx.tree_max(uniform) < 1
    keys = gradtx.tree_split_key(jax.random.key(0), like)
    assert len({str(jax.random.key_data(k)) for k in jax.tree.leaves(keys)}) == len(like)
    assert gradtx.tree_random_like(jax.random.key(0), {}) == {}


def test_dtype():
    assert gradtx.tree_dtype(make_params()) == jnp.float32
    assert gradtx.tree_dtype({}) == jnp.float32
    with pytest.raises(ValueError, match="tree_dtype: leaves are of bfloat16, float32"):
        gradtx.tree_dtype(X)
    assert gradtx.tree_dtype(X, promote=True) == jnp.float32


def test_allclose():
    near = {"a": X["a"] + 1e-6, "b": X["b"], "c": X["c"]}
    assert gradtx.tree_allclose(X, near) and not gradtx.tree_allclose(X, near, 0, 0)
    nan = {"a": jnp.array(jnp.nan)}
    assert not gradtx.tree_allclose(nan, nan) and gradtx.tree_allclose(nan, nan, equal_nan=True)
    assert jax.jit(gradtx.tree_allclose)(X, X) and gradtx.tree_allclose({}, {})
    with pytest.raises(ValueError, match=r"shapes \(2,\) and \(3,\)"):
        gradtx.tree_allclose({"a": jnp.ones(2)}, {"a": jnp.ones(3)})
