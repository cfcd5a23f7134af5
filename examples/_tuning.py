"""What hyperparameter_search.py and hypergradients.py tune: a small network on few digits, trained by SGD."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

import gradtx
from _arguments import Split, Splits
from _digits import CLASSES
from _training import accuracy, cross_entropy, head
from gradtx import GradientTransformation

SIZES = 300, 1000  # images to train on, so few that weight decay matters, and to validate with
HIDDEN = 50
BATCH = 50  # images of a step


class Task(NamedTuple):
    """What trainings share: where they start, and what they see."""

    params: Any
    rows: Array  # (steps, batch), the images of each step
    train: Split
    validation: Split


class Network(nn.Module):
    """A perceptron with one hidden layer."""

    @nn.compact
    def __call__(self, images: Array) -> Array:
        return nn.Dense(CLASSES)(nn.relu(nn.Dense(HIDDEN)(images)))


def make_task(digits: Splits, steps: int, key: Array) -> Task:
    train, validation = (head(part, size) for part, size in zip(digits, SIZES, strict=False))
    start, draws = jax.random.split(key)
    rows = jax.random.randint(draws, (steps, BATCH), 0, len(train.labels))
    return Task(Network().init(start, train.images[:1]), rows, train, validation)


def make(learning_rate: Any, momentum: Any, weight_decay: Any) -> GradientTransformation:
    """The optimizer whose three hyperparameters are tuned."""
    return gradtx.sgd(learning_rate, momentum, weight_decay=gradtx.coupled(weight_decay))


def init(tx: GradientTransformation, task: Task) -> Any:
    return task.params, tx.init(task.params)


def step(tx: GradientTransformation, run: Any, i: Array, task: Task) -> Any:
    params, state = run
    batch = Split(task.train.images[task.rows[i]], task.train.labels[task.rows[i]])
    updates, state = tx.update(jax.grad(loss)(params, batch), state, params)
    return gradtx.apply_updates(params, updates), state


def train(tx: Any, task: Task) -> Any:
    """A whole training, with an optimizer of gradtx or of Optax: the network's parameters after it."""
    return jax.lax.fori_loop(0, len(task.rows), lambda i, run: step(tx, run, i, task), init(tx, task))[0]


def loss(params: Any, data: Split) -> Array:
    return cross_entropy(_logits(params, data.images), data.labels)


def error(params: Any, data: Split) -> Array:
    """The share of images that is taken for another digit."""
    return 1 - accuracy(_logits(params, data.images), data.labels)


def _logits(params: Any, images: Array) -> Array:
    return jnp.asarray(Network().apply(params, images))
