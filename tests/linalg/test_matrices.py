"""Which matrices are in an array, and where they lie."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from gradtx import DimensionNumbers
from gradtx.linalg.matrices import from_matrices, matrices, resolve_dimensions, to_matrices, view_of


def leaf(*shape):
    return jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)


@pytest.mark.parametrize(
    ("shape", "numbers", "stack", "matrix"),
    [
        ((3, 4), DimensionNumbers(), (), (3, 4)),
        ((5, 3, 4), DimensionNumbers(1, 2), (5,), (3, 4)),
        ((3, 2, 4), DimensionNumbers(0, (1, 2)), (), (3, 8)),
        ((3, 5, 2, 4), DimensionNumbers((0, -1), 2), (5,), (12, 2)),
    ],
)
def test_a_leaf_is_a_stack_of_matrices(shape, numbers, stack, matrix):
    x = leaf(*shape)
    y = to_matrices(x, numbers)
    assert y.shape == (*stack, *matrix)
    assert view_of(x.shape, numbers).item == matrix
    chex.assert_trees_all_equal(from_matrices(y, x, numbers), x)


def test_the_layout_says_where_matrices_lie():
    tree = {"b": leaf(4), "none": None, "qkv": leaf(3, 2, 4), "w": leaf(3, 4)}
    numbers = {"qkv": DimensionNumbers(0, (1, 2)), "**": "auto"}
    views = matrices(numbers).views("muon", tree)
    assert [view and view.item for view in views] == [None, None, (3, 8), (3, 4)]
    assert matrices(only=False).views("muon", tree)[2] is None
    with pytest.raises(ValueError, match=r"muon: the leaf at \['b'\] has shape \(4,\), wanted a matrix or weight_dim"):
        matrices().views("muon", tree)


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
