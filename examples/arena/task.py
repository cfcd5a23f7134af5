"""What optimizers are compared on: a task, as a value, and its training from several seeds in one program."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

import gradtx
from gradtx import GradientTransformation


class Task(NamedTuple):
    """Something to train, and how it is judged."""

    name: str
    init: Callable[[Array], Any]  # key -> parameters, float32
    loss: Callable[[Any, Any], Array]  # (parameters, batch) -> a number
    batch: Callable[[Array], Any]  # key -> a batch, drawn at random
    steps: int
    rate: float  # a learning rate at which Adam trains it
    final: Callable[[Any, Array], Array]  # (parameters, the loss before each step) -> what runs are compared by
    judged_by: str
    score: Callable[[Any], Array]  # parameters -> how good they are on what was not trained on
    scored_by: str


class Outcome(NamedTuple):
    """What became of a training, by seed."""

    final: Array  # (seeds,)
    score: Array  # (seeds,)


def train(task: Task, tx: GradientTransformation, keys: Array, steps: int, dtype: str = "float32") -> Outcome:
    """Train once from each key, in one program; the same key gives the same start and the same batches.

    Parameters of another dtype are those of the step: the loss is computed with what they are in float32.
    """

    def loss(params: Any, batch: Any) -> Array:
        return task.loss(gradtx.tree_cast(params, "float32"), batch)

    def step(run: Any, key: Array) -> tuple[Any, Array]:
        params, state = run
        value, grads = jax.value_and_grad(loss)(params, task.batch(key))
        return gradtx.step(tx, params, state, grads), value

    def from_key(key: Array) -> Outcome:
        start, draws = jax.random.split(key)
        params = gradtx.tree_cast(task.init(start), dtype)
        (params, state), losses = jax.lax.scan(step, (params, tx.init(params)), jax.random.split(draws, steps))
        found = gradtx.tree_cast(gradtx.evaluation_params(state, params), "float32")
        return Outcome(task.final(found, losses), task.score(found))

    return jax.jit(jax.vmap(from_key))(keys)


def cross_entropy(logits: Array, labels: Array) -> Array:
    """The mean of minus the log-probability of the right labels, (...,) of logits (..., classes)."""
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], axis=-1)
    return -jnp.mean(chosen)


def dense(key: Array, inputs: int, outputs: int, gain: float = 1.0) -> Array:
    """A matrix at random that gives outputs of the variance gain² to inputs of variance 1."""
    return gain * inputs**-0.5 * jax.random.normal(key, (inputs, outputs))
