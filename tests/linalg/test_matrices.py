"""Arrays as stacks of matrices: every leaf comes back in its shape, each shape is computed once."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from gradtx import DimensionNumbers
from gradtx.linalg.matrices import matrix_shape, on_matrices, resolve_dimensions


def leaf(*shape):
    return jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)


@pytest.mark.parametrize(
    ("shape", "numbers", "stack", "matrix"),
    [
        ((3, 4), DimensionNumbers(), 1, (3, 4)),
        ((5, 3, 4), DimensionNumbers(1, 2), 5, (3, 4)),
        ((3, 2, 4), DimensionNumbers(0, (1, 2)), 1, (3, 8)),
        ((3, 5, 2, 4), DimensionNumbers((0, -1), 2), 5, (12, 2)),
    ],
)
def test_a_leaf_is_a_stack_of_matrices(shape, numbers, stack, matrix):
    seen = []
    x = leaf(*shape)
    (y,) = on_matrices(lambda m: seen.append(m) or m, [x], [numbers])
    chex.assert_trees_all_equal(x, y)
    assert seen[0].shape == (stack, *matrix)
    assert matrix_shape(x, numbers) == matrix


def test_matrices_of_one_shape_are_one_call():
    leaves = [leaf(3, 4), leaf(2, 3, 4), None, leaf(4, 3), leaf(5)]
    numbers = [DimensionNumbers(), DimensionNumbers(1, 2), None, DimensionNumbers(), None]
    shapes = []
    out = on_matrices(lambda m: shapes.append(m.shape) or 2 * m, leaves, numbers)
    assert shapes == [(3, 3, 4), (1, 4, 3)]
    for x, y, number in zip(leaves, out, numbers, strict=True):
        chex.assert_trees_all_equal(y, 2 * x if x is not None and number else x)


def test_dimensions_resolve_by_default_prefix_and_pattern():
    tree = {"embed": leaf(3, 4), "block": {"w": leaf(3, 4), "qkv": leaf(3, 2, 4), "b": leaf(4)}}
    matrix, attention = DimensionNumbers(), DimensionNumbers(0, (1, 2))
    assert resolve_dimensions("muon", None, tree) == [None, None, matrix, matrix]
    patterns = {"embed": None, "*/qkv": attention, "**": "auto"}
    assert resolve_dimensions("muon", patterns, tree) == [None, attention, matrix, None]
    prefix = {"embed": None, "block": {"w": matrix, "qkv": None, "b": None}}
    assert resolve_dimensions("muon", prefix, tree) == [None, None, matrix, None]


@pytest.mark.parametrize(
    ("numbers", "error", "message"),
    [
        (DimensionNumbers(0, 2), ValueError, r"muon: .*does not fit the shape \(3, 4\) at \['w'\]"),
        (DimensionNumbers(1, -1), ValueError, "does not fit"),
        (DimensionNumbers((), 0), ValueError, "does not fit"),
        (3, TypeError, r"dimension numbers at \['w'\] must be DimensionNumbers, got 3"),
        ({"v": None}, ValueError, r"only params have \['w'\]"),
    ],
)
def test_numbers_that_do_not_fit(numbers, error, message):
    with pytest.raises(error, match=message):
        resolve_dimensions("muon", numbers, {"w": leaf(3, 4)})
