"""The law of storage: the same holds with slots kept in another dtype, up to that dtype's precision."""

import jax
import jax.numpy as jnp
import numpy as np

import gradtx
from gradtx.core.walk import declared
from tests.catalogue import every_row, few_transformations
from tests.support import FEW, at, make_grads, make_params, types_of


def slots(state):
    """The floating-point arrays of a state's slots, but for those that only their names change."""
    arrays = [x for _, _, mark, slot in declared(state) if not mark.exact for x in jax.tree.leaves(slot)]
    return [x for x in arrays if jnp.issubdtype(x.dtype, jnp.inexact)]


def others(state):
    return sum(x.size for x in jax.tree.leaves(state)) - sum(x.size for x in slots(state))


@every_row
def test_every_slot_is_kept_as_asked(row):
    """By types alone: nothing but the slots' dtypes changes, and a step keeps them."""
    params, grads = make_params(shapes=FEW), at(make_grads(1, shapes=FEW), 0)
    tx = gradtx.stored(row.tx, "bfloat16")

    def step(params, g):
        state = tx.init(params)
        updates, after = tx.update(g, state, params, **(row.extra(params, g) if row.extra else {}))
        return state, updates, after

    plain = jax.eval_shape(row.tx.init, params)
    state, updates, after = jax.eval_shape(step, params, grads)
    assert {x.dtype for x in slots(state)} <= {jnp.dtype(jnp.bfloat16)}
    assert jax.tree.structure(state) == jax.tree.structure(plain) and others(state) == others(plain)
    assert types_of(after) == types_of(state)
    assert types_of(updates) == types_of(grads)


def parted_by(row, way):
    """How far three steps part if slots are kept so, over how far they go; what starts as a parameter stays as it is.

    A copy of a parameter as narrow as that would hide steps below its spacing.
    """
    params, grads = make_params(shapes=FEW), make_grads(3, shapes=FEW)
    norm = lambda tree: np.sqrt(sum(float(jnp.sum(jnp.abs(x) ** 2)) for x in jax.tree.leaves(tree)))

    @jax.jit
    def run(tx):
        state, given, moved = tx.init(params), params, params
        for k in range(3):
            g = at(grads, k)
            updates, state = tx.update(g, state, given, **(row.extra(given, g) if row.extra else {}))
            moved = jax.tree.map(lambda x, u: x + u, moved, updates)
            given = gradtx.apply_updates(given, updates)
        return jax.tree.map(lambda x, p: x - p, moved, params)

    names = {name for _, name, mark, _ in declared(jax.eval_shape(row.tx.init, params)) if mark.start is None}
    one, other = run(row.tx), run(gradtx.stored(row.tx, **dict.fromkeys(names, way)))
    return norm(jax.tree.map(jnp.subtract, one, other)) / max(norm(one), 1e-5)


@few_transformations
def test_the_first_steps_are_nearly_the_same(row):
    assert parted_by(row, "bfloat16") <= 0.1
