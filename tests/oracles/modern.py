"""Oracles of MADGRAD, ADOPT, AdEMAMix, LaProp, StableAdamW, Adam-atan2, MARS, Grokfast, caution and corrected decay."""

from typing import Any

import numpy as np

from tests.oracles import leafwise
from tests.oracles.adam import adam, optimizer


@leafwise
def madgrad(theta, grads, learning_rate, momentum, eps, weight_decay=None):
    s, nu, x0 = 0, 0, theta[0].copy()
    for t, g in enumerate(grads, 1):
        lam = (learning_rate + eps) * np.sqrt(t)
        s, nu = s + lam * g, nu + lam * np.abs(g) ** 2
        z = x0 - s / (np.cbrt(nu) + eps)
        x = (1 - momentum) * z + momentum * theta[0]
        yield x - theta[0] - learning_rate * (weight_decay or 0) * theta[0]


@leafwise
def madgrad_cautious(theta, grads, learning_rate, momentum, eps):
    for step in madgrad.__wrapped__(theta, grads, learning_rate, momentum, eps):
        yield step - learning_rate * 0.1 * theta[0] * (step * theta[0] <= 0)


@leafwise
def adopt(theta, grads, b1, b2, eps, clip_exponent, nesterov):
    m = v = 0
    for t, g in enumerate(grads, 1):
        if t == 1:
            v = np.abs(g) ** 2
            yield 0 * g
            continue
        c = np.inf if clip_exponent is None else (t - 1) ** clip_exponent
        n = np.clip(g / np.maximum(np.sqrt(v), eps), -c, c)
        m = b1 * m + (1 - b1) * n
        v = b2 * v + (1 - b2) * np.abs(g) ** 2
        yield b1 * m + (1 - b1) * n if nesterov else m


def adopt_optimizer(theta, grads, learning_rate, weight_decay):
    hyper = dict(b1=0.9, b2=0.9999, eps=1e-6, clip_exponent=0.25, nesterov=False)
    return optimizer(adopt, theta, grads, learning_rate, weight_decay, **hyper)


def at(x, t) -> Any:
    return x(t) if callable(x) else x


@leafwise
def ademamix(theta, grads, b1, b2, b3, alpha, eps, eps_root=0.0):
    m1 = m2 = v = 0
    for t, g in enumerate(grads, 1):
        slow, weight = at(b3, t), at(alpha, t)
        m1 = b1 * m1 + (1 - b1) * g
        m2 = slow * m2 + (1 - slow) * g
        v = b2 * v + (1 - b2) * np.abs(g) ** 2
        yield (m1 / (1 - b1**t) + weight * m2) / (np.sqrt(v / (1 - b2**t) + eps_root) + eps)


def ademamix_optimizer(theta, grads, learning_rate, b1, b2, b3, alpha, eps, weight_decay):
    hyper = dict(b1=b1, b2=b2, b3=b3, alpha=alpha, eps=eps)
    return optimizer(ademamix, theta, grads, learning_rate, weight_decay, **hyper)


def ademamix_warmed(theta, grads, learning_rate, b1, b2, eps, weight_decay):
    def b3(t, start=b1, end=0.999, steps=12):
        a, b = np.log(start), np.log(end)
        return min(np.exp(a * b / ((1 - t / steps) * b + t / steps * a)), end) if t < steps else end

    alpha = lambda t: min(8 * t / 12, 8)
    return ademamix_optimizer(theta, grads, learning_rate, b1, b2, b3, alpha, eps, weight_decay)


@leafwise
def simplified_ademamix(theta, grads, b1, b2, alpha, eps, eps_root=0.0):
    m = n = 0
    for t, g in enumerate(grads, 1):
        m = b1 * m + g
        n = b2 * n + (1 - b2) * np.abs(g) ** 2
        yield (m + alpha * g) / (np.sqrt(n / (1 - b2**t) + eps_root) + eps)


def simplified_optimizer(theta, grads, learning_rate, b1, b2, alpha, eps, weight_decay):
    hyper = dict(b1=b1, b2=b2, alpha=alpha, eps=eps)
    return optimizer(simplified_ademamix, theta, grads, learning_rate, weight_decay, **hyper)


@leafwise
def laprop(theta, grads, b1, b2, eps):
    m = v = 0
    for t, g in enumerate(grads, 1):
        v = b2 * v + (1 - b2) * np.abs(g) ** 2
        m = b1 * m + (1 - b1) * g / (np.sqrt(v / (1 - b2**t)) + eps)
        yield m / (1 - b1**t)


