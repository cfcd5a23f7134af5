"""The law of storage in codes: every slot of every transformation, from `init` on."""

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx
from gradtx.core.codecs.coded import is_coded, opened
from gradtx.core.repack import unpacked
from gradtx.core.walk import declared
from gradtx.state.names import named_leaves
from tests.catalogue import ROWS
from tests.laws.test_stored import parted_by
from tests.support import FEW, at, make_grads, make_params, types_of
from tests.support import plain as numbers

CODEC = gradtx.int8(4, rounding="stochastic", smallest=0)
# Of those whose slots are like their parameters or not, and of wrappers, some of each kind; all of them with --slow.
RUN = ("scale_by_adam", "scale_by_sm3", "scale_by_lbfgs", "scale_by_galore", "prodigy", "sharpness_aware")
RUN += ("accumulate-adam-skip", "apply_if_finite-adam", "lookahead", "muon", "schedule_free", "ema_params")
few = pytest.mark.parametrize(
    "row", [pytest.param(r, id=r.id, marks=[] if r.id in RUN else [pytest.mark.exhaustive]) for r in ROWS]
)


@few
@pytest.mark.parametrize("codec", [CODEC, gradtx.int4(4, smallest=0), gradtx.log4(smallest=0)], ids=lambda c: c.name)
def test_every_slot_is_kept_in_codes(row, codec):
    """By types alone: nothing but the slots changes, and a step keeps them."""
    params, grads = make_params(shapes=FEW), at(make_grads(1, shapes=FEW), 0)
    tx = gradtx.stored(row.tx, codec)

    def step(params, g):
        state = tx.init(params)
        updates, after = tx.update(g, state, params, **(row.extra(params, g) if row.extra else {}))
        return state, updates, after

    state, updates, after = jax.eval_shape(step, params, grads)
    kept = [(x, mark) for _, _, mark, slot in declared(state) for x in jax.tree.leaves(slot, is_leaf=is_coded)]
    assert all(is_coded(x) != mark.exact for x, mark in kept if jnp.issubdtype(x.dtype, jnp.inexact))
    assert types_of(after) == types_of(state)
    assert types_of(updates) == types_of(grads)
    plain = jax.eval_shape(row.tx.init, params)
    chex.assert_trees_all_equal_shapes_and_dtypes(jax.eval_shape(opened, state), plain)


@few
def test_the_first_steps_are_nearly_the_same(row):
    share = 0.5 if "mechanize" in row.id else 0.1  # its rate is a sum of products of what is kept
    assert parted_by(row, gradtx.int8(4, smallest=0)) <= share


@few
def test_states_go_into_codes_and_back(row):
    """And `restore` tells which slots were in others, or in none."""
    params, tx = make_params(shapes=FEW), gradtx.stored(row.tx, CODEC)
    plain = jax.tree.map(lambda x: x + x.dtype.type(0.5) if x.dtype == jnp.float32 else x, row.tx.init(params))
    names = {e.name for e in named_leaves(unpacked(tx.init(params))) if is_coded(e.value)}
    start = jax.eval_shape(tx.init, params)
    inside, report = gradtx.restore(start, gradtx.state_dict(plain))
    assert types_of(inside) == types_of(tx.init(params)) and set(report.recoded) == names
    again, report = gradtx.restore(start, gradtx.state_dict(inside))
    chex.assert_trees_all_equal(again, inside)
    assert not report.recoded
    outside, report = gradtx.restore(row.tx.init(params), gradtx.state_dict(inside))
    assert types_of(outside) == types_of(plain) and set(report.recoded) == names
    chex.assert_trees_all_close(numbers(outside), numbers(plain), rtol=0.1, atol=0.3)
    gradtx.reset(tx, inside, params)
    assert jax.tree.structure(gradtx.state_sharding(tx, params)) == jax.tree.structure(inside)
