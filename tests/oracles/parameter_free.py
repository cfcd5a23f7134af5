"""Oracles of the methods that find their own step size; `value` is always half the squared norm of the parameters."""

import numpy as np

from tests.oracles import leafwise, whole_tree


def dot(xs, ys):
    return sum(np.sum(x * y) for x, y in zip(xs, ys, strict=True))


def norm(xs):
    return np.sqrt(dot(xs, xs))


def minus(xs, ys):
    return [x - y for x, y in zip(xs, ys, strict=True)]


@whole_tree
def polyak(theta, grads, f_min, max_learning_rate, eps, variant, scaling, weight_decay, sign=1):
    """Loizou et al. 2021, SPS_max with c = 1 / scaling; Garrigos et al. 2023 for sps+."""
    for gs in grads:
        gap = dot(theta, theta) / 2 - f_min
        gap = max(gap, 0) if variant == "sps+" else gap
        eta = min(scaling * gap / (dot(gs, gs) + eps), max_learning_rate)
        yield [sign * eta * (g + (weight_decay or 0) * p) for g, p in zip(gs, theta, strict=True)]


def polyak_sgd(theta, grads, f_min, max_learning_rate, eps, variant, scaling, weight_decay):
    numbers = dict(f_min=f_min, max_learning_rate=max_learning_rate, eps=eps, variant=variant, scaling=scaling)
    return polyak(theta, grads, **numbers, weight_decay=weight_decay, sign=-1)


@whole_tree
def dog(theta, grads, learning_rate, init_step, eps, init_kind, weight_decay):
    """Ivgi et al. 2023, Algorithm 1, and the first step's three forms of the authors' code."""
    start = [p.copy() for p in theta]
    total, r = 0, {"heuristic": init_step * (1 + norm(theta)), "distance": init_step, "learning_rate": 0}[init_kind]
    for t, gs in enumerate(grads):
        gs = [g + (weight_decay or 0) * p for g, p in zip(gs, theta, strict=True)]
        r = max(r, norm(minus(theta, start)))
        total += dot(gs, gs)
        eta = init_step if t == 0 and init_kind == "learning_rate" else r / np.sqrt(total + eps)
        yield [-learning_rate * eta * g for g in gs]


def scale_by_dog(theta, grads, init_step, eps, init_kind):
    return dog(theta, grads, learning_rate=-1, init_step=init_step, eps=eps, init_kind=init_kind, weight_decay=None)


@leafwise
def ldog(theta, grads, learning_rate, reps_rel, eps):
    start, total, r = theta[0].copy(), 0, reps_rel * (1 + norm(theta))
    for g in grads:
        r = max(r, np.sqrt(np.sum((theta[0] - start) ** 2)))
        total += np.sum(g**2)
        yield -learning_rate * r / np.sqrt(total + eps) * g


def scale_by_ldog(theta, grads, reps_rel, eps):
    return ldog(theta, grads, learning_rate=-1, reps_rel=reps_rel, eps=eps)


@whole_tree
def dowg(theta, grads, learning_rate, init_estim_sq_dist, eps):
    """Khaled et al. 2023, Algorithm 1, with the authors' eps."""
    start, v, r_sq = [p.copy() for p in theta], 0, init_estim_sq_dist or eps
    for gs in grads:
        way = minus(theta, start)
        r_sq = max(r_sq, dot(way, way))
        v += r_sq * dot(gs, gs)
        yield [-learning_rate * r_sq / (np.sqrt(v) + eps) * g for g in gs]


def scale_by_dowg(theta, grads, init_estim_sq_dist, eps):
    return dowg(theta, grads, learning_rate=-1, init_estim_sq_dist=init_estim_sq_dist, eps=eps)


@whole_tree
def prodigy(theta, grads, learning_rate, b1, b2, b3, eps, estim_lr0, estim_lr_coef, safeguard_warmup, weight_decay):
    """Mishchenko & Defazio 2024, the Adam form, with Adam's bias corrections in the step size."""
    start, d, n, b3 = [p.copy() for p in theta], estim_lr0, 0, b3 or np.sqrt(b2)
    m, v, s = ([np.zeros_like(p) for p in theta] for _ in range(3))
    for t, gs in enumerate(grads, 1):
        k = d * learning_rate * np.sqrt(1 - b2**t) / (1 - b1**t)
        n = b3 * n + d / estim_lr0 * k * dot(gs, minus(start, theta))
        s = [b3 * x + d / estim_lr0 * (d if safeguard_warmup else k) * g for x, g in zip(s, gs, strict=True)]
        m = [b1 * x + (1 - b1) * d * g for x, g in zip(m, gs, strict=True)]
        v = [b2 * x + (1 - b2) * (d * g) ** 2 for x, g in zip(v, gs, strict=True)]
        decay = weight_decay or 0
        yield [-k * (a / (np.sqrt(b) + d * eps) + decay * p) for a, b, p in zip(m, v, theta, strict=True)]
        d = max(d, estim_lr_coef * n / sum(np.sum(np.abs(x)) for x in s))


