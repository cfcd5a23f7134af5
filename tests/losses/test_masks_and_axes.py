"""Masks equal dropping the entries, whatever these hold; any axis equals moving it to the end."""

import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradtx import losses

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((2, 2, 6, 3)).astype(np.float32)
P, Q = RNG.dirichlet(np.ones(3), (2, 2, 6)).astype(np.float32)
KEPT = np.array([True, False, True, True, False, True])

# Losses that sum over an axis, with inputs of one shape, and whether they take a mask.
SUMS = {
    "softmax_cross_entropy": (losses.softmax_cross_entropy, (X, P)),
    "poly_loss_cross_entropy": (losses.poly_loss_cross_entropy, (X, P)),
    "kl_divergence": (losses.kl_divergence, (np.log(P), Q)),
    "kl_divergence_with_log_targets": (losses.kl_divergence_with_log_targets, (np.log(P), np.log(Q))),
    "generalized_kl_divergence": (losses.generalized_kl_divergence, (X, Q)),
    "cosine_similarity": (losses.cosine_similarity, (X, Y)),
    "cosine_distance": (losses.cosine_distance, (X, Y)),
    "triplet_margin_loss": (losses.triplet_margin_loss, (X, X + 0.5, Y)),
    "smooth_labels": (lambda y, **options: losses.smooth_labels(y, 0.3, **options), (P,)),
}
MASKED = [name for name in SUMS if name != "triplet_margin_loss"]


def with_grads(loss, inputs):
    total = lambda *xs: (lambda y: (jnp.sum(y), y))(loss(*xs))
    (_, value), grads = jax.jit(jax.value_and_grad(total, tuple(range(len(inputs))), has_aux=True))(*inputs)
    return np.asarray(value), [np.asarray(g) for g in grads]


def spoiled(x, where, junk):
    return np.where(where, x, junk).astype(x.dtype)


@pytest.mark.parametrize("name", MASKED)
def test_a_mask_equals_dropping(name):
    loss, inputs = SUMS[name]
    inputs = [x[:, :, 0] for x in inputs]
    wanted, wanted_grads = with_grads(loss, [x[:, KEPT] for x in inputs])
    got, grads = with_grads(partial(loss, where=KEPT[None]), [spoiled(x, KEPT, np.nan) for x in inputs])
    kept = got[:, KEPT] if name == "smooth_labels" else got
    np.testing.assert_allclose(kept, wanted, rtol=1e-6, atol=1e-6)
    for grad, wanted in zip(grads, wanted_grads, strict=True):
        np.testing.assert_allclose(grad[:, KEPT], wanted, rtol=1e-5, atol=1e-6)
        if name != "smooth_labels":
            np.testing.assert_array_equal(grad[:, ~KEPT], 0)


@pytest.mark.parametrize("name", sorted(set(MASKED) - {"smooth_labels", "cosine_distance"}))
def test_without_entries_the_loss_is_zero(name):
    loss, inputs = SUMS[name]
    value, grads = with_grads(partial(loss, where=np.zeros(3, bool)), [np.full_like(x, np.inf) for x in inputs])
    np.testing.assert_array_equal(value, np.zeros((2, 6)))
    assert all(np.all(g == 0) for g in grads)


@pytest.mark.parametrize("name", SUMS)
def test_axes(name):
    loss, inputs = SUMS[name]
    loss = jax.jit(loss, static_argnames="axis")
    keeps = name == "smooth_labels"
    wanted = loss(*(np.moveaxis(x, 1, -1) for x in inputs))
    np.testing.assert_allclose(loss(*inputs, axis=1), np.moveaxis(wanted, -1, 1) if keeps else wanted, rtol=1e-5)
    wanted = loss(*(np.moveaxis(x, 1, 0).reshape(6, 6) for x in inputs))
    got = loss(*inputs, axis=(-1, 0))
    np.testing.assert_allclose(np.moveaxis(got, 1, 0).reshape(6, 6) if keeps else got, wanted, rtol=1e-5)
    wanted = loss(*(x.ravel() for x in inputs))
    np.testing.assert_allclose(
        loss(*inputs, axis=None).ravel() if keeps else loss(*inputs, axis=None), wanted, rtol=1e-5
    )


