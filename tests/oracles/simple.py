"""Oracles of the transformations without memory."""

import numpy as np

from tests.oracles import leafwise, whole_tree


@leafwise
def identity(theta, grads):
    yield from grads


@leafwise
def set_to_zero(theta, grads):
    for g in grads:
        yield 0 * g


@leafwise
def scale(theta, grads, step_size):
    for g in grads:
        yield step_size * g


@leafwise
def scale_by_lr(theta, grads, learning_rate):
    for g in grads:
        yield -learning_rate * g


@leafwise
def scale_by_schedule(theta, grads):
    for t, g in enumerate(grads):
        yield g / (2 + t)


@leafwise
def add_decayed_weights(theta, grads, weight_decay):
    for g in grads:
        yield g + weight_decay * theta[0]


@leafwise
def add_independent_decay(theta, grads, weight_decay, learning_rate, peak):
    for g in grads:
        yield g - learning_rate / peak * weight_decay * theta[0]


@leafwise
def clip(theta, grads, max_delta):
    for g in grads:
        yield np.clip(g, -max_delta, max_delta)


@whole_tree
def clip_by_global_norm(theta, grads, max_norm):
    for gs in grads:
        norm = np.sqrt(sum(np.sum(np.abs(g) ** 2) for g in gs))
        yield [g * min(1, max_norm / norm) for g in gs]


@leafwise
def centralize(theta, grads, output_axis):
    for g in grads:
        others = tuple(a for a in range(g.ndim) if a != output_axis % g.ndim) if g.ndim > 1 else ()
        yield g - (g.mean(axis=others, keepdims=True) if g.ndim > 1 else 0)
