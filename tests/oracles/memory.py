"""Oracles of methods that keep less: Adafactor (Shazeer & Stern 2018), SM3 (Anil et al. 2019), Adam-mini (2024)."""

import numpy as np

from tests.oracles import leafwise


def rms(x):
    return np.sqrt(np.mean(np.abs(x) ** 2))


@leafwise
def factored_rms(
    theta, grads, decay_rate, step_offset, min_dim_size_to_factor, epsilon=1e-30, factored=True, max_b2=1.0
):
    r = c = v = 0
    for t, g in enumerate(grads, 1):
        b2 = min(1 - max(t - step_offset, 1) ** -decay_rate, max_b2)
        q = np.abs(g) ** 2 + epsilon
        *_, col, row = [0, 0, *np.argsort(g.shape, kind="stable")]
        if factored and g.ndim > 1 and g.shape[col] >= min_dim_size_to_factor:
            r = b2 * r + (1 - b2) * q.mean(axis=row, keepdims=True)
            c = b2 * c + (1 - b2) * q.mean(axis=col, keepdims=True)
            yield g / np.sqrt(r * c / r.mean(axis=col, keepdims=True))
        else:
            v = b2 * v + (1 - b2) * q
            yield g / np.sqrt(v)


@leafwise
def adafactor(
    theta, grads, learning_rate, decay_rate, decay_offset, min_dim_size_to_factor, clipping_threshold,
    multiply_by_parameter_scale, momentum, weight_decay,
):  # fmt: skip
    m, b1 = 0, momentum or 0
    us = factored_rms.__wrapped__(theta, grads, decay_rate, decay_offset, min_dim_size_to_factor)
    for t, u in enumerate(us, 1):
        u = u / max(1, rms(u) / clipping_threshold)
        m = b1 * m + (1 - b1) * u * (max(rms(theta[0]), 1e-3) if multiply_by_parameter_scale else 1)
        eta = min(1e-2, 1 / np.sqrt(t)) if learning_rate is None else learning_rate
        yield -eta * (m + (weight_decay or 0) * theta[0])


@leafwise
def clip_by_block_rms(theta, grads, threshold):
    for g in grads:
        yield g / max(1, rms(g) / threshold)


@leafwise
def param_block_rms(theta, grads, min_scale):
    for g in grads:
        yield g * max(rms(theta[0]), min_scale)


@leafwise
def param_block_norm(theta, grads, min_scale):
    for g in grads:
        yield g * max(np.linalg.norm(theta[0]), min_scale)


@leafwise
def sm3(theta, grads, b1, b2, eps):
    m, accumulators = 0, None
    for g in grads:
        x = np.atleast_1d(g)
        axes = [tuple(a for a in range(x.ndim) if a != k) for k in range(x.ndim)]
        least = (
            0 if accumulators is None else np.broadcast_to(np.min(np.broadcast_arrays(*accumulators), axis=0), x.shape)
        )
        v = b2 * least + (1 if b2 == 1 else 1 - b2) * np.abs(x) ** 2
        accumulators = [v.max(axis=others, keepdims=True) for others in axes]
        m = b1 * m + (1 - b1) * (x / np.sqrt(v + eps)).reshape(g.shape)
        yield m


@leafwise
def sm3_optimizer(theta, grads, learning_rate, momentum, b2, eps, weight_decay):
    for u in sm3.__wrapped__(theta, grads, momentum, b2, eps):
        yield -learning_rate * (u + weight_decay * theta[0])


@leafwise
def adam_mini(theta, grads, b1, b2, eps, block_axis):
    m = v = 0
    for t, g in enumerate(grads, 1):
        blocks = (
            np.moveaxis(g, block_axis, 0).reshape(g.shape[block_axis], -1)
            if g.ndim > 1 and block_axis is not None
            else g.reshape(1, -1)
        )
        shape = [-1 if g.ndim > 1 and block_axis is not None and a == block_axis % g.ndim else 1 for a in range(g.ndim)]
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * np.mean(np.abs(blocks) ** 2, axis=1).reshape(shape)
        yield m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps)


@leafwise
def adam_mini_optimizer(theta, grads, learning_rate, b1, b2, eps, block_axis, weight_decay):
    for u in adam_mini.__wrapped__(theta, grads, b1, b2, eps, block_axis):
        yield -learning_rate * (u + weight_decay * theta[0])
