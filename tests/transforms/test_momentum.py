"""Momentum by hand: heavy ball, damped, Nesterov; averages and what debiasing does."""

import chex
import jax.numpy as jnp
import pytest

import gradtx

GRADS = [1.0, 2.0, -4.0]


def outputs(tx):
    state, out = tx.init(jnp.zeros(())), []
    for g in GRADS:
        u, state = tx.update(jnp.float32(g), state)
        out.append(float(u))
    return out


@pytest.mark.parametrize(
    ("tx", "expected"),
    [
        (gradtx.scale_by_momentum(0.5), [1, 2.5, -2.75]),
        (gradtx.scale_by_momentum(0.5, nesterov=True), [1.5, 3.25, -5.375]),
        (gradtx.scale_by_momentum(0.5, dampening=0.5), [0.5, 1.25, -1.375]),
        (gradtx.scale_by_momentum(0.0), GRADS),
        (gradtx.scale_by_momentum(1.0), [1, 3, -1]),
        (gradtx.ema(0.5, debias=False), [0.5, 1.25, -1.375]),
        (gradtx.ema(0.5), [1, 1.25 / 0.75, -1.375 / 0.875]),
    ],
    ids=repr,
)
def test_by_hand(tx, expected):
    chex.assert_trees_all_close(outputs(tx), [float(x) for x in expected], rtol=1e-6)


def test_ema_never_keeps_the_debiased_average():
    tx = gradtx.ema(0.5)
    _, state = tx.update(jnp.ones(2), tx.init(jnp.ones(2)))
    chex.assert_trees_all_close(state.ema, jnp.full(2, 0.5))


def test_sgd_without_momentum_keeps_nothing():
    assert gradtx.sgd(0.1).init(jnp.ones(2)) == ((), ())


def test_trace_dtype():
    state = gradtx.stored(gradtx.sgd(0.1, 0.9), trace="bfloat16").init(jnp.ones(2))
    assert state[0].trace.dtype == jnp.bfloat16
