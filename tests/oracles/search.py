"""Oracles of L-BFGS, and of searches along losses whose steps are known."""

import numpy as np

from tests.oracles import leafwise, whole_tree


def flat(leaves):
    return np.concatenate([np.ravel(x) for x in leaves])


def unflat(x, leaves):
    ends = np.cumsum([p.size for p in leaves])[:-1]
    return [part.reshape(p.shape) for part, p in zip(np.split(x, ends), leaves, strict=True)]


def inverse_hessian_times(g, pairs, scaled, length=1.0):
    """H g with the matrix written out, as in (7.19) of Nocedal & Wright, from pairs with the gradient before them."""
    good = [(s, y) for s, y, before in pairs if s @ y > np.finfo(np.float64).eps * abs(s @ before)]
    gamma = length / np.linalg.norm(g) if not good else (good[-1][0] @ good[-1][1]) / (good[-1][1] @ good[-1][1])
    h = np.eye(g.size) * (gamma if scaled else 1)
    for s, y in good:
        v = np.eye(g.size) - np.outer(y, s) / (s @ y)
        h = v.T @ h @ v + np.outer(s, s) / (s @ y)
    return h @ g


def directions(theta, grads, memory_size, scale_init_precond):
    pairs, last = [], None
    for g in grads:
        x, g = flat(theta), flat(g)
        if last is not None:
            pairs = [*pairs, (x - last[0], g - last[1], last[1])][-memory_size:]
        last = x, g
        yield inverse_hessian_times(g, pairs, scale_init_precond, float(np.linalg.norm(x)) / 10 or 1.0)


@whole_tree
def scale_by_lbfgs(theta, grads, memory_size, scale_init_precond):
    for u in directions(theta, grads, memory_size, scale_init_precond):
        yield unflat(u, theta)


@whole_tree
def lbfgs(theta, grads, learning_rate, memory_size, scale_init_precond):
    for u in directions(theta, grads, memory_size, scale_init_precond):
        yield unflat(-learning_rate * u, theta)


@leafwise
def zoom(theta, grads):
    """The loss is least at three updates from theta."""
    for g in grads:
        yield 3 * g


@leafwise
def backtracking(theta, grads, decrease_factor):
    """The loss is 0 and least at half an update: with slope_rtol = 0.41 it falls enough up to a step of 0.59."""
    step = 0.5 / 1.5
    for g in grads:
        step = min(1.5 * step, 1)
        while step > 0.59:
            step *= decrease_factor
        yield step * g


@whole_tree
def newton_cg(theta, grads):
    """The Hessian is 1, 2, 3, 4 on the leaves, in their sorted order."""
    for g in grads:
        yield [x / (i + 1) for i, x in enumerate(g)]


@whole_tree
def half_newton(theta, grads):
    for g in grads:
        yield [-x / (i + 1) / 2 for i, x in enumerate(g)]
