"""Oracles of signSGD and Signum (Bernstein et al. 2018), Lion (Chen et al. 2023), optimism (Daskalakis et al. 2018)."""

import numpy as np

from tests.oracles import descent, leafwise


@leafwise
def sign(theta, grads):
    for g in grads:
        yield np.sign(g)


@leafwise
def signum_direction(theta, grads, beta):
    m = 0
    for g in grads:
        m = beta * m + (1 - beta) * g
        yield np.sign(m)


@leafwise
def lion(theta, grads, b1, b2, mode, smooth_beta):
    m = 0
    for g in grads:
        c = b1 * m + (1 - b1) * g
        m = b2 * m + (1 - b2) * g
        yield {"hard": np.sign(c), "smooth": np.tanh(smooth_beta * c), "refined": np.clip(c, -1, 1)}[mode]


@leafwise
def optimistic(theta, grads, alpha, beta):
    last = None
    for g in grads:
        last = g if last is None else last
        yield (alpha + beta) * g - beta * last
        last = g


@leafwise
def optimistic_adam_direction(theta, grads, alpha, beta, b1, b2, eps, nesterov):
    m = v = 0
    last = None
    for t, g in enumerate(grads, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat = m / (1 - b1**t)
        if nesterov:
            m_hat = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        d = m_hat / (np.sqrt(v / (1 - b2**t)) + eps)
        last = d if last is None else last
        yield (alpha + beta) * d - beta * last
        last = d


sign_sgd = descent(sign)
signum = descent(signum_direction)
lion_optimizer = descent(lion)
optimistic_descent = descent(optimistic)
optimistic_adam = descent(optimistic_adam_direction)
