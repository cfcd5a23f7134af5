"""Oracles of AdaDelta, AdaBelief, ACProp, Yogi, RAdam, Adan, NovoGrad and Rprop, each from its paper."""

from fractions import Fraction

import numpy as np

from tests.oracles import descent, leafwise


@leafwise
def adadelta(theta, grads, rho, eps):
    a = x = 0
    for g in grads:
        a = rho * a + (1 - rho) * g**2
        u = np.sqrt(x + eps) / np.sqrt(a + eps) * g
        x = rho * x + (1 - rho) * u**2
        yield u


@leafwise
def belief(theta, grads, b1, b2, eps, eps_root, nesterov):
    m = s = 0
    for t, g in enumerate(grads, 1):
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m) ** 2 + eps_root
        m_hat = m / (1 - b1**t)
        if nesterov:
            m_hat = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        yield m_hat / (np.sqrt(s / (1 - b2**t)) + eps)


@leafwise
def acprop(theta, grads, b1, b2, eps, eps_root):
    m = s = 0
    for t, g in enumerate(grads, 1):
        yield g if t == 1 else g / (np.sqrt(s / (1 - b2 ** (t - 1))) + eps)
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m) ** 2 + eps_root


@leafwise
def yogi(theta, grads, b1, b2, eps, eps_root, initial_accumulator_value, initial_mu, bias_correction):
    m, v = initial_mu, initial_accumulator_value
    for t, g in enumerate(grads, 1):
        m = b1 * m + (1 - b1) * g
        v = v - (1 - b2) * np.sign(v - g**2) * g**2
        c1, c2 = (1 - b1**t, 1 - b2**t) if bias_correction else (1, 1)
        yield m / c1 / (np.sqrt(v / c2 + eps_root) + eps)


@leafwise
def radam(theta, grads, b1, b2, eps, eps_root, threshold, nesterov):
    m = v = 0
    b = Fraction(b2)  # exact: two large terms of rho cancel
    rho_inf = 2 / (1 - b) - 1
    for t, g in enumerate(grads, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        rho = rho_inf - 2 * t * b**t / (1 - b**t)
        u = m / (1 - b1**t)
        if nesterov:
            u = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        if rho >= threshold:
            r = np.sqrt(float((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)))
            u = r * u / (np.sqrt(v / (1 - b2**t) + eps_root) + eps)
        yield u


@leafwise
def adan(theta, grads, b1, b2, b3, eps, eps_root):
    m = v = n = 0
    last = None
    for t, g in enumerate(grads, 1):
        d = 0 if last is None else g - last
        m, v, last = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * d, g
        n = b3 * n + (1 - b3) * (g + b2 * d) ** 2
        u = m / (1 - b1**t) + b2 * v / (1 - b2**t)
        yield u / (np.sqrt(n / (1 - b3**t) + eps_root) + eps)


@leafwise
def adan_proximal(theta, grads, learning_rate, b1, b2, b3, eps, eps_root):
    for u in adan.__wrapped__(theta, grads, b1, b2, b3, eps, eps_root):
        yield (theta[0] - learning_rate * u) / (1 + learning_rate * 0.5) - theta[0]


@leafwise
def proximal(theta, grads, weight_decay, learning_rate):
    for g in grads:
        yield (theta[0] + g) / (1 + learning_rate * weight_decay) - theta[0]


@leafwise
def novograd(theta, grads, b1, b2, eps, eps_root, weight_decay):
    m, v = 0, None
    for g in grads:
        norm_sq = np.sum(g**2)
        v = norm_sq if v is None else b2 * v + (1 - b2) * norm_sq
        m = b1 * m + (g / (np.sqrt(v + eps_root) + eps) + (weight_decay or 0) * theta[0])
        yield m


@leafwise
def novograd_optimizer(theta, grads, learning_rate, b1, b2, eps, eps_root, weight_decay):
    for u in novograd.__wrapped__(theta, grads, b1, b2, eps, eps_root, weight_decay):
        yield -learning_rate * u


@leafwise
def novograd_decoupled(theta, grads, learning_rate, b1, b2, eps, eps_root):
    for u in novograd.__wrapped__(theta, grads, b1, b2, eps, eps_root, None):
        yield -learning_rate * (u + 0.1 * theta[0])


@leafwise
def rprop(theta, grads, learning_rate, eta_minus, eta_plus, min_step_size, max_step_size):
    delta, last = learning_rate, 0
    for g in grads:
        c = g * last
        delta = np.clip(delta * np.where(c > 0, eta_plus, np.where(c < 0, eta_minus, 1)), min_step_size, max_step_size)
        last = np.where(c < 0, 0, g)
        yield delta * np.sign(last)


@leafwise
def rprop_optimizer(theta, grads, learning_rate, eta_minus, eta_plus, min_step_size, max_step_size, weight_decay):
    for u in rprop.__wrapped__(theta, grads, learning_rate, eta_minus, eta_plus, min_step_size, max_step_size):
        yield -u - (weight_decay or 0) * theta[0]


adadelta_optimizer = descent(adadelta)
adabelief = descent(belief)
acprop_optimizer = descent(acprop)
yogi_optimizer = descent(yogi)
radam_optimizer = descent(radam)
adan_optimizer = descent(adan)
