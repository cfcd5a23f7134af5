"""Oracles of Adam (Kingma & Ba 2015), NAdam (Dozat 2016), AMSGrad (Reddi et al. 2018), AdamW (Loshchilov & Hutter)."""

import numpy as np

from tests.oracles import leafwise
from tests.oracles.simple import clip_by_global_norm


@leafwise
def adam(theta, grads, b1, b2, eps, eps_root=0.0, nesterov=False):
    m = v = 0
    for t, g in enumerate(grads, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * np.abs(g) ** 2
        m_hat = m / (1 - b1**t)
        if nesterov:
            m_hat = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        yield m_hat / (np.sqrt(v / (1 - b2**t) + eps_root) + eps)


@leafwise
def amsgrad(theta, grads, b1, b2, eps, max_of, eps_root=0.0):
    m = v = x = 0
    for t, g in enumerate(grads, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * np.abs(g) ** 2
        if max_of == "debiased":
            x = np.maximum(x, v / (1 - b2**t))
            yield m / (1 - b1**t) / (np.sqrt(x + eps_root) + eps)
        else:
            x = np.maximum(x, v)
            yield m / (1 - b1**t) / (np.sqrt(x / (1 - b2**t) + eps_root) + eps)


@leafwise
def adamax(theta, grads, b1, b2, eps):
    m = s = 0
    for t, g in enumerate(grads, 1):
        m = b1 * m + (1 - b1) * g
        s = np.maximum(b2 * s, np.abs(g) + eps)
        yield m / ((1 - b1**t) * s)


def optimizer(direction, theta, grads, learning_rate, weight_decay, **hyper):
    """Follow a leafwise direction with decoupled decay: theta <- theta - eta (u + lambda theta)."""
    decay = weight_decay or 0
    theta = [np.array(p) for p in theta]
    out = []
    for us in direction(theta, grads, **hyper):
        out.append([-learning_rate * (u + decay * p) for u, p in zip(us, theta, strict=True)])
        theta = [p + u for p, u in zip(theta, out[-1], strict=True)]
    return out


def adam_optimizer(theta, grads, learning_rate, b1, b2, eps, weight_decay):
    return optimizer(adam, theta, grads, learning_rate, weight_decay, b1=b1, b2=b2, eps=eps)


def nadam_optimizer(theta, grads, learning_rate, b1, b2, eps, weight_decay):
    return optimizer(adam, theta, grads, learning_rate, weight_decay, b1=b1, b2=b2, eps=eps, nesterov=True)


def amsgrad_optimizer(theta, grads, learning_rate, b1, b2, eps, weight_decay, max_of):
    return optimizer(amsgrad, theta, grads, learning_rate, weight_decay, b1=b1, b2=b2, eps=eps, max_of=max_of)


def adamax_optimizer(theta, grads, learning_rate, b1, b2, eps, weight_decay):
    return optimizer(adamax, theta, grads, learning_rate, weight_decay, b1=b1, b2=b2, eps=eps)


def clipped_adam(theta, grads):
    grads = clip_by_global_norm(theta, grads, max_norm=0.7)
    return optimizer(adam, theta, grads, 0.01, None, b1=0.9, b2=0.999, eps=1e-8)


def plain_adam(theta, grads):
    return optimizer(adam, theta, grads, 0.01, None, b1=0.9, b2=0.999, eps=1e-8)


def described_adam(theta, grads):
    """Of `descend(scale_by_adam(), 0.01, 0.1)`, which is a chain and has no arguments of its own."""
    return optimizer(adam, theta, grads, 0.01, 0.1, b1=0.9, b2=0.999, eps=1e-8)
