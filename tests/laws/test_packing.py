"""A packed tree of parameters is trained as the tree itself is, by every transformation."""

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx
from tests.catalogue import every_transformation
from tests.support import at, make_grads, make_params

SHAPES = {"a": (4, 3), "b": (4, 3), "c": (), "d": ()}
STEPS = 3


@every_transformation
def test_packed_is_the_same(row):
    if row.random or "packing" in row.exempt:
        pytest.skip(row.exempt.get("packing", "random numbers are drawn per stack"))

    @jax.jit
    def step(params, state, g):
        updates, state = row.tx.update(g, state, params, **(row.extra(params, g) if row.extra else {}))
        return gradtx.apply_updates(params, updates), state, updates

    with jax.enable_x64(True):
        params, grads = make_params(jnp.float64, shapes=SHAPES), make_grads(STEPS, jnp.float64, shapes=SHAPES)
        packed = gradtx.pack(params)
        state, packed_state = row.tx.init(params), row.tx.init(packed)
        for i in range(STEPS):
            g = at(grads, i)
            packed_g = packed.like(g)
            params, state, updates = step(params, state, g)
            packed, packed_state, packed_updates = step(packed, packed_state, packed_g)
            chex.assert_trees_all_close(packed_updates.unpack(), updates, rtol=1e-9, atol=1e-12)