@whole_tree
def dadapt_adamw(theta, grads, learning_rate, b1, b2, eps, estim_lr0, weight_decay):
    """Defazio & Mishchenko 2023, the Adam form, the numerator from the old averages as in the authors' code."""
    d, n, r = estim_lr0, 0, np.sqrt(b2)
    m, v, s = ([np.zeros_like(p) for p in theta] for _ in range(3))
    for t, gs in enumerate(grads, 1):
        k = d * learning_rate * np.sqrt(1 - b2**t) / (1 - b1**t)
        n = r * n + (1 - r) * k * dot(gs, [x / (np.sqrt(y) + eps) for x, y in zip(s, v, strict=True)])
        m = [b1 * x + (1 - b1) * k * g for x, g in zip(m, gs, strict=True)]
        v = [b2 * x + (1 - b2) * g**2 for x, g in zip(v, gs, strict=True)]
        s = [r * x + (1 - r) * k * g for x, g in zip(s, gs, strict=True)]
        decay = k * (weight_decay or 0)
        yield [-a / (np.sqrt(b) + eps) - decay * p for a, b, p in zip(m, v, theta, strict=True)]
        d = max(d, n / ((1 - r) * sum(np.sum(np.abs(x)) for x in s)))


@leafwise
def cocob(theta, grads, alpha, eps, learning_rate=1.0):
    """Orabona & Tommasi 2017, Algorithm 2."""
    start, largest, total, reward, c = theta[0].copy(), eps, 0, 0, 0
    for g in grads:
        g = learning_rate * g
        largest = np.maximum(largest, np.abs(g))
        total = total + np.abs(g)
        reward = np.maximum(reward - g * (theta[0] - start), 0)
        c = c - g
        beta = c / (largest * np.maximum(total + largest, alpha * largest))
        yield start + beta * (largest + reward) - theta[0]


def momo_steps(theta, grads, averages, metric, learning_rate, lower_bound, weight_decay, adapt_lower_bound):
    """Schaipp et al. 2024, Algorithms 1 and 2; `averages` gives decay and rho of a step, `metric` its D."""
    m, f, c, lb, a = [0 * p for p in theta], 0, 0, lower_bound, 1 + learning_rate * (weight_decay or 0)
    for t, gs in enumerate(grads, 1):
        b, rho = averages(t)
        m = [b * x + (1 - b) * g for x, g in zip(m, gs, strict=True)]
        f = b * f + (1 - b) * dot(theta, theta) / 2
        c = b * c + (1 - b) * dot(gs, theta)
        u = [x / y for x, y in zip(m, metric(t, gs), strict=True)]
        if adapt_lower_bound and a * (f - c) + dot(m, theta) < a * rho * lb:
            lb = max((a * (f - c) + dot(m, theta)) / (2 * a * rho), lower_bound)
        tau = min(learning_rate / rho, max(a * (f - rho * lb - c) + dot(m, theta), 0) / dot(m, u))
        if adapt_lower_bound:
            lb = max((f + dot(m, theta) - c - tau * dot(m, u) / 2) / rho, lower_bound)
        yield [(p - tau * x) / a - p for p, x in zip(theta, u, strict=True)]


@whole_tree
def momo(theta, grads, beta, bias_correction, learning_rate, lower_bound, weight_decay, adapt_lower_bound):
    averages = lambda t: (beta, 1 - beta**t) if bias_correction else (beta * (t > 1), 1)
    metric = lambda t, gs: [1] * len(gs)
    yield from momo_steps(theta, grads, averages, metric, learning_rate, lower_bound, weight_decay, adapt_lower_bound)


@whole_tree
def momo_adam(theta, grads, b1, b2, eps, learning_rate, lower_bound, weight_decay, adapt_lower_bound):
    v = [0] * len(theta)

    def metric(t, gs):
        v[:] = [b2 * x + (1 - b2) * g**2 for x, g in zip(v, gs, strict=True)]
        return [np.sqrt(x / (1 - b2**t)) + eps for x in v]

    averages = lambda t: (b1, 1 - b1**t)
    yield from momo_steps(theta, grads, averages, metric, learning_rate, lower_bound, weight_decay, adapt_lower_bound)


@whole_tree
def mechanic_sgd(theta, grads, weight_decay, eps, s_init, num_betas):
    """Cutkosky et al. 2023, Algorithm 1, with the clip of the authors' later code; the base is sgd(0.5)."""
    start, beta = [p.copy() for p in theta], 1 - 0.1 ** np.arange(1, num_betas + 1)
    r, m, v, s = np.zeros(num_betas), np.zeros(num_betas), np.zeros(num_betas), np.full(num_betas, s_init)
    for gs in grads:
        delta = [x / (s.sum() + eps) for x in minus(start, theta)]
        pull = weight_decay * s.sum() * norm(gs) / (norm(theta) + eps)
        h = dot([g + pull * p for g, p in zip(gs, theta, strict=True)], delta)
        r = beta * r + np.clip(h, -m, m) * s
        m = np.maximum(beta * m, np.abs(h) + eps)
        v = beta**2 * v + h**2
        s = (s_init / num_betas * m + np.maximum(r, 0)) / (np.sqrt(v) + eps)
        delta = [x + 0.5 * g for x, g in zip(delta, gs, strict=True)]
        yield [x0 - s.sum() * x - p for x0, x, p in zip(start, delta, theta, strict=True)]
