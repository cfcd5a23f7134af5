"""What is compiled outside of `jit`: what is gradtx's own, and no function of a user's."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core.eager import is_fixed, is_own


def square(x):
    return x * x


@gradtx.transformation
def mine():
    return gradtx.scale(1.0)


class Callable:
    __name__, __module__ = "sum", "jax.numpy"

    def __call__(self, x):
        return x


FIXED = [None, 1, -0.0, 1j, "a", b"a", np.dtype("float32"), jnp.float32, (1, ("a", None)), jnp.tanh, jnp.sum, np.add]
FIXED += [jax.nn.relu, jax.random.normal, gradtx.tree_norm, gradtx.adam(0.1)]
NOT = [jnp.ones(2), np.ones(2), [1], {"a": 1}, object(), square, lambda x: x, partial(square), partial(jnp.sum)]
NOT += [(1, square), jax.jit(square), jax.vmap(square), jax.tree_util.Partial(square), np.vectorize(square), Callable()]
NOT += [np.random.normal, mine()]


@pytest.mark.parametrize("x", FIXED, ids=[f"{i}-{type(x).__name__}" for i, x in enumerate(FIXED)])
def test_what_stays_what_it_is(x):
    assert is_fixed(x)


@pytest.mark.parametrize("x", NOT, ids=lambda x: type(x).__name__)
def test_what_may_change_or_holds_an_array(x):
    assert not is_fixed(x)


@pytest.mark.parametrize(
    "tx",
    [
        gradtx.sgd(square),
        gradtx.masked(gradtx.sgd(0.1), square),
        gradtx.adamw(0.1, weight_decay=gradtx.decoupled(0.1, mask=square)),
        gradtx.chain(gradtx.scale(1.0), gradtx.stateless_leafwise(square)),
        gradtx.accumulate(gradtx.chain(gradtx.GradientTransformation(square, lambda g, s, p=None: (g, s))), 2),
        gradtx.join_schedules([square, gradtx.constant_schedule(0.1)], [5]),
        mine(),
        gradtx.lookahead(mine(), 5, 0.5),
    ],
    ids=lambda tx: tx.name,
)
def test_a_value_with_a_users_function_is_not_gradtxs_own(tx):
    assert not is_own(tx)


def test_a_value_of_numbers_and_names_is():
    schedule = gradtx.join_schedules([gradtx.linear_schedule(0.0, 1.0, 5), gradtx.constant_schedule(0.1)], [5])
    decay = gradtx.decoupled(0.1, mask={"w": True, "b": False})
    assert is_own(gradtx.chain(gradtx.clip_by_global_norm(1.0), gradtx.adamw(schedule, weight_decay=decay)))
    assert is_own(gradtx.muon(jnp.float32(0.1)))
