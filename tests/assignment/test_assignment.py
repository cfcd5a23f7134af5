"""Linear assignment against SciPy, and its edges."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from gradtx.assignment import hungarian_algorithm

SHAPES = [(1, 6), (2, 2), (4, 9), (9, 4), (12, 12)]
many = jax.jit(jax.vmap(hungarian_algorithm))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_two_hundred_matrices_equal_scipys(shape):
    rng = np.random.default_rng(sum(shape))
    costs = rng.standard_normal((200, *shape)) * rng.choice([1e-3, 1.0, 1e3], (200, 1, 1))
    costs = costs.astype(np.float32)
    rows, columns = many(costs)
    assert rows.dtype == columns.dtype == jnp.int32
    for cost, i, j in zip(costs, rows, columns, strict=True):
        expected = linear_sum_assignment(cost)
        np.testing.assert_array_equal(i, expected[0])
        np.testing.assert_array_equal(j, expected[1])


@pytest.mark.parametrize("shape", SHAPES[2:], ids=str)
def test_with_ties_the_cost_is_least_and_pairs_are_apart(shape):
    costs = np.random.default_rng(0).integers(-2, 3, (200, *shape))
    rows, columns = many(costs.astype(np.float32))
    for cost, i, j in zip(costs, np.asarray(rows), np.asarray(columns), strict=True):
        assert len(set(i)) == len(set(j)) == min(shape)
        assert cost[i, j].sum() == cost[linear_sum_assignment(cost)].sum()


def test_worked_by_hand():
    cost = jnp.array([[8, 4, 7], [5, 2, 3], [9, 6, 7], [9, 4, 8]])
    i, j = hungarian_algorithm(cost)
    assert int(cost[i, j].sum()) == 15  # 8 + 3 + 4
    chex.assert_trees_all_equal((i, j), (jnp.array([0, 1, 3]), jnp.array([0, 2, 1])))


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)], ids=str)
def test_empty_matrices(shape):
    i, j = hungarian_algorithm(jnp.zeros(shape))
    assert i.shape == j.shape == (0,) and i.dtype == j.dtype == jnp.int32


def test_an_empty_stack():
    i, j = jax.vmap(hungarian_algorithm)(jnp.zeros((0, 3, 4)))
    assert i.shape == j.shape == (0, 3)


def test_infinite_costs_forbid_pairs():
    rng = np.random.default_rng(1)
    cost = rng.standard_normal((200, 12, 12)).astype(np.float32)
    cost[rng.random(cost.shape) < 0.7] = np.inf
    cost[:, np.arange(12), np.roll(np.arange(12), 2)] = 3.0  # some pairing is always allowed
    rows, columns = many(cost)
    for c, i, j in zip(cost, np.asarray(rows), np.asarray(columns), strict=True):
        np.testing.assert_allclose(c[i, j].sum(), c[linear_sum_assignment(c)].sum(), rtol=1e-6)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_an_impossible_matrix_still_ends(bad):
    i, j = hungarian_algorithm(jnp.full((3, 4), bad))
    assert sorted(i.tolist()) == [0, 1, 2] and len(set(j.tolist())) == 3


def test_dtypes():
    costs = np.random.default_rng(2).permutation(36).reshape(6, 6)
    expected = linear_sum_assignment(costs)
    for dtype in (jnp.uint8, jnp.bfloat16):
        np.testing.assert_array_equal(hungarian_algorithm(jnp.asarray(costs, dtype)), expected)
    with jax.enable_x64(True):
        close = 1 + 1e-12 * costs  # equal in float32
        np.testing.assert_array_equal(hungarian_algorithm(jnp.asarray(close)), linear_sum_assignment(close))


@pytest.mark.parametrize("bad", [jnp.ones(3), jnp.ones((2, 3, 3)), jnp.ones((2, 2), jnp.complex64)])
def test_errors(bad):
    with pytest.raises(ValueError, match="hungarian_algorithm: wanted a real matrix, got"):
        hungarian_algorithm(bad)


def test_agrees_with_optax():
    optax = pytest.importorskip("optax")
    costs = np.random.default_rng(3).standard_normal((200, 4, 9)).astype(np.float32)
    total = jax.vmap(lambda c, ij: jnp.sum(c[ij]))
    ours, theirs = many(costs), jax.vmap(optax.assignment.hungarian_algorithm)(costs)
    np.testing.assert_allclose(total(costs, ours), total(costs, theirs), rtol=1e-6)
