"""Cross entropies: what no row can know."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import log_loss

from gradtx import losses

INF, NAN = jnp.inf, jnp.nan
LOGITS = jnp.array([[10.0, 1.0, -2.0], [1.0, 4.0, 0.2]])
ONE_HOT = jnp.eye(3)[jnp.array([1, 0])]
with_labels = losses.softmax_cross_entropy_with_integer_labels


def slope(loss, x, *others, **options):
    return jax.jit(jax.grad(lambda x: jnp.sum(loss(x, *others, **options))))(x)


def test_the_mean_is_that_of_scikit_learn():
    x = np.random.default_rng(0).standard_normal((6, 3))
    labels = np.array([0, 2, 1, 1, 0, 2])
    p = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    np.testing.assert_allclose(with_labels(x, labels).mean(), log_loss(labels, p), rtol=1e-6)
    np.testing.assert_allclose(
        losses.softmax_cross_entropy(x, np.eye(3)[labels]).mean(), log_loss(labels, p), rtol=1e-6
    )


def test_a_common_offset_of_the_logits_costs_nothing():
    for dtype, offset in ((jnp.float32, 1e8), (jnp.float16, 4096), (jnp.bfloat16, -256)):
        logits = jnp.full((2, 3), offset, dtype)
        got = with_labels(logits, jnp.array([0, 2]))
        np.testing.assert_array_equal(got, jnp.full(2, np.log(3), dtype))


@pytest.mark.parametrize("loss", [losses.softmax_cross_entropy, losses.safe_softmax_cross_entropy])
def test_classes_of_logit_minus_infinity(loss):
    logits = jnp.array([[-INF, 0.0, 0.0], [-INF, 0.0, -INF], [-INF, 0.0, 0.0], [-INF, -INF, -INF]])
    labels = jnp.array([[0, 0.5, 0.5], [0, 1, 0], [0.4, 0.3, 0.3], [0, 0.5, 0.5]])
    np.testing.assert_allclose(loss(logits, labels), [np.log(2), 0, np.inf, np.inf], rtol=1e-6)
    grads = slope(loss, logits, labels)
    np.testing.assert_allclose(grads[:2], 0, atol=1e-7)
    assert np.all(np.isfinite(grads))
    np.testing.assert_allclose(jax.grad(lambda y: loss(logits[0], y))(labels[0]), [0, np.log(2), np.log(2)], rtol=1e-6)


def test_a_label_of_logit_minus_infinity():
    logits = jnp.array([[1e4, -INF, 1e4], [0.0, -INF, 0.0]])
    np.testing.assert_allclose(with_labels(logits, jnp.array([0, 1])), [np.log(2), np.inf], rtol=1e-6)
    np.testing.assert_allclose(slope(with_labels, logits, jnp.array([0, 1])), [[-0.5, 0, 0.5], [0.5, -1, 0.5]])


def test_infinite_logits_of_yes_or_no():
    logits = jnp.array([INF, -INF, INF, -INF, 1e4, -1e4])
    labels = jnp.array([1.0, 0.0, 0.0, 1.0, 0.5, 0.5])
    wanted = [0, 0, np.inf, np.inf, 5e3, 5e3]
    np.testing.assert_array_equal(losses.sigmoid_binary_cross_entropy(logits, labels), wanted)
    assert np.all(np.isfinite(slope(losses.sigmoid_binary_cross_entropy, logits, labels)))


@pytest.mark.parametrize("loss", [losses.softmax_cross_entropy, losses.poly_loss_cross_entropy])
def test_a_mask_of_examples(loss):
    where = jnp.array([True, False])
    logits = LOGITS.at[1].set(NAN)
    np.testing.assert_allclose(loss(logits, ONE_HOT, where=where), [loss(LOGITS, ONE_HOT)[0], 0], rtol=1e-6)
    assert np.all(np.isfinite(slope(loss, logits, ONE_HOT, where=where)))
    np.testing.assert_array_equal(loss(logits, ONE_HOT, where=where), loss(logits, ONE_HOT, where=where[:, None]))


def test_masks_with_integer_labels():
    labels = jnp.array([1, 0])
    rows = jnp.array([[True, True, False], [False, False, False]])
    spoiled = jnp.where(rows, LOGITS, jnp.array([[0, 0, NAN], [INF, 1e30, NAN]]))
    dropped = with_labels(LOGITS[:1, :2], labels[:1])
    np.testing.assert_allclose(with_labels(spoiled, labels, where=rows), [dropped[0], 0], rtol=1e-6)
    grads = slope(with_labels, spoiled, labels, where=rows)
    np.testing.assert_allclose(grads[0, :2], slope(with_labels, LOGITS[:1, :2], labels[:1])[0], rtol=1e-6)
    np.testing.assert_array_equal(grads[~rows], 0)
    # Examples: also one whose label is no class.
    got = with_labels(spoiled, jnp.array([1, 99]), where=jnp.array([False, False]))
    np.testing.assert_array_equal(got, [0, 0])
    # A label whose logit is left out costs what it does with one-hot labels.
    where = jnp.array([[True, False, True], [True, True, True]])
    wanted = losses.softmax_cross_entropy(LOGITS, ONE_HOT, where=where)
    np.testing.assert_allclose(with_labels(LOGITS, labels, where=where), wanted, rtol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, -1, (1, 2), (2, 1), (-1, 0), (2, 0, 1), None])
def test_integer_labels_on_any_axis(axis):
    logits = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    axes = (0, 1, 2) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    last = np.moveaxis(logits, axes, range(-len(axes), 0))
    last = last.reshape(*last.shape[: 3 - len(axes)], -1)
    labels = np.random.default_rng(1).integers(0, last.shape[-1], last.shape[:-1])
    np.testing.assert_allclose(with_labels(logits, labels, axis=axis), with_labels(last, labels), rtol=1e-6)


def test_labels_that_are_no_classes():
    got = with_labels(LOGITS, jnp.array([-1, 3]))
    np.testing.assert_allclose(got, [with_labels(LOGITS[0], 2), np.nan], rtol=1e-6)
    assert with_labels(LOGITS[:0], jnp.zeros(0, jnp.int32)).shape == (0,)


def test_a_focal_loss_without_focus_is_a_cross_entropy():
    x, y = jnp.array([1.0, -2.0, 0.3]), jnp.array([1.0, 0.0, 0.7])
    np.testing.assert_array_equal(losses.sigmoid_focal_loss(x, y, gamma=0.0), losses.sigmoid_binary_cross_entropy(x, y))


def test_focal_loss_has_finite_derivatives_far_out():
    x = jnp.array([1e4, -1e4, 1e4, -1e4, 90.0, -90.0, 70.0, -70.0, 100.0])
    y = jnp.array([1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.9])

    @jax.jit
    def derivatives(gamma):
        loss = lambda x: losses.sigmoid_focal_loss(x, y, gamma=gamma)
        slope = lambda x: jax.grad(lambda x: jnp.sum(loss(x)))(x)
        return loss(x), slope(x), jax.jvp(slope, (x,), (jnp.ones_like(x),))[1]

    for gamma in (0.0, 0.1, 0.5, 2.0):
        value, first, second = derivatives(gamma)
        np.testing.assert_allclose(value[2:4], 1e4)
        assert np.all(np.isfinite(first)) and np.all(np.isfinite(second))


def test_poly_loss_takes_an_epsilon_for_each_example():
    each = [
        losses.poly_loss_cross_entropy(x, y, epsilon=e) for x, y, e in zip(LOGITS, ONE_HOT, (1.0, -1.0), strict=True)
    ]
    got = losses.poly_loss_cross_entropy(LOGITS, ONE_HOT, epsilon=jnp.array([1.0, -1.0]))
    np.testing.assert_allclose(got, each, rtol=1e-6)
