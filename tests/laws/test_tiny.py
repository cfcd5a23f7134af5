"""Derivatives are finite where inputs are tiny: with respect to gradients, parameters and hyperparameters."""

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx
from tests.catalogue import every_transformation
from tests.laws.test_values import merge, skip_exempt, split_floats
from tests.losses.rows import ROWS as LOSSES
from tests.projections.sets import SETS
from tests.support import FEW, make_grads, make_params, train

# 1e-20 squared is no float32; about 1e-38 begin the subnormal ones.
STEPS = 3
SIZES = jnp.asarray([0.0, 1e-10, 1e-20, 1e-30, 1e-38, 2e-38], jnp.float32)


def worst(tree, sizes=SIZES):
    """The names of what is not finite, with the sizes where it is not."""
    bad = {}
    for path, x in jax.tree_util.tree_leaves_with_path(tree):
        if jnp.issubdtype(x.dtype, jnp.inexact):
            fine = jnp.isfinite(x).reshape(len(sizes), -1).all(-1)
            if not fine.all():
                bad[jax.tree_util.keystr(path)] = [size for size, good in zip(sizes, fine, strict=True) if not good]
    return bad


@every_transformation
def test_derivatives_of_a_run(row):
    """Of gradients of each size and, of size 1, of some that are zero beside others that are not."""
    skip_exempt(row, "grad")
    params, grads = make_params(shapes=FEW), make_grads(STEPS, shapes=FEW)
    some = {"scalar": jnp.zeros(STEPS), "matrix": jnp.ones((STEPS, 4, 3)).at[:, 0].set(0)}
    every = jax.tree.map(lambda x: jnp.expand_dims(SIZES, range(1, x.ndim + 1)) * jnp.ones_like(x), grads)
    scales = jax.tree.map(lambda *xs: jnp.concatenate([xs[0], xs[1][None]]), every, some)
    floats, rest = split_floats(row.tx)

    def total(given, scales):
        floats, params, grads = given
        final, _, updates = train(merge(floats, rest), params, jax.tree.map(jnp.multiply, scales, grads), row.extra)
        return sum(jnp.sum(x) for x in jax.tree.leaves(updates)) + sum(jnp.sum(x**2) for x in jax.tree.leaves(final))

    run = jax.jit(jax.vmap(jax.value_and_grad(total), (None, 0)))
    assert not worst(run((floats, params, grads), scales), [*SIZES, "some zero"])


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
