"""Ranking losses: what no row can know."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradtx import losses

SCORES = jnp.array([[2.0, 1.0, 3.0], [1.0, 0.5, 1.5]])
LABELS = jnp.array([[1.0, 0.0, 0.0], [0.0, 2.0, 1.0]])
WEIGHTS = jnp.array([[2.0, 1.0, 1.0], [1.0, 3.0, 0.5]])
WHERE = jnp.array([[True, True, False], [True, True, False]])
rank = losses.ranking_softmax_loss


def test_reductions():
    each = rank(SCORES, LABELS, reduce_fn=None)
    assert each.shape == (2,)
    np.testing.assert_allclose(rank(SCORES, LABELS), each.mean(), rtol=1e-6)
    np.testing.assert_allclose(rank(SCORES, LABELS, reduce_fn=jnp.sum), each.sum(), rtol=1e-6)
    np.testing.assert_allclose(rank(SCORES, LABELS, reduce_fn=lambda x: x[1]), each[1], rtol=1e-6)
    np.testing.assert_allclose(rank(SCORES[0], LABELS[0]), each[0], rtol=1e-6)


@pytest.mark.parametrize("reduce_fn", [None, jnp.mean])
def test_a_mask_equals_dropping(reduce_fn):
    both = jax.jit(
        jax.value_and_grad(
            lambda *xs, where=None: jnp.sum(rank(*xs[:2], weights=xs[2], where=where, reduce_fn=reduce_fn)), (0, 1, 2)
        )
    )
    inputs = (SCORES, LABELS, WEIGHTS)
    wanted, wanted_grads = both(*(x[:, :2] for x in inputs))
    for junk in (jnp.nan, jnp.inf, 1e30):
        value, grads = both(*(jnp.where(WHERE, x, junk) for x in inputs), where=WHERE)
        np.testing.assert_allclose(value, wanted, rtol=1e-6)
        for got, grad in zip(grads, wanted_grads, strict=True):
            np.testing.assert_allclose(got[:, :2], grad, rtol=1e-6)
            np.testing.assert_array_equal(got[:, 2], 0)


def test_lists_without_items_are_left_out_of_the_mean():
    where = jnp.array([[True] * 3, [False] * 3])
    np.testing.assert_allclose(rank(SCORES, LABELS, where=where), rank(SCORES[0], LABELS[0]), rtol=1e-6)
    np.testing.assert_array_equal(rank(SCORES, LABELS, where=where, reduce_fn=None)[1], 0)
    both = jax.jit(jax.value_and_grad(lambda s: rank(s, LABELS, where=jnp.zeros((2, 3), bool))))
    value, grad = both(jnp.full((2, 3), jnp.nan))
    assert value == 0
    np.testing.assert_array_equal(grad, jnp.zeros((2, 3)))


def test_what_is_kept_is_not_hidden():
    assert np.isnan(rank(SCORES, LABELS, weights=WEIGHTS.at[0, 0].set(jnp.nan), where=WHERE))


def test_lists_without_relevance_and_items_of_score_minus_infinity():
    value, grad = jax.value_and_grad(lambda s: rank(s, jnp.zeros(3)))(SCORES[0])
    assert value == 0 and np.all(np.asarray(grad) == 0)
    scores = SCORES[0].at[2].set(-jnp.inf)
    np.testing.assert_allclose(rank(scores, LABELS[0]), rank(scores[:2], LABELS[0, :2]), rtol=1e-6)
