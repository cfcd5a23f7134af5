"""ADOPT: steps by hand, convergence where Adam fails, agreement with Optax, errors."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import make_grads, make_params, train


def test_steps_by_hand():
    tx = gradtx.scale_by_adopt(0.5, 0.5, clip_exponent=None)
    state = tx.init(jnp.zeros(1))
    u, state = tx.update(jnp.array([2.0]), state)
    np.testing.assert_array_equal(u, 0)
    np.testing.assert_allclose(state.nu, 4)
    u, state = tx.update(jnp.array([6.0]), state)
    np.testing.assert_allclose(u, 0.5 * 6 / 2)  # divided by the root of the v before
    np.testing.assert_allclose(state.nu, 0.5 * 4 + 0.5 * 36)


def test_clipping_grows_with_time():
    tx = gradtx.scale_by_adopt(0.0)
    state, us = tx.init(jnp.zeros(1)), []
    for t in range(5):
        u, state = tx.update(jnp.array([1.0 + 1e3 * t]), state)
        us.append(float(u[0]))
    np.testing.assert_allclose(us, [0, 1, 2**0.25, 3**0.25, 4**0.25], rtol=1e-6)


@pytest.mark.parametrize(("make", "end"), [(gradtx.adopt, -1.0), (gradtx.adam, 1.0)], ids=["adopt", "adam"])
def test_converges_where_adam_does_not(make, end):
    # Reddi et al. 2018: slope 3 every third step, else -1, on [-1, 1]; the best point is -1.
    tx = make(0.01, 0.0, 0.1)

    def step(carry, t):
        x, state = carry
        u, state = tx.update(jnp.where(t % 3 == 0, 3.0, -1.0), state, x)
        return (jnp.clip(x + u, -1, 1), state), None

    x = jnp.zeros(())
    (x, _), _ = jax.lax.scan(step, (x, tx.init(x)), jnp.arange(2000))
    np.testing.assert_allclose(x, end, atol=0.1)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("clipped", [False, True])
def test_agrees_with_optax(nesterov, clipped):
    optax = pytest.importorskip("optax")
    params, grads = make_params(), make_grads(20)
    ours = gradtx.adopt(0.1, 0.8, 0.9, clip_exponent=0.25 if clipped else None, nesterov=nesterov)
    theirs = optax.contrib.adopt(0.1, 0.8, 0.9, use_clipping=clipped, nesterov=nesterov)
    with jax.numpy_dtype_promotion("standard"):
        expected = train(theirs, params, grads)[2]
    chex.assert_trees_all_close(train(ours, params, grads)[2], expected, rtol=1e-5, atol=1e-6)


def test_complex_numbers_are_limited_by_modulus():
    tx = gradtx.scale_by_adopt(0.0)
    g = jnp.array([3.0 + 4.0j])
    _, state = tx.update(1e-3 * g, tx.init(g))
    u, _ = tx.update(g, state)
    np.testing.assert_allclose(u, 0.6 + 0.8j, rtol=1e-6)


def test_errors():
    with pytest.raises(ValueError, match=r"scale_by_adopt: eps must be in \(0, inf\), got 0"):
        gradtx.scale_by_adopt(eps=0)
