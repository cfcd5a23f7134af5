"""LaProp: steps by hand, a bound on its steps, errors."""

import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import make_grads, make_params, train


def test_two_steps_by_hand():
    tx = gradtx.scale_by_laprop(0.5, 0.5, 1e-30)
    state = tx.init(jnp.zeros(1))
    u, state = tx.update(jnp.array([3.0]), state)
    np.testing.assert_allclose(u, 1.0, rtol=1e-6)
    u, state = tx.update(jnp.array([-1.0]), state)
    v = (0.25 * 9 + 0.5 * 1) / 0.75
    np.testing.assert_allclose(u, (0.25 * 1 - 0.5 / np.sqrt(v)) / 0.75, rtol=1e-5)


def test_steps_stay_bounded_where_adams_do_not():
    # b1 > sqrt(b2): after a spike Adam's momentum outlives its second moment.
    grads = {"w": jnp.array([[1e6]] + [[1.0]] * 40)}
    params = {"w": jnp.zeros(1)}
    laprop = train(gradtx.scale_by_laprop(0.9, 0.1), params, grads)[2]["w"]
    adam = train(gradtx.scale_by_adam(0.9, 0.1), params, grads)[2]["w"]
    assert np.abs(laprop).max() <= 1 / np.sqrt(1 - 0.1) + 1e-5
    assert np.abs(adam).max() > 1000


def test_without_momentum_it_is_rmsprop():
    params, grads = make_params(), make_grads(5)
    ours = train(gradtx.laprop(0.1, 0.0, 0.9, 1e-8), params, grads)[2]
    rms = train(gradtx.rmsprop(0.1, 0.9, 1e-8, eps_in_sqrt=False, bias_correction=True), params, grads)[2]
    np.testing.assert_allclose(ours["kernel"], rms["kernel"], rtol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match=r"laprop: eps must be in \(0, inf\)"):
        gradtx.laprop(0.1, eps=0.0)