def laprop_optimizer(theta, grads, learning_rate, b1, b2, eps, weight_decay):
    return optimizer(laprop, theta, grads, learning_rate, weight_decay, b1=b1, b2=b2, eps=eps)


@leafwise
def stable_adam(theta, grads, b1, b2, eps):
    v = u = 0
    for t, g in enumerate(grads, 1):  # the averages with decays that depend on t, as the paper has them
        d1, d2 = (b * (1 - b ** (t - 1)) / (1 - b**t) for b in (b1, b2))
        v = d1 * v + (1 - d1) * g
        u = d2 * u + (1 - d2) * np.abs(g) ** 2
        rms = np.sqrt(np.mean(np.abs(g) ** 2 / np.maximum(u, eps**2)))
        yield v / (np.sqrt(u) + eps) / max(1, rms)


def stable_adamw(theta, grads, learning_rate, b1, b2, eps, weight_decay):
    return optimizer(stable_adam, theta, grads, learning_rate, weight_decay, b1=b1, b2=b2, eps=eps)


@leafwise
def adam_atan2(theta, grads, b1, b2, a, b):
    m = v = 0
    for t, g in enumerate(grads, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * np.abs(g) ** 2
        yield a * np.arctan2(m / (1 - b1**t), b * np.sqrt(v / (1 - b2**t)))


def adam_atan2_optimizer(theta, grads, learning_rate, b1, b2, a, b, weight_decay):
    return optimizer(adam_atan2, theta, grads, learning_rate, weight_decay, b1=b1, b2=b2, a=a, b=b)


@leafwise
def mars(theta, grads, b1, b2, eps, gamma, max_norm):
    m, v, last = 0, 0, None
    for t, g in enumerate(grads, 1):
        c = g + gamma * b1 / (1 - b1) * (g - (g if last is None else last))
        c = c / max(1, np.linalg.norm(c) / max_norm)
        m = b1 * m + (1 - b1) * c
        v = b2 * v + (1 - b2) * np.abs(c) ** 2
        last = g
        yield m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps)


def mars_optimizer(theta, grads, learning_rate, b1, b2, eps, gamma, max_norm, weight_decay):
    hyper = dict(b1=b1, b2=b2, eps=eps, gamma=gamma, max_norm=max_norm)
    return optimizer(mars, theta, grads, learning_rate, weight_decay, **hyper)


@leafwise
def grokfast(theta, grads, alpha, lamb):
    h = None
    for g in grads:
        h = g if h is None else alpha * h + (1 - alpha) * g
        yield g + lamb * h


@leafwise
def grokfast_window(theta, grads, size, lamb):
    seen = []
    for g in grads:
        seen.append(g)
        yield g + lamb * np.mean(seen[-size:], axis=0) if len(seen) >= size else g


@leafwise
def cautious_adam(theta, grads, min_share):
    grads = list(grads)
    for g, u in zip(grads, adam.__wrapped__(theta, iter(grads), b1=0.9, b2=0.999, eps=1e-8), strict=True):
        phi = (u * g > 0).astype(np.float64)
        alpha = phi.size / (phi.sum() + 1) if min_share is None else 1 / max(phi.mean(), min_share)
        yield -0.01 * u * phi * alpha


@leafwise
def cautious_decay(theta, grads, weight_decay):
    for g in grads:
        yield g + weight_decay * theta[0] * (g * theta[0] >= 0)


@leafwise
def cautious_adamw(theta, grads):
    for u in adam.__wrapped__(theta, grads, b1=0.9, b2=0.999, eps=1e-8):
        yield -0.01 * (u + 0.1 * theta[0] * (u * theta[0] >= 0))


@leafwise
def corrected_decay(theta, grads, weight_decay, learning_rate, peak):
    for g in grads:
        yield g + weight_decay * learning_rate / peak * theta[0]


@leafwise
def adamc(theta, grads):
    for t, u in enumerate(adam.__wrapped__(theta, grads, b1=0.9, b2=0.999, eps=1e-8)):
        eta = 1 / (50 + t)
        yield -eta * u - eta * 0.1 * (eta / 0.02) * theta[0]


@leafwise
def decay_beside(theta, grads, learning_rate):
    for g in grads:
        yield g - learning_rate * 0.1 * theta[0]


@leafwise
def descend_by(theta, grads):
    for g in grads:
        yield -0.3 * g - 0.3 * 0.1 * theta[0]
