"""A packed tree of parameters is trained as the tree itself is, by every transformation."""

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx
from tests.catalogue import every_transformation
from tests.support import make_grads, make_params, train

SHAPES = {"a": (4, 3), "b": (4, 3), "c": (), "d": ()}
STEPS = 3


@every_transformation
def test_packed_is_the_same(row):
    if row.random or "packing" in row.exempt:
        pytest.skip(row.exempt.get("packing", "random numbers are drawn per stack"))

    @jax.jit
    def both(params, grads):
        packed = gradtx.pack(params)
        packed_grads = jax.vmap(packed.like)(grads)
        updates, packed_updates = (
            train(row.tx, *given, row.extra)[2] for given in ((params, grads), (packed, packed_grads))
        )
        return updates, jax.vmap(lambda u: u.unpack())(packed_updates)

    with jax.enable_x64(True):
        params, grads = make_params(jnp.float64, shapes=SHAPES), make_grads(STEPS, jnp.float64, shapes=SHAPES)
        updates, unpacked = both(params, grads)
        chex.assert_trees_all_close(unpacked, updates, rtol=1e-9, atol=1e-12)
