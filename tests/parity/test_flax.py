"""Optimizers inside Flax: linen's `TrainState` and `nnx.Optimizer`, step for step as Optax's there."""

from typing import Any, cast

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.catalogue import every_row

pytest.importorskip("flax")
optax = pytest.importorskip("optax")

from flax import linen, nnx, serialization  # noqa: E402
from flax.training.train_state import TrainState  # noqa: E402

X = jnp.asarray(np.random.default_rng(0).standard_normal((8, 3)), jnp.float32)
PAIRS = [
    (gradtx.adam(0.01), optax.adam(0.01)),
    (gradtx.sgd(0.01, 0.9, nesterov=True), optax.sgd(0.01, 0.9, nesterov=True)),
    (
        gradtx.chain(gradtx.clip_by_global_norm(0.1), gradtx.adamw(lambda step: 0.01, weight_decay=0.1)),
        optax.chain(optax.clip_by_global_norm(0.1), optax.adamw(0.01, weight_decay=0.1)),
    ),
]
every_pair = pytest.mark.parametrize(("tx", "theirs"), PAIRS, ids=[tx.name for tx, _ in PAIRS])


MODEL = linen.Dense(2)
START = MODEL.init(jax.random.key(0), X)
# Optax rounds its bias correction in float32; ours is the more exact.
CLOSE = dict(rtol=1e-4, atol=1e-6)


def linen_run(tx, steps=5):
    state = TrainState.create(apply_fn=MODEL.apply, params=START, tx=tx)

    @jax.jit
    def step(state):
        grads = jax.grad(lambda params: jnp.mean(jnp.square(state.apply_fn(params, X))))(state.params)
        return state.apply_gradients(grads=grads)

    for _ in range(steps):
        state = step(state)
    return state


@every_pair
def test_linen_train_state(tx, theirs):
    ours = linen_run(tx)
    assert ours.step == 5
    assert ours.tx == tx
    chex.assert_trees_all_close(ours.params, linen_run(theirs).params, **CLOSE)


def test_linen_states_with_equal_optimizers_have_one_structure():
    """The optimizer is static in a `TrainState`: only by value do two states fit together."""
    create = lambda rate: TrainState.create(apply_fn=MODEL.apply, params=START, tx=gradtx.adam(rate))
    assert jax.tree.structure(create(0.01)) == jax.tree.structure(create(0.01))
    assert jax.tree.structure(create(0.01)) != jax.tree.structure(create(0.02))


def nnx_run(tx, steps=5):
    model = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer):
        grads = nnx.grad(lambda model: jnp.mean(jnp.square(model(X))))(model)
        optimizer.update(model, grads)

    for _ in range(steps):
        step(model, optimizer)
    return nnx.to_pure_dict(nnx.state(model, nnx.Param)), optimizer


@every_pair
def test_nnx_optimizer(tx, theirs):
    ours, optimizer = nnx_run(tx)
    assert optimizer.step[...] == 5
    chex.assert_trees_all_close(ours, nnx_run(theirs)[0], **CLOSE)


class ValueOptimizer(nnx.Optimizer):
    """An `nnx.Optimizer` whose transformation is data, so that arrays may change in it without a trace."""

    tx: gradtx.GradientTransformation = nnx.data()


def test_nnx_optimizer_with_arrays_for_hyperparameters():
    traces = []

    @nnx.jit
    def step(model, optimizer):
        traces.append(model)
        optimizer.update(model, nnx.grad(lambda model: jnp.mean(jnp.square(model(X))))(model))

    model = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    optimizer = ValueOptimizer(model, cast(Any, gradtx.sgd(jnp.float32(0.1))), wrt=nnx.Param)
    before = model.kernel[...]
    optimizer.tx = gradtx.replace(optimizer.tx, learning_rate=jnp.float32(0))
    step(model, optimizer)
    chex.assert_trees_all_equal(model.kernel[...], before)
    optimizer.tx = gradtx.replace(optimizer.tx, learning_rate=jnp.float32(0.1))
    step(model, optimizer)
    assert not np.allclose(model.kernel[...], before)
    assert len(traces) == 1


@every_row
def test_values_have_bytes(row):
    """Their leaves by name; what is static comes from the value that is given."""
    assert serialization.from_bytes(row.tx, serialization.to_bytes(row.tx)) == row.tx
