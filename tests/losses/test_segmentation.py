"""Dice losses: what no row can know."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import f1_score

from gradtx import losses

RNG = np.random.default_rng(0)
LOGITS = RNG.standard_normal((2, 5, 3)).astype(np.float32)
TRUE, GUESS = RNG.integers(0, 3, (2, 2, 5))
TARGETS, FOUND = np.eye(3, dtype=np.float32)[TRUE], np.eye(3, dtype=np.float32)[GUESS]


def softmax(x):
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)


def test_of_hard_predictions_it_is_one_less_the_f1_score():
    got = losses.dice_loss(FOUND, TARGETS, apply_softmax=False, smooth=0.0, reduction="none")
    wanted = [
        1 - f1_score(t, p, average=None, labels=[0, 1, 2], zero_division=1.0) for t, p in zip(TRUE, GUESS, strict=True)
    ]
    np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_options_of_the_classes():
    each = np.asarray(losses.dice_loss(LOGITS, TARGETS, reduction="none"))
    assert each.shape == (2, 3)
    np.testing.assert_allclose(losses.dice_loss(LOGITS, TARGETS), each.mean(-1), rtol=1e-6)
    np.testing.assert_allclose(losses.dice_loss(LOGITS, TARGETS, reduction="sum"), each.sum(-1), rtol=1e-6)
    weights = np.array([1, 2, 3])
    got = losses.dice_loss(LOGITS, TARGETS, class_weights=weights, ignore_background=True)
    np.testing.assert_allclose(got, (weights * each)[:, 1:].mean(-1), rtol=1e-6)
    one = losses.dice_loss(LOGITS[..., :1], TARGETS[..., :1], reduction="none", ignore_background=True)
    assert one.shape == (2, 1)


def test_the_sums_may_be_over_any_axes_but_the_classes():
    none = partial(losses.dice_loss, LOGITS, TARGETS, reduction="none")
    assert none(axis=0).shape == (5, 3)
    for axis in ((0, 1), [0, -2], np.array([0, 1])):
        np.testing.assert_allclose(none(axis=axis), none(axis=(0, 1)))
    joined = losses.dice_loss(LOGITS.reshape(1, 10, 3), TARGETS.reshape(1, 10, 3), reduction="none")
    np.testing.assert_allclose(none(axis=(0, 1)), joined[0], rtol=1e-6)
    with pytest.raises(ValueError, match="axis must leave out the last one"):
        none(axis=(1, 2))


def test_one_region_with_or_without_its_axis():
    x, t = LOGITS[..., 0], TARGETS[..., 0]
    wanted = losses.dice_loss(x[..., None], t[..., None])
    for loss in (losses.dice_loss, losses.binary_dice_loss):
        np.testing.assert_array_equal(loss(x, t[..., None]), wanted)
        np.testing.assert_array_equal(loss(x[..., None], t), wanted)
    np.testing.assert_array_equal(losses.binary_dice_loss(x, t.astype(bool)), wanted)
    p = 1 / (1 + np.exp(-x))
    np.testing.assert_allclose(losses.binary_dice_loss(p, t, apply_sigmoid=False), wanted, rtol=1e-6)


def test_nothing_to_find_and_nothing_found():
    x = jnp.full((1, 4, 1), -1e4)
    loss = jax.jit(jax.value_and_grad(lambda x: losses.dice_loss(x, jnp.zeros((1, 4, 1)), smooth=0.0)[0]))
    value, grad = loss(x)
    assert value == 0
    np.testing.assert_array_equal(grad, np.zeros((1, 4, 1)))


@pytest.mark.parametrize("loss", [losses.dice_loss, losses.multiclass_generalized_dice_loss])
def test_probabilities(loss):
    p = softmax(LOGITS)
    np.testing.assert_allclose(loss(p, TARGETS, apply_softmax=False), loss(LOGITS, TARGETS), rtol=1e-5)
    rounded = jnp.asarray(p, jnp.bfloat16)
    np.testing.assert_allclose(
        loss(rounded, TARGETS.astype(rounded.dtype), apply_softmax=False), loss(LOGITS, TARGETS), rtol=2e-2
    )
    for wrong in (LOGITS, p * 1.001, 0.4 * p + np.array([-0.4, 0.5, 0.5], np.float32)):
        with pytest.raises(ValueError, match="valid probability distributions"):
            loss(wrong, TARGETS, apply_softmax=False)
    assert np.all(np.isfinite(jax.jit(partial(loss, apply_softmax=False))(LOGITS, TARGETS)))


def test_errors():
    with pytest.raises(ValueError, match=r"valid probability distributions .* numbers in"):
        losses.binary_dice_loss(LOGITS[..., 0], TARGETS[..., 0], apply_sigmoid=False)
    with pytest.raises(ValueError, match="reduction must be one of mean, sum, none, got 'max'"):
        losses.dice_loss(LOGITS, TARGETS, reduction="max")
    with pytest.raises(ValueError, match=r"class_weights must have shape \(3,\), got \(2,\)"):
        losses.dice_loss(LOGITS, TARGETS, class_weights=np.ones(2))


def test_counts_too_large_for_16_bits():
    targets = np.zeros((1, 300, 300, 2), np.float16)
    targets[:, :200, :, 0] = targets[:, 200:, :, 1] = 1
    got = losses.multiclass_generalized_dice_loss(jnp.zeros(targets.shape, jnp.float16), targets)
    shares = np.array([1, 4]) / 5  # of the classes, 60000 and 30000 pixels large
    dice = 1 - np.array([30001, 15001]) / (np.array([45000 + 60000, 45000 + 30000]) / 2 + 1)
    assert got.dtype == np.float16
    np.testing.assert_allclose(got, np.sum(shares * dice), rtol=1e-3)
