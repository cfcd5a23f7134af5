"""Oracles of the trust ratio, LARS (You et al. 2017), LAMB (You et al. 2020) and Fromage (Bernstein et al. 2020)."""

import numpy as np

from tests.oracles import leafwise


def norm(x):
    return np.sqrt(np.sum(np.abs(x) ** 2))


@leafwise
def trust_ratio(theta, grads, min_norm, trust_coefficient, eps):
    for g in grads:
        yield trust_coefficient * max(norm(theta[0]), min_norm) / (max(norm(g), min_norm) + eps) * g


@leafwise
def lars(theta, grads, learning_rate, trust_coefficient, eps, momentum, nesterov, weight_decay):
    v = 0
    for g in grads:
        u = g + (weight_decay or 0) * theta[0]
        step = learning_rate * trust_coefficient * norm(theta[0]) / (norm(u) + eps) * u
        v = momentum * v - step
        yield momentum * v - step if nesterov else v


@leafwise
def lamb(theta, grads, learning_rate, b1, b2, eps, weight_decay):
    m = v = 0
    for t, g in enumerate(grads, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        u = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps) + (weight_decay or 0) * theta[0]
        yield -learning_rate * norm(theta[0]) / norm(u) * u


@leafwise
def fromage(theta, grads, learning_rate):
    for g in grads:
        w = theta[0] - learning_rate * norm(theta[0]) / norm(g) * g
        yield w / np.sqrt(1 + learning_rate**2) - theta[0]


@leafwise
def fromage_direction(theta, grads, learning_rate):
    for g in grads:
        w = (theta[0] - learning_rate * norm(theta[0]) / norm(g) * g) / np.sqrt(1 + learning_rate**2)
        yield (theta[0] - w) / learning_rate
