"""RAdam: the length of its average, the warm-up it implies, agreement with Optax, errors."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.optimizers.radam import average_length
from tests.support import assert_same_run, train

DECAYS = [0.0, 0.5, 0.9, 0.99, 0.999, 1 - 2**-13, 1 - 2**-20]


@pytest.mark.parametrize("b2", DECAYS)
@pytest.mark.parametrize("x64", [False, True])
def test_average_length_is_exact(b2, x64):
    with jax.enable_x64(x64):
        dtype = jnp.float64 if x64 else jnp.float32
        b = 1 - Fraction(float(dtype(1 - b2)))
        for t in (1, 2, 3, 5, 6, 10, 100, 2000):
            exact = 2 / (1 - b) - 1 - 2 * t * b**t / (1 - b**t)
            np.testing.assert_allclose(average_length(b2, dtype(t)), float(exact), rtol=1e-14 if x64 else 2e-6)
        np.testing.assert_allclose(average_length(b2, dtype(2e9)), float(2 / (1 - b) - 1), rtol=1e-6)


def test_average_length_has_finite_derivatives():
    slopes = jax.jit(jax.vmap(jax.vmap(jax.grad(average_length), (None, 0)), (0, None)))
    found = slopes(jnp.float32(DECAYS), jnp.float32([1.0, 6.0, 1e9]))
    assert np.isfinite(found).all()
    assert (found >= 0).all()


def test_a_step_by_hand():
    """The first step is the plain gradient: its second moment has seen one gradient."""
    u, _ = gradtx.scale_by_radam().update(jnp.array([7.0]), gradtx.scale_by_radam().init(jnp.zeros(1)))
    np.testing.assert_allclose(u, 7, rtol=1e-6)


def test_warm_up_ends_in_adam():
    """On g = 100: steps of 100 while rho < 5 (5 steps), then a factor that rises to Adam's 1."""
    grads = jnp.full((4000, 1), 100.0)
    _, _, updates = train(gradtx.scale_by_radam(b2=0.99), jnp.zeros(1), grads)
    u = np.asarray(updates[:, 0])
    np.testing.assert_allclose(u[:5], 100, rtol=1e-5)
    assert (u[5:] < 1.0001).all()
    assert (np.diff(u[5:600]) > -1e-6).all()
    np.testing.assert_allclose(u[-1], 1, rtol=1e-5)


@pytest.mark.parametrize("nesterov", [False, True])
def test_agrees_with_optax(nesterov):
    optax = pytest.importorskip("optax")
    # b2 = 0.9: with a longer average Optax loses digits of rho in float32.
    ours, theirs = gradtx.radam(0.1, 0.8, 0.9, nesterov=nesterov), optax.radam(0.1, 0.8, 0.9, nesterov=nesterov)
    assert_same_run(ours, theirs)


def test_errors():
    with pytest.raises(ValueError, match=r"scale_by_radam: eps and eps_root must not both be 0"):
        gradtx.radam(0.1, eps=0.0)
    with pytest.raises(ValueError, match=r"radam: threshold must be in \[0, inf\), got -1.0"):
        gradtx.radam(0.1, threshold=-1.0)
