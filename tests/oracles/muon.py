"""Oracles of Muon (Jordan et al. 2024; Liu et al. 2025) and GaLore (Zhao et al. 2024)."""

import numpy as np

from tests.oracles import leafwise
from tests.oracles.adam import adam

KELLER = [(3.4445, -4.7750, 2.0315)] * 5


def newton_schulz(g, coefficients=KELLER, eps=1e-8):
    x = g / (np.linalg.norm(g) + eps)
    for a, b, c in coefficients:
        gram = x @ x.conj().T
        x = a * x + b * gram @ x + c * gram @ gram @ x
    return x


@leafwise
def muon_matrix(theta, grads, learning_rate, beta, nesterov, factor, decay, coefficients):
    m = 0
    for t, g in enumerate(grads, 1):
        m = beta * m + (1 - beta) * g
        u = m / (1 - beta**t)
        if nesterov:
            u = beta * m / (1 - beta ** (t + 1)) + (1 - beta) * g / (1 - beta**t)
        yield -learning_rate * (factor(*g.shape) * newton_schulz(u, coefficients) + decay * theta[0])


@leafwise
def scale_by_muon(theta, grads, beta):
    m = 0
    for t, g in enumerate(grads, 1):
        m = beta * m + (1 - beta) * g
        u = beta * m / (1 - beta ** (t + 1)) + (1 - beta) * g / (1 - beta**t)
        yield newton_schulz(u) if g.ndim == 2 else u


def muon(theta, grads, learning_rate, beta, nesterov, adam_b1, adam_b2, consistent_rms, ns_coeffs, weight_decay):
    factor = lambda m, n: np.sqrt(max(1, n / m)) if consistent_rms is None else consistent_rms * np.sqrt(max(m, n))
    rows = KELLER if ns_coeffs == "keller" else ns_coeffs
    numbers = dict(learning_rate=learning_rate, beta=beta, nesterov=nesterov, factor=factor)
    numbers |= dict(decay=weight_decay or 0, coefficients=rows)
    of = lambda i: ([theta[i]], [[g[i]] for g in grads])
    columns = [
        muon_matrix(*of(i), **numbers)
        if p.ndim == 2
        else [[-learning_rate * u[0]] for u in adam(*of(i), b1=adam_b1, b2=adam_b2, eps=1e-8, nesterov=nesterov)]
        for i, p in enumerate(theta)
    ]
    return [[column[t][0] for column in columns] for t in range(len(grads))]


@leafwise
def galore_matrix(theta, grads, rank, gap, scale, b1, b2):
    m = v = p = np.zeros(())
    for t, g in enumerate(grads):
        wide = g.shape[0] <= g.shape[1]
        g = g if wide else g.T
        if t % gap == 0:
            p = np.linalg.svd(g)[0][:, :rank]
            p = p * np.sign(p[np.argmax(np.abs(p), axis=0), np.arange(p.shape[1])])
        r = p.T @ g
        m, v = b1 * m + (1 - b1) * r, b2 * v + (1 - b2) * r**2
        n = m / (1 - b1 ** (t + 1)) / (np.sqrt(v / (1 - b2 ** (t + 1))) + 1e-8)
        u = scale * np.matmul(p, n)
        yield u if wide else u.T


def scale_by_galore(theta, grads, rank, update_proj_gap, scale):
    of = lambda i: ([theta[i]], [[g[i]] for g in grads])
    numbers = dict(rank=rank, gap=update_proj_gap, scale=scale, b1=0.9, b2=0.999)
    columns = [
        galore_matrix(*of(i), **numbers) if p.ndim == 2 else adam(*of(i), b1=0.9, b2=0.999, eps=1e-8)
        for i, p in enumerate(theta)
    ]
    return [[column[t][0] for column in columns] for t in range(len(grads))]


def galore(theta, grads, learning_rate, rank, update_proj_gap, scale):
    directions = scale_by_galore(theta, grads, rank, update_proj_gap, scale)
    return [[-learning_rate * u for u in us] for us in directions]
