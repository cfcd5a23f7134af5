"""Eager steps: one program for all hyperparameters but decays, of which 1 - b would be rounded; it is that of `jit`."""

from contextlib import nullcontext

import chex
import jax
import pytest

from gradtx.core import at_once, eager
from tests.catalogue import every_transformation
from tests.laws.test_states import extra_of
from tests.support import FEW, at, compilations, make_grads, make_params, nudged, types_of


@every_transformation
def test_an_eager_step_is_one_program_for_all_hyperparameters(row, monkeypatch):
    params, grads = make_params(shapes=FEW), at(make_grads(1, shapes=FEW), 0)
    extra = extra_of(row, params, grads)
    if any(callable(x) for x in extra.values()):
        pytest.skip("it is given functions, which may be others at each step")
    known = row.tx.remember(at_once._known)
    if known is None:
        pytest.skip("it holds a function of a user's")
    shares = [x is not None for x in known.kept]
    leaves, structure = jax.tree.flatten(row.tx)
    other = lambda k: [
        x if share else y for x, y, share in zip(leaves, jax.tree.leaves(nudged(row.tx, k)), shares, strict=True)
    ]
    monkeypatch.setattr(eager.Program, "tried", lambda self, operands: nullcontext())  # or fail
    state = row.tx.init(params)
    row.tx.update(grads, state, params, **extra)
    updates, after = row.tx.update(grads, state, params, **extra)  # with functions of users compiled only now
    assert types_of(after) == types_of(state) and types_of(updates) == types_of(grads)
    step = lambda g, s, p, e: row.tx.update(g, s, p, **e)
    chex.assert_trees_all_close(updates, jax.jit(step)(grads, state, params, extra)[0], rtol=1e-4, atol=1e-6)
    others = [structure.unflatten(other(k)) for k in (1, 2)]
    assert compilations(lambda: [tx.update(grads, state, params, **extra) for tx in others]) == 0
