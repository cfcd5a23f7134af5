"""Complex leaves: the run on (real, imaginary) pairs, a rule of the modulus, or a refusal that says where."""

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx
from tests.catalogue import FIRST, under_laws
from tests.laws.test_values import skip_exempt
from tests.support import FEW, at, make_grads, make_params, train, types_of

STEPS = 6
PHASE = jnp.exp(0.7j).astype(jnp.complex64)


def rows_of(*kinds, others=pytest.mark.slow):
    return under_laws([row for row in FIRST if row.complex in kinds and not row.random], others)


def pairs(tree):
    """Each complex leaf as two real ones."""
    return jax.tree.map(lambda x: {"real": x.real, "imag": x.imag}, tree)


def joined(tree):
    """The complex leaves that pairs stand for."""
    return jax.tree.map(
        lambda x: x["real"] + 1j * x["imag"], tree, is_leaf=lambda x: isinstance(x, dict) and "real" in x
    )


def program(row, tx):
    """A compiled run: from parameters and gradients to the last state and all updates."""
    skip_exempt(row, "complex")
    return jax.jit(lambda p, g: train(tx, p, g, row.extra)[1:])


def assert_close(got, want):
    with jax.numpy_dtype_promotion("standard"):
        chex.assert_trees_all_close(got, want, rtol=2e-4, atol=2e-5)


@rows_of("pairs")
def test_complex_run_is_the_run_on_pairs(row):
    params, grads = make_params(jnp.complex64, shapes=FEW), make_grads(STEPS, jnp.complex64, shapes=FEW)
    _, updates = program(row, row.tx)(params, grads)
    _, apart = program(row, row.tx)(pairs(params), pairs(grads))
    with jax.numpy_dtype_promotion("standard"):
        assert_close(updates, joined(apart))


@rows_of("modulus")
def test_a_phase_rotates_the_updates(row):
    params, grads = make_params(jnp.complex64, shapes=FEW), make_grads(STEPS, jnp.complex64, shapes=FEW)
    turn = lambda tree: jax.tree.map(lambda x: PHASE * x, tree)
    run = program(row, row.tx)
    state, updates = run(params, grads)
    _, turned = run(turn(params), turn(grads))
    assert_close(turned, turn(updates))
    assert types_of(state) == types_of(row.tx.init(params))


@rows_of("refused")
def test_what_is_refused_runs_on_split_leaves(row):
    check_split(row)


@rows_of("modulus", others=pytest.mark.exhaustive)  # the same wrapper around what does not need it
def test_splitting_gives_the_run_on_pairs(row):
    check_split(row)


def check_split(row):
    params, grads = make_params(jnp.complex64, shapes=FEW), make_grads(STEPS, jnp.complex64, shapes=FEW)
    _, updates = program(row, gradtx.split_real_and_imaginary(row.tx))(params, grads)
    _, apart = program(row, row.tx)(pairs(params), pairs(grads))
    with jax.numpy_dtype_promotion("standard"):
        assert_close(updates, joined(apart))


@rows_of("pairs", "modulus")
def test_complex_state_is_a_fixed_point(row):
    skip_exempt(row, "complex")
    params, grads = make_params(jnp.complex64), at(make_grads(1, jnp.complex64), 0)
    state = row.tx.init(params)
    extra = row.extra(params, grads) if row.extra else {}
    updates, after = jax.eval_shape(lambda g, s, p: row.tx.update(g, s, p, **extra), grads, state, params)
    assert types_of(after) == types_of(state)
    assert types_of(updates) == types_of(grads)


@rows_of("refused")
def test_refusal_names_transformation_and_path(row):
    with pytest.raises(TypeError, match=r"^\w+: the parameter at \['kernel'\] is complex64\(2, 3, 2, 4\)"):
        row.tx.init(make_params(jnp.complex64))
