"""Small handwritten digits, and a perceptron with two hidden layers."""

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from examples._digits import CLASSES, load_small_digits
from examples.arena.task import Task, cross_entropy, dense

SIZES = 64, 128, 128, CLASSES
BATCH = 64


def init(key: Array) -> Any:
    """Weights as He has them, and biases of 0."""
    keys = jax.random.split(key, len(SIZES) - 1)
    pairs = zip(keys, pairwise(SIZES), strict=True)
    return [{"w": dense(k, m, n, gain=2**0.5), "b": jnp.zeros(n)} for k, (m, n) in pairs]


def logits(params: Any, image: Array) -> Array:
    """Those of one image, (64,) -> (10,)."""
    *hidden, last = params
    for layer in hidden:
        image = jax.nn.relu(image @ layer["w"] + layer["b"])
    return image @ last["w"] + last["b"]


def digits() -> Task:
    """Scikit-learn's 8 x 8 digits, four fifths of them to train on, by batches of 64."""
    data = load_small_digits(seed=0)
    images, labels = jnp.asarray(data.train_images), jnp.asarray(data.train_labels)
    others = jnp.asarray(data.test_images)

    def all_logits(params: Any, images: Array) -> Array:
        return jax.vmap(logits, (None, 0))(params, images)

    def loss(params: Any, batch: Any) -> Array:
        images, labels = batch
        return cross_entropy(all_logits(params, images), labels)

    def batch(key: Array) -> Any:
        rows = jax.random.randint(key, (BATCH,), 0, len(labels))
        return images[rows], labels[rows]

    return Task(
        "digits", init, loss, batch, steps=1000, rate=1e-3,
        final=lambda params, losses: jnp.log10(loss(params, (images, labels))),
        judged_by="decimal logarithm of the training loss",
        score=lambda params: jnp.mean(jnp.argmax(all_logits(params, others), axis=1) == data.test_labels),
        scored_by="validation accuracy",
    )  # fmt: skip
