"""Oracles of adaptive clipping, spike clipping, SPAM, and of what normalises, guards and accumulates."""

import numpy as np

from tests.oracles import leafwise, whole_tree
from tests.oracles.adam import optimizer


def norm_of(gs):
    return np.sqrt(sum(np.sum(np.abs(g) ** 2) for g in gs))


@leafwise
def adaptive_grad_clip(theta, grads, clipping, eps, axis):
    axes = {0: None, 1: None, 2: 0, 4: (0, 1, 2)}[theta[0].ndim] if axis is None else axis
    norm = lambda x: np.sqrt(np.sum(x**2, axis=axes, keepdims=True))
    for g in grads:
        yield g * np.minimum(1, clipping * np.maximum(norm(theta[0]), eps) / norm(g))


@whole_tree
def zclip(theta, grads, z_threshold, decay, max_norm, warmup_steps, eps):
    seen, mean, var = [], 0, 0
    for t, gs in enumerate(grads):
        limit = n = norm_of(gs)
        if t < warmup_steps:
            seen.append(n)
            mean, var = np.mean(seen), np.var(seen)
        else:
            z = (n - mean) / (np.sqrt(var) + eps)
            if z > z_threshold:
                limit = mean + z_threshold**2 / z * np.sqrt(var)
            mean = decay * mean + (1 - decay) * limit
            var = decay * var + (1 - decay) * (limit - mean) ** 2
        yield [g * min(1, min(limit, max_norm) / n) for g in gs]


@whole_tree
def autoclip(theta, grads, percentile, history):
    norms = []
    for gs in grads:
        norms = [*norms, norm_of(gs)][-history:]
        yield [g * min(1, np.percentile(norms, percentile) / norms[-1]) for g in gs]


@whole_tree
def normalize(theta, grads, scale_factor=1, eps=0):
    for gs in grads:
        yield [scale_factor * g / (norm_of(gs) + eps) for g in gs]


@leafwise
def keep_params_nonnegative(theta, grads):
    for g in grads:
        yield np.maximum(theta[0] + g, 0) - theta[0]


@leafwise
def apply_every(theta, grads, k):
    pending = []
    for g in grads:
        pending = [*pending, g]
        yield sum(pending) if len(pending) == k else 0 * g
        pending = [] if len(pending) == k else pending


@leafwise
def scale_by_spam(theta, grads, b1, b2, eps, threshold, reset_every, warmup_steps, clip_after, debias_since_reset):
    m = v = start = 0
    for t, g in enumerate(grads, 1):
        k = t % reset_every
        if k == 0:
            m, v, start = 0, 0, t - 1
        if k >= clip_after:
            g = np.where(g**2 > threshold * v, np.sign(g) * np.sqrt(threshold * v), g)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        n = t - start if debias_since_reset else t
        w = 1 - 0.99 * (1 + np.cos(np.pi * min(1, k / (warmup_steps + 1)))) / 2 if t >= reset_every else 1
        yield w * np.sqrt(1 - b2**n) / (1 - b1**n) * m / (np.sqrt(v) + eps)


@leafwise
def scale_by_stable_spam(theta, grads, b1, b2, eps, norm_decay, norm_sq_decay, max_decay, reset_every):
    m = v = peak = a = b = n = 0
    for t, g in enumerate(grads, 1):
        largest = np.max(np.abs(g))
        peak = max_decay * peak + (1 - max_decay) * largest
        usual = peak / (1 - max_decay**t)
        g = np.where(np.abs(g) > usual, g / largest * usual, g)
        size = np.sqrt(np.sum(g**2))
        a, b = norm_decay * a + (1 - norm_decay) * size, norm_sq_decay * b + (1 - norm_sq_decay) * size**2
        g = g / size * (a / (1 - norm_decay**t)) / (np.sqrt(b / (1 - norm_sq_decay**t)) + eps)
        m, v, n = (0, 0, 1) if t % reset_every == 0 else (m, v, n + 1)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        yield m / (1 - b1**n) / (np.sqrt(v / (1 - b2**n)) + eps)


def spam(theta, grads, learning_rate, b1, b2, eps, threshold, reset_every, warmup_steps, clip_after, weight_decay):
    hyper = dict(b1=b1, b2=b2, eps=eps, threshold=threshold, reset_every=reset_every, warmup_steps=warmup_steps)
    hyper |= dict(clip_after=clip_after, debias_since_reset=False)
    return optimizer(scale_by_spam, theta, grads, learning_rate, weight_decay, **hyper)


def stable_spam(theta, grads, learning_rate, b1, b2, eps, norm_decay, norm_sq_decay, max_decay, reset_every):
    hyper = dict(b1=b1, b2=b2, eps=eps, norm_decay=norm_decay, norm_sq_decay=norm_sq_decay, max_decay=max_decay)
    return optimizer(scale_by_stable_spam, theta, grads, learning_rate, None, **hyper, reset_every=reset_every)
