"""Derivatives are finite where inputs are tiny: with respect to gradients, parameters and hyperparameters."""

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx
from tests.catalogue import every_transformation
from tests.laws.test_values import merge, split_floats
from tests.losses.rows import ROWS as LOSSES
from tests.projections.sets import SETS
from tests.support import FEW, at, make_grads, make_params

# 1e-20 squared is no float32; about 1e-38 begin the subnormal ones.
SIZES = jnp.asarray([0.0, 1e-10, 1e-20, 1e-30, 1e-38, 2e-38], jnp.float32)


def worst(tree):
    """The names of what is not finite, with the sizes where it is not."""
    bad = {}
    for path, x in jax.tree_util.tree_leaves_with_path(tree):
        if jnp.issubdtype(x.dtype, jnp.inexact):
            fine = jnp.isfinite(x).reshape(len(SIZES), -1).all(-1)
            if not fine.all():
                bad[jax.tree_util.keystr(path)] = SIZES[~fine].tolist()
    return bad


@every_transformation
def test_derivatives_of_two_updates(row):
    params, grads = make_params(shapes=FEW), make_grads(2, shapes=FEW)
    floats, rest = split_floats(row.tx)

    def total(given, size):
        floats, params, grads = given
        tx, state, sum_ = merge(floats, rest), None, 0.0
        for k in range(2):
            g = jax.tree.map(lambda x: size * x, at(grads, k))
            extra = row.extra(params, g) if row.extra else {}
            state = tx.init(params) if state is None else state
            updates, state = tx.update(g, state, params, **extra)
            sum_ += sum(jnp.sum(x) for x in jax.tree.leaves(updates))
            params = gradtx.apply_updates(params, updates)
        return sum_

    run = jax.jit(jax.vmap(jax.value_and_grad(total), (None, 0)))
    assert not worst(run((floats, params, grads), SIZES))


@pytest.mark.parametrize("name", SETS)
def test_derivatives_of_projections(name):
    x = jnp.asarray([1.0, -2.0, 0.5, 0.0, 3.0])
    run = jax.jit(jax.vmap(jax.jacobian(lambda size: SETS[name].project(size * x)), 0))
    through = jax.jit(jax.vmap(lambda size: jax.jacobian(SETS[name].project)(size * x)))
    with jax.numpy_dtype_promotion("standard"):  # the sets are described in float64
        assert not worst([run(SIZES), through(SIZES)])


@pytest.mark.parametrize("name", LOSSES)
def test_derivatives_of_losses(name):
    row = LOSSES[name]
    first, *floats = [jnp.asarray(x, jnp.float32) for x in row.inputs[: row.floats]]
    labels = row.inputs[row.floats :]
    total = lambda x, *others: jnp.sum(row.loss(x, *others, *labels))
    run = jax.jit(jax.vmap(lambda size: jax.value_and_grad(total, range(row.floats))(size * first, *floats)))
    assert not worst(run(SIZES))


def test_projection_onto_a_ball_of_a_tiny_vector_is_the_identity():
    chex.assert_trees_all_close(
        jax.jacobian(gradtx.projections.projection_l2_ball)(jnp.full(2, 1e-20)), jnp.eye(2), rtol=1e-6
    )
