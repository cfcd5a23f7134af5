"""Oracles of hypergradient descent (Baydin et al. 2018, arXiv:1703.04782)."""

from tests.oracles import momentum as base
from tests.oracles import whole_tree
from tests.oracles.adam import adam
from tests.oracles.parameter_free import dot, norm


@whole_tree
def followed(theta, grads, us, learning_rate, hypergrad_lr, form, max_learning_rate, decay):
    """Algorithms 4 to 6 and the multiplicative rule, for the directions `us` of a base method."""
    eta, last = learning_rate, [0 * p for p in theta]
    for gs, u in zip(grads, us, strict=True):
        h = dot(gs, last)
        if form == "multiplicative":
            eta *= 1 + (hypergrad_lr * h / (norm(gs) * norm(last)) if h else 0)
        else:
            eta += hypergrad_lr * h
        eta = min(eta, max_learning_rate)
        last = [x + decay * p for x, p in zip(u, theta, strict=True)]
        yield [-eta * x for x in last]


def sgd_hd(theta, grads, learning_rate, hypergrad_lr, momentum, nesterov, form, max_learning_rate, weight_decay):
    us = base.heavy_ball(theta, grads, decay=momentum or 0, dampening=0.0, nesterov=nesterov)
    own = dict(learning_rate=learning_rate, hypergrad_lr=hypergrad_lr, form=form, max_learning_rate=max_learning_rate)
    return followed(theta, grads, us=us, decay=weight_decay or 0, **own)


def adam_hd(theta, grads, learning_rate, hypergrad_lr, b1, b2, eps, form, max_learning_rate):
    us = adam(theta, grads, b1=b1, b2=b2, eps=eps)
    own = dict(learning_rate=learning_rate, hypergrad_lr=hypergrad_lr, form=form, max_learning_rate=max_learning_rate)
    return followed(theta, grads, us=us, decay=0, **own)


def plain(theta, grads, learning_rate, hypergrad_lr, form, max_learning_rate):
    return sgd_hd(theta, grads, learning_rate, hypergrad_lr, None, False, form, max_learning_rate, None)
