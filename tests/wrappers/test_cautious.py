"""Cautious optimizers: by hand, descent at every element, both ways to rescale, errors."""

import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import at, make_grads, make_params, train


@pytest.mark.parametrize(("min_share", "factor"), [(None, 4 / 3), (1e-3, 2.0), (0.8, 1.25)])
def test_by_hand(min_share, factor):
    # Momentum still points along the first gradient; two of four elements of the second agree.
    tx = gradtx.cautious(gradtx.chain(gradtx.ema(0.9, debias=False), gradtx.scale(-1.0)), min_share)
    p = jnp.zeros(4)
    _, state = tx.update(jnp.ones(4), tx.init(p), p)
    g = jnp.array([1.0, 0.5, -0.5, 0.0])
    u, _ = tx.update(g, state, p)
    np.testing.assert_allclose(u, -factor * np.array([0.19, 0.14, 0, 0]), rtol=1e-5)


def test_no_element_ascends():
    params, grads = make_params(), make_grads(20)
    _, _, updates = train(gradtx.cautious(gradtx.adamw(0.1)), params, grads)
    plain = train(gradtx.adamw(0.1), params, grads)[2]
    for name, u in updates.items():
        assert (np.asarray(u * grads[name]) <= 0).all()
        assert (np.asarray(plain[name] * grads[name]) > 0).any() or name == "scalar"


def test_state_is_the_optimizers_and_extra_arguments_reach_it():
    params, g = make_params(), at(make_grads(1), 0)
    inner = gradtx.GradientTransformation(lambda p: (), lambda u, s, p=None, *, value: (u, s))
    tx = gradtx.cautious(gradtx.chain(inner, gradtx.adam(0.1)))
    assert tx.init(params)[0] == ()
    tx.update(g, tx.init(params), params, value=1.0)
    with pytest.raises(TypeError, match="value"):
        tx.update(g, tx.init(params), params)


def test_disagreement_everywhere_gives_zero():
    tx = gradtx.cautious(gradtx.scale(1.0))
    u, _ = tx.update(jnp.ones(3), tx.init(jnp.ones(3)))
    np.testing.assert_array_equal(u, 0)


def test_errors():
    with pytest.raises(TypeError, match="cautious: optimizer must be a gradient transformation"):
        gradtx.cautious(0.1)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"cautious: min_share must be in \[0, 1\]"):
        gradtx.cautious(gradtx.sgd(0.1), 2.0)
