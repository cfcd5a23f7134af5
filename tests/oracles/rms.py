"""Oracles of AdaGrad (Duchi et al. 2011) and RMSProp (Hinton's lecture 6.5, Graves 2013)."""

import numpy as np

from tests.oracles import leafwise


@leafwise
def adagrad(theta, grads, initial_accumulator_value, eps, eps_in_sqrt):
    h = initial_accumulator_value
    for g in grads:
        h = h + np.abs(g) ** 2
        yield g / np.sqrt(h + eps) if eps_in_sqrt else g / (np.sqrt(h) + eps)


@leafwise
def rms(theta, grads, decay, eps, eps_in_sqrt, centered, bias_correction, initial_scale):
    r, m = initial_scale, 0
    for t, g in enumerate(grads, 1):
        r = decay * r + (1 - decay) * np.abs(g) ** 2
        m = decay * m + (1 - decay) * g
        c = 1 - decay**t if bias_correction else 1
        v = r / c - (np.abs(m / c) ** 2 if centered else 0)
        v = np.maximum(v, 0)
        yield g / np.sqrt(v + eps) if eps_in_sqrt else g / (np.sqrt(v) + eps)


@leafwise
def adagrad_optimizer(theta, grads, learning_rate, initial_accumulator_value, eps):
    h = initial_accumulator_value
    for g in grads:
        h = h + np.abs(g) ** 2
        yield -learning_rate * g / np.sqrt(h + eps)


@leafwise
def rmsprop(theta, grads, learning_rate, decay, eps, momentum):
    r = v = 0
    for g in grads:
        r = decay * r + (1 - decay) * np.abs(g) ** 2
        v = momentum * v - learning_rate * g / np.sqrt(r + eps)
        yield v
