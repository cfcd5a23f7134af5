"""Oracles of combinators: from the oracle of an optimizer that does not look at its parameters to that of another."""

import numpy as np

from tests.oracles import leafwise, momentum, rms
from tests.oracles.simple import clip_by_global_norm


def sgd(theta, grads):
    return momentum.sgd(theta, grads, learning_rate=0.1, momentum=0.9, nesterov=False)


@leafwise
def sgd_in_float32(theta, grads):
    """The velocity kept in float32 between steps, or in complex64; each step computes with what it was."""
    v = 0
    for g in grads:
        v = 0.9 * v + g
        yield -0.1 * v
        v = v.astype(np.complex64 if np.iscomplexobj(v) else np.float32).astype(v.dtype)


def clipped_rmsprop(theta, grads):
    grads = clip_by_global_norm(theta, grads, max_norm=0.7)
    return rms.rmsprop(theta, grads, learning_rate=0.01, decay=0.9, eps=1e-8, momentum=0)


@leafwise
def plus_param(theta, grads):
    for g in grads:
        yield g + 0.5 * theta[0]


def zeros(gs):
    return [0 * g for g in gs]


def at_odd(base, otherwise):
    """`base` runs at steps 1, 3, ...; the other updates are `otherwise(grads)`."""

    def oracle(theta, grads):
        ran = iter(base(theta, grads[1::2]))
        return [next(ran) if t % 2 else otherwise(gs) for t, gs in enumerate(grads)]

    return oracle


def accumulated(base, every, weigh=lambda gs: 1, keep=lambda gs: True):
    """`base` runs on the weighted mean of each `every` gradients that are kept."""

    def oracle(theta, grads):
        groups, last = [[]], []
        for gs in grads:
            groups[-1] += [gs] if keep(gs) else []
            last.append(keep(gs) and len(groups[-1]) == every)
            groups += [[]] if last[-1] else []
        full = [group for group in groups if len(group) == every]
        weights = [np.array([weigh(gs) for gs in group]) for group in full]
        means = [
            [np.tensordot(w / w.sum(), np.stack(xs), 1) for xs in zip(*group, strict=True)]
            for group, w in zip(full, weights, strict=True)
        ]
        ran = iter(base(theta, means))
        return [next(ran) if stepped else zeros(gs) for stepped, gs in zip(last, grads, strict=True)]

    return oracle


def without_vectors(base):
    """`base` does not see vectors, and they do not move."""

    def oracle(theta, grads):
        chosen = [i for i, p in enumerate(theta) if p.ndim != 1]
        ran = base([theta[i] for i in chosen], [[gs[i] for i in chosen] for gs in grads])
        return [
            [us[chosen.index(i)] if i in chosen else 0 * g for i, g in enumerate(gs)]
            for us, gs in zip(ran, grads, strict=True)
        ]

    return oracle


def zero_vectors(base):
    """`base` sees vectors, but they do not move."""

    def oracle(theta, grads):
        return [[0 * u if u.ndim == 1 else u for u in us] for us in base(theta, grads)]

    return oracle


def grafted(direction, magnitude, per):
    """The direction of one, the norm of the other."""

    def norm(us):
        return np.sqrt(sum(np.sum(u**2) for u in us))

    def ratios(ms, ds):
        if per == "tree":
            return [norm(ms) / (norm(ds) or 1)] * len(ds)
        return [norm([m]) / (norm([d]) or 1) for m, d in zip(ms, ds, strict=True)]

    def oracle(theta, grads):
        steps = zip(direction(theta, grads), magnitude(theta, grads), strict=True)
        return [[r * d for r, d in zip(ratios(ms, ds), ds, strict=True)] for ds, ms in steps]

    return oracle
