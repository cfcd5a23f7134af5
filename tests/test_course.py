"""The forms of the course notes, by name, each against the formula as printed there, in plain Python."""

from math import sqrt

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx

STEPS = 25
START, CURVATURE = (-7.0, 2.0), (0.1, 2.0)  # f(x, y) = x^2 / 20 + y^2 from (-7, 2)
CHAIN, LR, MOMENTUM = gradtx.chain, gradtx.scale_by_lr, gradtx.scale_by_momentum


@gradtx.schedule
def shrinking(step, eta):
    return eta / (1 + 0.3 * step)


def eta(t):
    return 0.05 / (1 + 0.3 * t)


SHRINKING = shrinking(0.05)


def sgd(theta, grad):
    for t in range(STEPS):
        theta = theta - eta(t) * grad(theta)
        yield theta


def velocity_momentum(theta, grad, alpha=0.9):
    v = 0
    for t in range(STEPS):
        v = alpha * v - eta(t) * grad(theta)
        theta = theta + v
        yield theta


def averaged_momentum(theta, grad, beta=0.9):
    v = 0
    for t in range(STEPS):
        v = beta * v + (1 - beta) * grad(theta)
        theta = theta - eta(t) * v
        yield theta


def nesterov(theta, grad, beta=0.9):
    v = 0
    for t in range(STEPS):
        g = grad(theta)
        v = beta * v - eta(t) * g
        theta = theta + beta * v - eta(t) * g
        yield theta


def adagrad(theta, grad):
    h = 0
    for t in range(STEPS):
        g = grad(theta)
        h = h + g * g
        theta = theta - eta(t) * g / (sqrt(h) + 1e-7)
        yield theta


def rmsprop_outside(theta, grad, rho=0.9, epsilon=1e-3):
    r = 0
    for t in range(STEPS):
        g = grad(theta)
        r = rho * r + (1 - rho) * g * g
        theta = theta - eta(t) * g / (sqrt(r) + epsilon)
        yield theta


def rmsprop_inside(theta, grad, rho=0.9, delta=1e-3):
    r = 0
    for t in range(STEPS):
        g = grad(theta)
        r = rho * r + (1 - rho) * g * g
        theta = theta - eta(t) * g / sqrt(r + delta)
        yield theta


def adam(theta, grad, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m = v = 0
    for t in range(STEPS):
        g = grad(theta)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        m_hat = m / (1 - beta1 ** (t + 1))
        v_hat = v / (1 - beta2 ** (t + 1))
        theta = theta - eta(t) * m_hat / (sqrt(v_hat) + epsilon)
        yield theta


def l2_in_the_gradient(theta, grad, decay=0.1):
    yield from adam(theta, lambda x: grad(x) + decay * x)


def decoupled_decay(theta, grad, beta1=0.9, beta2=0.999, epsilon=1e-8, decay=0.1):
    m = v = 0
    for t in range(STEPS):
        g = grad(theta)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        m_hat = m / (1 - beta1 ** (t + 1))
        v_hat = v / (1 - beta2 ** (t + 1))
        theta = theta - eta(t) * (m_hat / (sqrt(v_hat) + epsilon) + decay * theta)
        yield theta


FORMS = [
    (sgd, gradtx.sgd(SHRINKING)),
    (velocity_momentum, CHAIN(LR(SHRINKING), MOMENTUM(0.9))),
    (averaged_momentum, gradtx.sgd(SHRINKING, 0.9, dampening=0.9)),
    (averaged_momentum, CHAIN(gradtx.ema(0.9, debias=False), LR(SHRINKING))),
    (nesterov, CHAIN(LR(SHRINKING), MOMENTUM(0.9, nesterov=True))),
    (adagrad, gradtx.adagrad(SHRINKING, 0.0, 1e-7, eps_in_sqrt=False)),
    (rmsprop_outside, gradtx.rmsprop(SHRINKING, 0.9, 1e-3, eps_in_sqrt=False)),
    (rmsprop_inside, gradtx.rmsprop(SHRINKING, 0.9, 1e-3)),
    (adam, gradtx.adam(SHRINKING)),
    (l2_in_the_gradient, gradtx.adam(SHRINKING, weight_decay=gradtx.coupled(0.1))),
    (decoupled_decay, gradtx.adamw(SHRINKING, weight_decay=0.1)),
]


def path_of(tx):
    """The points that gradtx visits on the function, of shape (STEPS, 2)."""
    curvature = jnp.array(CURVATURE)

    def body(carry, _):
        theta, state = gradtx.step(tx, carry[0], carry[1], curvature * carry[0])
        return (theta, state), theta

    theta = jnp.array(START)
    return jax.jit(lambda: jax.lax.scan(body, (theta, tx.init(theta)), length=STEPS)[1])()


@pytest.mark.parametrize(("formula", "tx"), FORMS, ids=[f"{formula.__name__}-{tx.name}" for formula, tx in FORMS])
def test_form(formula, tx):
    columns = [list(formula(x, lambda theta, a=a: a * theta)) for x, a in zip(START, CURVATURE, strict=True)]
    with jax.enable_x64(True):
        chex.assert_trees_all_close(path_of(tx), np.array(columns).T, rtol=1e-12, atol=1e-13)


def test_the_learning_rate_before_momentum_differs_once_it_varies():
    with jax.enable_x64(True):
        before, after = path_of(CHAIN(LR(SHRINKING), MOMENTUM(0.9))), path_of(gradtx.sgd(SHRINKING, 0.9))
        assert np.max(np.abs(before - after)) > 0.1
        before, after = path_of(CHAIN(LR(0.05), MOMENTUM(0.9))), path_of(gradtx.sgd(0.05, 0.9))
        chex.assert_trees_all_close(before, after, rtol=1e-12)
