"""What the examples that train share: the loss of logits, steps in a scan, and a bar over many of them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from tqdm import tqdm

import gradtx
from _arguments import Split
from gradtx import GradientTransformation

MOVES = 20  # of a progress bar


class Run(NamedTuple):
    """What a step of training changes."""

    params: Any
    state: Any


def cross_entropy(logits: Array, labels: Array) -> Array:
    """The mean over the images of minus the log-probability of the right label."""
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
    return -jnp.mean(chosen)


def accuracy(logits: Array, labels: Array) -> Array:
    """The share of images whose largest logit is that of the right label."""
    return jnp.mean(jnp.argmax(logits, axis=1) == labels)


def head(data: Split, count: int) -> Split:
    """At most so many images, with their labels."""
    return Split(data.images[:count], data.labels[:count])


def batch(data: Split, key: Array, size: int) -> Split:
    """Some images drawn at random, with their labels."""
    rows = jax.random.randint(key, (size,), 0, len(data.labels))
    return Split(data.images[rows], data.labels[rows])


def start(tx: GradientTransformation, params: Any) -> Run:
    """A run before its first step."""
    return Run(params, tx.init(params))


def take_steps(
    tx: GradientTransformation, loss: Callable[[Any, Array], Array], run: Run, keys: Array
) -> tuple[Run, Array]:
    """One step per key down `loss(params, key)`, and the losses before each."""

    def step(run: Run, key: Array) -> tuple[Run, Array]:
        value, grads = jax.value_and_grad(loss)(run.params, key)
        return Run(*gradtx.step(tx, *run, grads)), value

    return jax.lax.scan(step, run, keys)


def with_bar(
    advance: Callable[[Any, Array], tuple[Any, Any]], run: Any, keys: Array, moves: int = MOVES
) -> tuple[Any, Any]:
    """`advance(run, keys)`, a jitted function, over some keys at a time under a progress bar.

    What it returns beside the run has the steps as its last axis, and is joined along it.
    """
    outputs: list[Any] = []
    with tqdm(total=len(keys), unit="step", desc="Training") as bar:
        for part in jnp.split(keys, moves if len(keys) % moves == 0 else 1):
            run, output = advance(run, part)
            outputs.append(jax.device_get(output))
            bar.update(len(part))
    return run, jax.tree.map(_joined, *outputs)


def _joined(*parts: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate(parts, axis=-1)