SHAPES = {
    "equal": (lambda: losses.squared_error(X, X[0]), r"predictions and targets .*\(2, 6, 3\) and \(6, 3\)"),
    "equal l2": (lambda: losses.l2_loss(X, X[..., :1]), r"l2_loss: .*\(2, 6, 3\) and \(2, 6, 1\)"),
    "equal perceptron": (lambda: losses.perceptron_loss(X, X[0]), r"perceptron_loss: .*\(2, 6, 3\) and \(6, 3\)"),
    "broadcast": (lambda: losses.huber_loss(X, X[:, :5]), r"huber_loss: .*\(2, 6, 3\) and \(2, 5, 3\)"),
    "three": (lambda: losses.triplet_margin_loss(X, Y, X[:, :5]), r"anchors, positives and negatives .*\(2, 5, 3\)"),
    "labels": (
        lambda: losses.softmax_cross_entropy_with_integer_labels(X, np.zeros((2, 5), int)),
        r"integer_labels: .*\(2, 5\) and \(2, 6, 3\)",
    ),
    "many": (lambda: losses.multiclass_hinge_loss(X, np.zeros(5, int)), r"multiclass_hinge.*\(5,\) and \(2, 6, 3\)"),
    "ranking": (lambda: losses.ranking_softmax_loss(X, Y, weights=X[0, :5]), r"weights .* and \(5, 3\)"),
    "ntxent": (lambda: losses.ntxent(X[0], np.zeros(5, int)), r"ntxent: .*\(6, 3\) and \(5,\)"),
    "dice": (lambda: losses.dice_loss(X, X[..., :2]), r"dice_loss: .*\(2, 6, 3\) and \(2, 6, 2\)"),
    "mask": (lambda: losses.kl_divergence(X, Q, where=np.ones(2, bool)), r"`where` .*\(2,\) and \(2, 6, 3\)"),
    "large mask": (lambda: losses.cosine_similarity(X[0], Y[0], where=X > 0), r"`where` .*\(2, 6, 3\) and \(6, 3\)"),
}


@pytest.mark.parametrize("case", SHAPES)
def test_shapes_that_do_not_fit(case):
    call, message = SHAPES[case]
    with pytest.raises(ValueError, match=message):
        call()


TYPES = {
    "integers": (lambda: losses.softmax_cross_entropy(np.zeros(P.shape, int), P), "logits must be .* got int32"),
    "complex": (lambda: losses.squared_error(X, X * 1j), r"targets must be floating-point, got complex64\(2, 6, 3\)"),
    "labels": (lambda: losses.multiclass_sparsemax_loss(X, Y[..., 0]), "labels must be integers, got float32"),
    "missing": (lambda: losses.kl_divergence(X), "kl_divergence: missing a required argument: 'targets'"),
}


@pytest.mark.parametrize("case", TYPES)
def test_types_that_do_not_fit(case):
    call, message = TYPES[case]
    with pytest.raises(TypeError, match=message):
        call()


WITH_AXIS = {name: f for name, f in vars(losses).items() if callable(f) and "axis" in inspect.signature(f).parameters}


@pytest.mark.parametrize("name", WITH_AXIS)
def test_an_axis_that_is_none_is_refused_by_name(name):
    parameters = inspect.signature(WITH_AXIS[name]).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty and p.kind is not p.KEYWORD_ONLY]
    inputs = [jnp.ones(2, int) if x == "labels" and "integer" in name else jnp.full((2, 3), 0.5) for x in needed]
    for bad in ("x", 2, -3, 1.5, object(), (0, 5), (1, 1), (1, -1), ("x",), True, [0.5]):
        with pytest.raises((TypeError, ValueError), match=rf"^{name}: .*axis.*"):
            WITH_AXIS[name](*inputs, axis=bad)
    WITH_AXIS[name](*inputs, axis=np.int64(0 if name == "dice_loss" else 1))
