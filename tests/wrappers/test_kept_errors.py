"""What `kept` and `full_params` refuse."""

import jax.numpy as jnp
import pytest

import gradtx


def test_wrong_arguments_are_refused():
    with pytest.raises(TypeError, match="kept: keeping must be a keeping: stochastic"):
        gradtx.kept(gradtx.sgd(0.1), "residual")
    with pytest.raises(ValueError, match="residual: bits must be 8 or 16, got 12"):
        gradtx.residual(12)
    with pytest.raises(ValueError, match="kahan: rounding must be one of 'nearest', 'stochastic', got 'up'"):
        gradtx.kahan(rounding="up")
    with pytest.raises((TypeError, ValueError), match="kahan: dtype must be a floating-point dtype"):
        gradtx.kahan("complex64")
    with pytest.raises(ValueError, match="kept needs params"):
        tx = gradtx.kept(gradtx.sgd(0.1), gradtx.residual())
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)))


def test_updates_that_would_vanish_are_refused():
    tx = gradtx.kept(gradtx.sgd(0.1), gradtx.residual())
    p = {"w": jnp.ones(2, jnp.bfloat16)}
    g = {"w": jnp.ones(2, jnp.float16)}
    with pytest.raises(TypeError, match=r"kept: updates in float16 at \['w'\] cannot hold steps of bfloat16"):
        tx.update(g, tx.init(p), p)
    new, _ = gradtx.step(tx, p, tx.init(p), g)  # which hands none out
    assert new["w"].dtype == jnp.bfloat16


def test_two_places_that_keep_one_parameter_are_refused():
    tx = gradtx.chain(gradtx.kept(gradtx.sgd(0.1), gradtx.master()), gradtx.kept(gradtx.sgd(0.1), gradtx.master()))
    p = jnp.ones(2, jnp.bfloat16)
    with pytest.raises(ValueError, match="full_params: two"):
        gradtx.full_params(p, tx.init(p))


def test_states_of_other_parameters_and_arguments_the_wrong_way_round_are_refused():
    wide = {"w": jnp.ones(2)}
    narrow = gradtx.tree_cast(wide, jnp.bfloat16)
    for keeping in (gradtx.kahan(), gradtx.residual(), gradtx.master()):
        tx = gradtx.kept(gradtx.sgd(0.1), keeping)
        with pytest.raises(ValueError, match=r"kept: the parameter at \['w'\] is bfloat16, and the state was made for"):
            gradtx.step(tx, narrow, tx.init(wide), wide)
        with pytest.raises(TypeError, match="got a state first"):
            gradtx.full_params(tx.init(narrow), narrow)
