"""Optimizers on Equinox models: filtered trees with None leaves, under `filter_jit`."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx

eqx = pytest.importorskip("equinox")
optax = pytest.importorskip("optax")

X = jnp.asarray(np.random.default_rng(0).standard_normal((8, 3)), jnp.float32)


def loss(model, x):
    return jnp.mean(jnp.square(jax.vmap(model)(x) - 1))


def make():
    model = eqx.nn.MLP(3, 2, 8, 1, activation=jnp.tanh, key=jax.random.key(0))
    return eqx.tree_at(lambda m: m.layers[1].bias, model, None, is_leaf=lambda x: x is None)


def run(tx, steps=5):
    model = make()
    state = tx.init(eqx.filter(model, eqx.is_inexact_array))
    traces = []

    @eqx.filter_jit
    def step(tx, model, state):
        traces.append(tx)
        grads = eqx.filter_grad(loss)(model, X)
        updates, state = tx.update(grads, state, eqx.filter(model, eqx.is_inexact_array))
        return eqx.apply_updates(model, updates), state

    for _ in range(steps):
        model, state = step(tx, model, state)
    assert len(traces) == 1
    return eqx.filter(model, eqx.is_inexact_array)


PAIRS = [
    (gradtx.adam(0.01), optax.adam(0.01)),
    (gradtx.adamw(0.01, weight_decay=0.1), optax.adamw(0.01, weight_decay=0.1)),
    (gradtx.chain(gradtx.clip_by_global_norm(0.1), gradtx.sgd(0.1, 0.9)),)
    + (optax.chain(optax.clip_by_global_norm(0.1), optax.sgd(0.1, 0.9)),),
]


@pytest.mark.parametrize(("tx", "theirs"), PAIRS, ids=[tx.name for tx, _ in PAIRS])
def test_filter_jit(tx, theirs):
    chex.assert_trees_all_close(run(tx), run(theirs), rtol=1e-4, atol=1e-6)


def test_arrays_as_hyperparameters_trace_once():
    model, traces = make(), []
    params = eqx.filter(model, eqx.is_inexact_array)

    @eqx.filter_jit
    def step(tx, params):
        traces.append(tx)
        return gradtx.step(tx, params, tx.init(params), params)[0]

    for rate in (0.1, 0.2, 0.3):
        after = step(gradtx.sgd(jnp.float32(rate)), params)
        chex.assert_trees_all_close(after, jax.tree.map(lambda p, r=rate: (1 - r) * p, params), rtol=1e-6)
    assert len(traces) == 1


def test_a_transformation_is_a_field_of_a_module():
    class Trainer(eqx.Module):
        tx: gradtx.GradientTransformation

    many = eqx.filter_vmap(lambda rate: Trainer(gradtx.adam(rate)))(jnp.arange(3.0))
    chex.assert_trees_all_equal(many.tx.learning_rate, jnp.arange(3.0))
