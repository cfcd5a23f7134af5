"""Against PyTorch in float64, where both have the same formula."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx

torch = pytest.importorskip("torch", exc_type=ImportError)

STEPS = 20
START = np.random.default_rng(0).standard_normal((3, 4))
TARGET = np.random.default_rng(1).standard_normal((3, 4))
L2 = gradtx.coupled(0.1)

CASES = {
    "sgd": (gradtx.sgd(0.1), lambda p: torch.optim.SGD(p, 0.1)),
    "momentum": (gradtx.sgd(0.1, 0.9), lambda p: torch.optim.SGD(p, 0.1, 0.9)),
    "nesterov": (gradtx.sgd(0.1, 0.9, nesterov=True), lambda p: torch.optim.SGD(p, 0.1, 0.9, nesterov=True)),
    "sgd l2": (gradtx.sgd(0.1, 0.9, weight_decay=L2), lambda p: torch.optim.SGD(p, 0.1, 0.9, weight_decay=0.1)),
    "adagrad": (
        gradtx.adagrad(0.1, 0.0, 1e-10, eps_in_sqrt=False),
        lambda p: torch.optim.Adagrad(p, 0.1),
    ),
    "rmsprop": (
        gradtx.rmsprop(0.1, 0.99, 1e-8, eps_in_sqrt=False),
        lambda p: torch.optim.RMSprop(p, 0.1, 0.99),
    ),
    "rmsprop centered": (
        gradtx.rmsprop(0.1, 0.9, 1e-3, eps_in_sqrt=False, centered=True),
        lambda p: torch.optim.RMSprop(p, 0.1, 0.9, eps=1e-3, centered=True),
    ),
    "rmsprop momentum": (
        gradtx.rmsprop(0.1, 0.99, eps_in_sqrt=False, momentum=0.9),
        lambda p: torch.optim.RMSprop(p, 0.1, 0.99, momentum=0.9),
    ),
    "adam": (gradtx.adam(0.1), lambda p: torch.optim.Adam(p, 0.1)),
    "adam l2": (gradtx.adam(0.1, weight_decay=L2), lambda p: torch.optim.Adam(p, 0.1, weight_decay=0.1)),
    "adamw": (gradtx.adamw(0.1, weight_decay=0.1), lambda p: torch.optim.AdamW(p, 0.1, weight_decay=0.1)),
    "amsgrad raw": (gradtx.amsgrad(0.1, max_of="raw"), lambda p: torch.optim.Adam(p, 0.1, amsgrad=True)),
    "adamax": (gradtx.adamax(0.1), lambda p: torch.optim.Adamax(p, 0.1)),
}


def their_path(make):
    theta = torch.tensor(START, requires_grad=True)
    optimizer, path = make([theta]), []
    for _ in range(STEPS):
        optimizer.zero_grad()
        torch.sum((torch.sin(theta) - torch.tensor(TARGET)) ** 2).backward()
        optimizer.step()
        path.append(theta.detach().numpy().copy())
    return np.stack(path)


def our_path(tx):
    def body(carry, _):
        theta, state = carry
        grads = jax.grad(lambda x: jnp.sum(jnp.square(jnp.sin(x) - TARGET)))(theta)
        theta, state = gradtx.step(tx, theta, state, grads)
        return (theta, state), theta

    theta = jnp.asarray(START)
    return jax.jit(lambda: jax.lax.scan(body, (theta, tx.init(theta)), length=STEPS)[1])()


@pytest.mark.parametrize("case", CASES)
def test_equal_to_torch(case):
    tx, make = CASES[case]
    with jax.enable_x64(True):
        chex.assert_trees_all_close(our_path(tx), their_path(make), rtol=1e-9, atol=1e-11)
