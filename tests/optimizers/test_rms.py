"""AdaGrad and RMSProp: by hand, their two epsilons, and momentum after the learning rate."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx


def outputs(tx, grads):
    state, out = tx.init(jnp.zeros(())), []
    for g in grads:
        u, state = tx.update(jnp.float32(g), state)
        out.append(float(u))
    return out


@pytest.mark.parametrize(
    ("tx", "expected"),
    [
        (gradtx.scale_by_rss(0.0, 1.0), [3 / 10**0.5, 4 / 26**0.5]),
        (gradtx.scale_by_rss(0.0, 1.0, eps_in_sqrt=False), [3 / 4, 4 / 6]),
        (gradtx.scale_by_rss(16.0, 0.0), [3 / 5, 4 / 41**0.5]),
        (gradtx.scale_by_rms(0.5, 1.0), [3 / 5.5**0.5, 4 / 11.25**0.5]),
        (gradtx.scale_by_rms(0.5, 1.0, eps_in_sqrt=False), [3 / (4.5**0.5 + 1), 4 / (10.25**0.5 + 1)]),
        (gradtx.scale_by_rms(0.5, 0.0, initial_scale=9.0), [1, 4 / 12.5**0.5]),
        (gradtx.scale_by_rms(0.5, 0.0, bias_correction=True), [1, 4 / (10.25 / 0.75) ** 0.5]),
        (gradtx.scale_by_rms(0.5, 0.0, centered=True), [2, 4 / (10.25 - 2.75**2) ** 0.5]),
    ],
    ids=repr,
)
def test_two_steps_by_hand(tx, expected):
    chex.assert_trees_all_close(outputs(tx, [3.0, 4.0]), expected, rtol=1e-6)


@pytest.mark.parametrize("in_sqrt", [True, False])
@pytest.mark.parametrize("make", [gradtx.scale_by_rss, gradtx.scale_by_rms], ids=lambda make: make.__name__)
def test_nothing_over_nothing_is_nothing(make, in_sqrt):
    tx = make(0.0, 0.0, eps_in_sqrt=in_sqrt)
    assert outputs(tx, [0.0, 0.0, 2.0])[:2] == [0.0, 0.0]


def test_a_constant_gradient_has_no_variance():
    """Centred RMSProp divides by it; rounding must not make it negative."""
    tx = gradtx.scale_by_rms(0.9, 1e-3, centered=True, bias_correction=True)
    assert np.all(np.isfinite(outputs(tx, [1.1] * 30)))


def test_rmsprop_momentum_comes_after_the_learning_rate():
    eta = lambda step: 1 / (1 + step.astype(jnp.float32))
    tx = gradtx.rmsprop(eta, 0.5, 1.0, momentum=0.5)
    u1, u2 = outputs(gradtx.scale_by_rms(0.5, 1.0), [3.0, 4.0])
    chex.assert_trees_all_close(outputs(tx, [3.0, 4.0]), [-u1, -0.5 * u1 - u2 / 2], rtol=1e-6)


def test_the_state_is_as_large_as_it_must_be():
    assert gradtx.scale_by_rms().init(jnp.ones(2))._fields == ("nu",)
    assert gradtx.scale_by_rms(centered=True).init(jnp.ones(2))._fields == ("mu", "nu")
    assert gradtx.scale_by_rms(bias_correction=True).init(jnp.ones(2))._fields == ("count", "nu")
    assert gradtx.scale_by_rss(0.5).init(jnp.ones(2, complex)).sum_of_squares.dtype == jnp.float32
