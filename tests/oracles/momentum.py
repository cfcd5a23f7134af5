"""Oracles of momentum: the course's formulas and Sutskever et al. 2013."""

from tests.oracles import leafwise


@leafwise
def heavy_ball(theta, grads, decay, dampening, nesterov):
    v = 0
    for g in grads:
        v = decay * v + (1 - dampening) * g
        yield g + decay * v if nesterov else v


@leafwise
def average(theta, grads, decay, debias):
    m = 0
    for t, g in enumerate(grads, 1):
        m = decay * m + (1 - decay) * g
        yield m / (1 - decay**t) if debias else m


@leafwise
def sgd(theta, grads, learning_rate, momentum, nesterov):
    mu, v = momentum or 0, 0
    for g in grads:
        v = mu * v + g
        yield -learning_rate * (g + mu * v if nesterov else v)


@leafwise
def sgd_l2(theta, grads, learning_rate, momentum):
    v = 0
    for g in grads:
        v = momentum * v + (g + 0.1 * theta[0])
        yield -learning_rate * v
