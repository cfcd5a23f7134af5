"""Oracles of wrappers, each built on the oracle of what it wraps."""

import numpy as np

from tests.oracles import momentum, rms, simple, whole_tree


def sgd(theta, grads):
    return momentum.sgd(theta, grads, learning_rate=0.1, momentum=0.9, nesterov=False)


def clipped_rmsprop(theta, grads):
    grads = simple.clip_by_global_norm(theta, grads, max_norm=0.7)
    return rms.rmsprop(theta, grads, learning_rate=0.01, decay=0.9, eps=1e-8, momentum=0)


def moved(theta, iterates):
    """The updates between parameters."""
    return [[b - a for a, b in zip(x, y, strict=True)] for x, y in zip([theta, *iterates], iterates, strict=False)]


def lookahead(base):
    """Zhang et al. 2019, Algorithm 1, around an oracle whose updates do not depend on theta."""

    def oracle(theta, grads, sync_period, slow_step_size, reset_state):
        pieces = [grads[i : i + sync_period] for i in range(0, len(grads), sync_period)] if reset_state else [grads]
        fast = slow = theta
        iterates = []
        for t, us in enumerate((us for piece in pieces for us in base(theta, piece)), 1):
            fast = [p + u for p, u in zip(fast, us, strict=True)]
            if t % sync_period == 0:
                slow = fast = [s + slow_step_size * (p - s) for s, p in zip(slow, fast, strict=True)]
            iterates.append(fast)
        return moved(theta, iterates)

    return oracle


@whole_tree
def nested_lookahead(theta, grads):
    """Every 2 steps half way; every 3 steps, after that, a third of the way."""
    near = far = list(theta)
    for t, us in enumerate(clipped_rmsprop(theta, list(grads)), 1):
        fast = [p + u for p, u in zip(theta, us, strict=True)]
        if t % 2 == 0:
            near = fast = [s + (p - s) / 2 for s, p in zip(near, fast, strict=True)]
        if t % 3 == 0:
            far = fast = [s + (p - s) / 3 for s, p in zip(far, fast, strict=True)]
        yield [q - p for p, q in zip(theta, fast, strict=True)]


def schedule_free(theta, z_steps, weights, b1):
    """Defazio et al. 2024 with x kept: `z_steps(y)` yields how z moves, of the y it reads."""
    y, x, z = list(theta), list(theta), list(theta)
    iterates, total = [], 0
    for us, w in zip(z_steps(y), weights, strict=False):
        total += w
        c = w / total if total else 0
        z = [a + u for a, u in zip(z, us, strict=True)]
        x = [(1 - c) * a + c * b for a, b in zip(x, z, strict=True)]
        y[:] = [(1 - b1) * a + b1 * b for a, b in zip(z, x, strict=True)]
        iterates.append(list(y))
    return moved(theta, iterates)


def schedule_free_rmsprop(theta, grads, b1):
    """Around `clipped_rmsprop`, with weights that grow with the step."""
    return schedule_free(theta, lambda y: clipped_rmsprop(theta, grads), range(1, len(grads) + 1), b1)


def schedule_free_sgd(theta, grads, learning_rate, warmup_steps, b1, weight_decay):
    etas = [learning_rate * min(1, t / warmup_steps) for t in range(1, len(grads) + 1)]

    def z_steps(y):
        for gs, eta in zip(grads, etas, strict=True):
            yield [-eta * (g + weight_decay * p) for g, p in zip(gs, y, strict=True)]

    return schedule_free(theta, z_steps, np.maximum.accumulate(etas) ** 2, b1)


def debiased_rms(grads, etas, b2, eps, weight_decay):
    """How z moves in the Adam forms."""

    def z_steps(y):
        v = [0 for _ in grads[0]]
        for t, (gs, eta) in enumerate(zip(grads, etas, strict=True), 1):
            v = [b2 * a + (1 - b2) * g**2 for a, g in zip(v, gs, strict=True)]
            us = [g / (np.sqrt(a / (1 - b2**t)) + eps) for a, g in zip(v, gs, strict=True)]
            yield [-eta * (u + weight_decay * p) for u, p in zip(us, y, strict=True)]

    return z_steps


def schedule_free_adamw(theta, grads, learning_rate, warmup_steps, b1, b2, eps, weight_decay, weight_lr_power):
    etas = [learning_rate * min(1, t / warmup_steps) for t in range(1, len(grads) + 1)]
    weights = np.maximum.accumulate(etas) ** weight_lr_power
    return schedule_free(theta, debiased_rms(grads, etas, b2, eps, weight_decay), weights, b1)


def schedule_free_radam(theta, grads, learning_rate, b1, b2, eps, weight_decay):
    etas, limit = [], 2 / (1 - b2) - 1
    for t in range(1, len(grads) + 1):
        rho = limit - 2 * t * b2**t / (1 - b2**t)
        square = (rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)
        etas.append(learning_rate * np.sqrt(square) if rho > 4 else 0)
    weights = np.maximum.accumulate(etas) ** 2
    return schedule_free(theta, debiased_rms(grads, etas, b2, eps, weight_decay or 0), weights, b1)


def climb(theta, gs, rho, eta=None):
    """SAM's and, with eta, ASAM's step uphill."""
    size = [1 if eta is None else np.abs(p) + eta for p in theta]
    norm = np.sqrt(sum(np.sum((t * g) ** 2) for t, g in zip(size, gs, strict=True)))
    return [rho * t**2 * g / norm for t, g in zip(size, gs, strict=True)]


@whole_tree
def scale_to_norm(theta, grads, rho):
    for gs in grads:
        yield climb(theta, gs, rho)


@whole_tree
def scale_to_adaptive_norm(theta, grads, rho, eta):
    for gs in grads:
        yield climb(theta, gs, rho, eta)


@whole_tree
def sam(theta, grads, rho, eta=None):
    """Around `sgd`, with grad L(q) = g + q / 2 for the second gradient."""
    v = [0 for _ in theta]
    for gs in grads:
        eps = climb(theta, gs, rho, eta)
        v = [0.9 * a + g + (p + e) / 2 for a, g, p, e in zip(v, gs, theta, eps, strict=True)]
        yield [-0.1 * a for a in v]


def sharpness_aware(theta, grads):
    return sam(theta, grads, rho=0.3)


def watched_lookahead(theta, grads):
    return lookahead(sgd)(theta, grads, 3, 0.4, False)


@whole_tree
def alternating_sam(theta, grads, rho, eta=None):
    """Around `sgd`: up, then down from where it was."""
    v, eps = [0 for _ in theta], None
    for gs in grads:
        if eps is None:
            eps = climb(theta, gs, rho, eta)
            yield eps
        else:
            v = [0.9 * a + g for a, g in zip(v, gs, strict=True)]
            yield [-0.1 * a - e for a, e in zip(v, eps, strict=True)]
            eps = None


@whole_tree
def reduce_on_plateau(theta, grads, factor, patience, rtol, cooldown, accumulation_size, min_scale):
    """The value is sum sin(theta)."""
    scale, best, waited, cooling, values = 1.0, np.inf, 0, 0, []
    for gs in grads:
        values.append(sum(np.sum(np.sin(p)) for p in theta))
        if len(values) == accumulation_size:
            better, best = np.mean(values) < (1 - rtol) * best, min(best, np.mean(values))
            waited = 0 if better or cooling else waited + 1
            cooling = max(0, cooling - 1)
            if waited == patience:
                scale, waited, cooling = max(scale * factor, min_scale), 0, cooldown
            values = []
        yield [scale * g for g in gs]
