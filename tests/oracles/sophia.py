"""Oracles of Sophia (Liu et al. 2023) on the loss -sum cos(theta), whose estimates do not depend on chance."""

import numpy as np

from tests.oracles import leafwise


@leafwise
def hutchinson(theta, grads):
    for _ in grads:
        yield np.cos(theta[0])


@leafwise
def gauss_newton_bartlett(theta, grads, batch_size):
    for _ in grads:
        yield batch_size * np.sin(theta[0]) ** 2


def direction(theta, grads, estimate, b1, b2, eps, gamma, clip_threshold, update_interval, debias):
    m = h = 0
    for t, g in enumerate(grads, 1):
        m = b1 * m + (1 - b1) * g
        if (t - 1) % update_interval == 0:
            h = b2 * h + (1 - b2) * estimate(theta[0])
        m_hat = m / (1 - b1**t) if debias else m
        yield np.clip(m_hat / np.maximum(gamma * h, eps), -clip_threshold, clip_threshold)


@leafwise
def sophia(theta, grads, b1, b2, eps, gamma, clip_threshold, update_interval, debias):
    yield from direction(theta, grads, np.cos, b1, b2, eps, gamma, clip_threshold, update_interval, debias)


@leafwise
def sophia_h(theta, grads, learning_rate, weight_decay, b1, b2, eps, gamma, clip_threshold, update_interval, debias):
    for u in direction(theta, grads, np.cos, b1, b2, eps, gamma, clip_threshold, update_interval, debias):
        yield -learning_rate * (u + weight_decay * theta[0])


@leafwise
def sophia_g(theta, grads, learning_rate, batch_size, b1, b2, eps, gamma, clip_threshold, update_interval, debias):
    estimate = lambda x: batch_size * np.sin(x) ** 2
    for u in direction(theta, grads, estimate, b1, b2, eps, gamma, clip_threshold, update_interval, debias):
        yield -learning_rate * (u + 1e-4 * theta[0])
