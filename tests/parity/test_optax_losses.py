"""Against Optax, wherever both are right: the arguments, the values and the gradients of all losses."""

import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import logsumexp

from gradtx import losses
from tests.losses.rows import ABSENT, FRAMES, LABELS, PIXELS, REGIONS, SIGNS, SKIPPED, TRUE, WEIGHTS, WORDS, P, Q, X, Y

theirs = pytest.importorskip("optax").losses
pytestmark = pytest.mark.slow

WHERE = np.array([[True, True, False, True, False], [True] * 5, [False] * 5, [False, False, True, True, True]])
KEEPS_LABEL = WHERE | np.eye(5, dtype=bool)[LABELS] & WHERE.any(-1, keepdims=True)
PROBABILITIES = np.exp(PIXELS) / np.exp(PIXELS).sum(-1, keepdims=True)
MASK = dict(where=WHERE)
ANCHORS = (X, Y, X[::-1])

# Inputs, how many of them are differentiated, and options.
CASES = {
    "squared_error": [((X, Y), 2, {}), ((X,), 1, {})],
    "l2_loss": [((X, Y), 2, {}), ((X,), 1, {})],
    "huber_loss": [((X, Y[0]), 2, {"delta": 0.5}), ((X,), 1, {})],
    "log_cosh": [((X, Y[:1]), 2, {}), ((100 * X,), 1, {})],
    "softmax_cross_entropy": [((X, P), 1, MASK), ((X, P[0]), 2, {"axis": 0}), ((X, P), 1, {"where": WHERE[:, 0]})],
    "safe_softmax_cross_entropy": [((X, P), 2, {}), ((np.where(WHERE[:2], X[:2], -np.inf), WHERE[:2] / 4), 1, {})],
    "softmax_cross_entropy_with_integer_labels": [
        ((X, LABELS), 1, {"where": KEEPS_LABEL}),
        ((X, LABELS), 1, {"where": WHERE[:, 0]}),
        ((PIXELS, np.array([[5, 0, 1], [7, 4, 3]])), 1, {"axis": (3, 2)}),
        ((X, -1 - LABELS), 1, {}),
    ],
    "poly_loss_cross_entropy": [((X, P), 1, MASK), ((X, P), 2, {"epsilon": -1.0, "axis": (0, 1)})],
    "sigmoid_binary_cross_entropy": [((X, TRUE), 2, {}), ((X, P[0]), 2, {})],
    "sigmoid_focal_loss": [((X, TRUE), 1, {}), ((X, P), 2, {"alpha": 0.25, "gamma": 0.7})],
    "hinge_loss": [((X, SIGNS), 2, {}), ((X, SIGNS[0]), 2, {})],
    "perceptron_loss": [((X, SIGNS), 2, {})],
    "sparsemax_loss": [((X, TRUE.astype(int)), 1, {})],
    "multiclass_hinge_loss": [((X, LABELS), 1, {})],
    "multiclass_perceptron_loss": [((X, LABELS), 1, {})],
    "multiclass_sparsemax_loss": [((X, LABELS), 1, {})],
    "kl_divergence": [((X, P), 2, MASK), ((X, P), 2, {"axis": None})],
    "kl_divergence_with_log_targets": [((X, np.log(P)), 2, MASK), ((X, np.log(P)), 2, {"axis": (0, 1)})],
    "generalized_kl_divergence": [((X, P), 2, MASK), ((X, P), 2, {"axis": 0})],
    "cosine_similarity": [((X, Y), 2, {"where": WHERE[:1]}), ((X / 99, Y), 2, {"epsilon": 1e-2, "axis": 0})],
    "cosine_distance": [((X, Y), 2, {"where": WHERE[:1]}), ((X / 99, Y), 2, {"epsilon": 1e-2, "axis": None})],
    "ntxent": [((X, LABELS), 1, {}), ((X, np.array([1, 1, 0, 1])), 1, {"temperature": 0.5})],
    "triplet_margin_loss": [(ANCHORS, 3, {}), (ANCHORS, 3, {"margin": 3.0, "eps": 0.1, "norm_degree": 4, "axis": 0})],
    "ranking_softmax_loss": [
        ((X, 3 * P), 2, MASK),
        ((X, 3 * P), 2, {"where": WHERE, "weights": WEIGHTS, "reduce_fn": None}),
        ((X, 3 * P), 2, {"where": WHERE, "reduce_fn": jnp.sum}),
    ],
    "dice_loss": [
        ((PIXELS, REGIONS), 2, {}),
        ((PIXELS, REGIONS), 2, {"alpha": 0.3, "beta": 0.6, "axis": 2, "ignore_background": True, "reduction": "none"}),
        ((PIXELS, REGIONS), 2, {"class_weights": np.array([1.0, 2.0, 0.5, 3.0], np.float32), "smooth": 0.1}),
    ],
    "binary_dice_loss": [((X, TRUE), 2, {}), ((X[..., None], TRUE), 2, {"smooth": 0.5})],
    "multiclass_generalized_dice_loss": [
        ((PIXELS, REGIONS), 1, {}),
        ((PIXELS, REGIONS), 1, {"ignore_background": True}),
    ],
    "ctc_loss": [((FRAMES, SKIPPED, WORDS, ABSENT), 1, {})],
    "smooth_labels": [((P, 0.1), 1, {"where": WHERE[:2].repeat(2, 0)}), ((P, 0.1), 1, {"axis": None})],
}  # fmt: skip


def parameters(function):
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


def test_the_names_and_arguments_are_theirs():
    names = {name for name, x in vars(theirs).items() if inspect.isfunction(x)} - {"convex_kl_divergence"}
    assert names == {name for name, x in vars(losses).items() if inspect.isfunction(x)}
    assert all(parameters(getattr(losses, name)) == parameters(getattr(theirs, name)) for name in names)
    assert set(CASES) == names - {"ctc_loss_with_forward_probs", "make_fenchel_young_loss"}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_theirs(name):
    for inputs, count, options in CASES[name]:
        inputs = [jnp.asarray(x, jnp.float32) if np.ndim(x) and x.dtype == np.float64 else x for x in inputs]

        @partial(jax.jit, static_argnums=0)
        def run(library, inputs, options=options, count=count):
            def loss(*floats):
                value = getattr(library, name)(*floats, *inputs[count:], **options)
                return jnp.sum(value * jnp.arange(1, value.size + 1, dtype=value.dtype).reshape(value.shape)), value

            return jax.value_and_grad(loss, tuple(range(count)), has_aux=True)(*inputs[:count])

        (_, value), grads = run(losses, inputs)
        (_, wanted), wanted_grads = run(theirs, inputs)
        np.testing.assert_allclose(value, wanted, rtol=2e-5, atol=1e-6)
        assert value.dtype == wanted.dtype
        for got, grad in zip(grads, wanted_grads, strict=True):
            np.testing.assert_allclose(got, grad, rtol=1e-4, atol=1e-5)


def test_forward_probabilities_are_theirs():
    for got, wanted in zip(
        losses.ctc_loss_with_forward_probs(FRAMES, SKIPPED, WORDS, ABSENT),
        theirs.ctc_loss_with_forward_probs(FRAMES, SKIPPED, WORDS, ABSENT),
        strict=True,
    ):
        np.testing.assert_allclose(got, wanted, rtol=1e-5)


def test_fenchel_young_losses_are_theirs():
    scores, targets = X.astype(np.float32), Q.astype(np.float32)
    got = losses.make_fenchel_young_loss(logsumexp)(scores, targets)
    np.testing.assert_allclose(got, theirs.make_fenchel_young_loss(logsumexp)(scores, targets), rtol=1e-6)
