"""What Optax computes, and what gradtx's transformations have for its spelling, in steps worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.compat.optax import deviating


def run(tx, grads, params=None):
    """The updates of a few steps of one number."""
    state, all_updates = tx.init(jnp.zeros(())), []
    for g in grads:
        u, state = tx.update(jnp.float32(g), state, params)
        all_updates.append(float(u))
    return all_updates


def test_adan_weighs_the_change():
    b1, b2, b3, w = 0.5, 0.75, 0.99, 0.25
    first, second = run(deviating.scale_by_adan(b1, b2, b3, 0.0, eps_root=1e-12), [1.0, 3.0])
    d = 3.0 - 1.0
    m = (b1 * (1 - b1) * 1 + (1 - b1) * 3) / (1 - b1**2)
    v = (1 - b2) * d / (1 - b2**2)
    n = (b3 * (1 - b3) * 1 + (1 - b3) * (3 + w * d) ** 2) / (1 - b3**2)
    np.testing.assert_allclose([first, second], [1, (m + w * v) / np.sqrt(n)], rtol=1e-5)
    assert run(gradtx.scale_by_adan(b1, b2, b3, 0.0, eps_root=1e-12), [1.0, 3.0])[1] != second


@pytest.mark.parametrize("max_of", ["debiased", "raw"])
def test_amsgrad_without_debiasing(max_of):
    tx = gradtx.scale_by_amsgrad(0.5, 0.9, 0.0, eps_root=1e-12, max_of=max_of, debias_mu=False, debias_nu=False)
    mu, nu = (0.5, 0.25), (0.1 * 4, 0.1 * 4 * 0.9)  # of the gradients 2 and 0; the larger nu is the first
    wanted = [mu[0] * 2 / np.sqrt(nu[0]), mu[1] * 2 / np.sqrt(nu[0])]
    np.testing.assert_allclose(run(tx, [2.0, 0.0]), wanted, rtol=1e-5)


def test_factored_rms_with_a_decay_of_its_own():
    seen = []

    def b2(t):
        seen.append(t.dtype)
        return 1 / (t + 3)

    tx = gradtx.scale_by_factored_rms(step_offset=1, b2=b2)
    v1 = (1 - 1 / 3) * 4  # t = 0
    v2 = 1 / 4 * v1 + (1 - 1 / 4) * 1
    np.testing.assert_allclose(run(tx, [2.0, 1.0]), [2 / np.sqrt(v1), 1 / np.sqrt(v2)], rtol=1e-5)
    assert set(seen) == {jnp.dtype(jnp.float32)}


def test_lbfgs_keeps_every_pair():
    """Where the loss curves down, H has a negative eigenvalue; without such pairs the step is along the gradient."""
    steps = {}
    for pairs, make in (("curved", gradtx.scale_by_lbfgs), ("all", deviating.scale_by_lbfgs)):
        tx = make(2, True)
        state = tx.init(jnp.zeros(1))
        _, state = tx.update(jnp.array([1.0]), state, jnp.array([0.0]))
        u, state = tx.update(jnp.array([0.5]), state, jnp.array([1.0]))  # s = 1, y = -1/2
        steps[pairs] = float(u[0])
    np.testing.assert_allclose([steps["curved"], steps["all"]], [0.1, 0.5 / -0.5], rtol=1e-5)
    same = tx.update(jnp.array([0.5]), state, jnp.array([1.0]))[1]  # a step of 0 forgets nothing
    assert jnp.array_equal(jax.numpy.sort(same.weights_memory), jnp.array([-2.0, 0.0]))
