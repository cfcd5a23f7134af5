"""What is non-negative or bounded by mathematics is so in float32 and narrower, over inputs that round either way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradtx import losses
from tests.losses.rows import ROWS

INF = float("inf")
# Losses not named here are at least 0 and have no upper bound.
RANGES = {
    "cosine_similarity": (-1, 1),
    "cosine_distance": (0, 2),
    "dice_loss": (0, 3.75),  # the sum of its row's class weights
    "binary_dice_loss": (0, 1),
    "multiclass_generalized_dice_loss": (0, 1),
    "smooth_labels": (0, 1),
}
SCALES = [1e-4, 0.1, 1.0, 30.0]
# Inputs where the loss is at its least, or nearly so: (predictions, targets) from two arrays of normal numbers.
DISTRIBUTIONS = {
    "equal": lambda x, y: (jax.nn.log_softmax(x), jax.nn.softmax(x)),
    "near": lambda x, y: (jax.nn.log_softmax(x), jax.nn.softmax(x + 1e-4 * y)),
    "other": lambda x, y: (jax.nn.log_softmax(x), jax.nn.softmax(y)),
    "logarithm of": lambda x, y: (jnp.log(jax.nn.softmax(x)), jax.nn.softmax(x)),
}
VECTORS = {
    "equal": lambda x, y: (x, x),
    "multiple": lambda x, y: (x, 3 * x),
    "opposite": lambda x, y: (x, -0.7 * x),
    "near": lambda x, y: (x, x * (1 + 1e-3 * y)),
    "other": lambda x, y: (x, y),
}


def inputs_of(name, kind, scale, seed):
    """The inputs of a row again, with other numbers; two arrays by name where they are vectors or distributions."""
    rng = np.random.default_rng(seed)
    x, y = (jnp.asarray(scale * rng.standard_normal((40, 7)), jnp.float32) for _ in range(2))
    if name.startswith("kl_") or name == "generalized_kl_divergence":
        log_p, q = DISTRIBUTIONS[kind](x, y)
        return (log_p, jnp.log(q)) if "log_targets" in name else (log_p, q)
    if name.startswith("cosine"):
        return VECTORS[kind](x, y)
    row = ROWS[name]
    # Numbers in [0, 1] and distributions stay so; logits and scores get the scale.
    floats = [
        jnp.asarray(v if v.min() >= 0 else scale * rng.standard_normal(v.shape), jnp.float32)
        for v in row.inputs[: row.floats]
    ]
    if name in ("hinge_loss", "perceptron_loss"):
        floats[1] = jnp.sign(floats[1])
    return (*floats, *row.inputs[row.floats :])


KINDS = {name: DISTRIBUTIONS if "kl_" in name else VECTORS if name.startswith("cosine") else ["row"] for name in ROWS}


@pytest.mark.parametrize("name", [name for name in ROWS if name != "fenchel_young"])
def test_range(name):
    low, high = RANGES.get(name, (0, INF))
    loss = jax.jit(ROWS[name].loss)
    for kind in KINDS[name]:
        for k, scale in enumerate(SCALES):
            for seed in range(5):
                inputs = inputs_of(name, kind, scale, 10 * k + seed)
                value = np.asarray(loss(*inputs))
                assert (value >= low).all() and (value <= high).all(), (kind, scale, seed, value.min(), value.max())


def test_what_is_no_distribution_keeps_its_negative_divergence():
    np.testing.assert_allclose(losses.kl_divergence(jnp.zeros(2), jnp.array([0.5, 0.25])), np.log(0.5), rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
@pytest.mark.parametrize("kind", DISTRIBUTIONS)
def test_divergences_of_distributions_that_are_rounded_to_16_bits(dtype, kind):
    """Their sums are 1 to the rounding of these dtypes, not of the wide one that the formula is in."""
    for size in (2, 7, 300):
        x, y = jax.random.normal(jax.random.key(size), (2, 500, size))
        log_p, q = (z.astype(dtype) for z in DISTRIBUTIONS[kind](x, y))
        for value in (
            losses.kl_divergence(log_p, q),
            losses.kl_divergence_with_log_targets(log_p, jnp.log(q)),
            losses.generalized_kl_divergence(log_p, q),
        ):
            assert value.dtype == dtype and (value >= 0).all()


def test_derivative_at_the_edge_is_the_formula_s():
    """At x = y the cosine is at its largest, often rounded above 1: its derivative is 0 to rounding, not cut to it."""
    x = jax.random.normal(jax.random.key(0), (200, 5))
    slope = jax.grad(lambda x, y: jnp.sum(losses.cosine_similarity(x, y)))
    np.testing.assert_allclose(slope(x, x), 0, atol=1e-6)
    p = jax.nn.softmax(x)
    np.testing.assert_allclose(
        jax.grad(lambda s: jnp.sum(losses.generalized_kl_divergence(s, p)))(jnp.log(p)), 0, atol=1e-6
    )
    np.testing.assert_allclose(jax.grad(lambda s: jnp.sum(losses.kl_divergence(s, p)))(jnp.log(p)), -p, rtol=1e-6)


@pytest.mark.parametrize("length", [2e-38, 1e-30, 1.0, 9e18, 9e30, 9e37, 3e38])
def test_cosine_of_any_length(length):
    x, y = jnp.array([length, 0.0]), jnp.array([length, length])
    np.testing.assert_allclose(losses.cosine_similarity(x, y), 0.5**0.5, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(losses.cosine_similarity)(x, y), 0.5**0.5, rtol=1e-6)


def test_loss_of_certain_words_is_not_negative():
    logits = 30 * jax.nn.one_hot(jnp.array([[0, 1, 0, 2, 0]] * 3), 4) + jax.random.normal(jax.random.key(0), (3, 5, 4))
    words = jnp.array([[1, 2]] * 3)
    loss, blank, _ = losses.ctc_loss_with_forward_probs(logits, jnp.zeros((3, 5)), words, jnp.zeros((3, 2)))
    assert (loss >= 0).all() and (blank[-1] <= 0).all() and (loss < 1e-3).all()
