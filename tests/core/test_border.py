"""Updates are widened where a user calls, rounded once as they go back, and not converted in between."""

import sys

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx
from tests.support import make_params

HALF = jnp.dtype(jnp.bfloat16)


class Seen:
    """Another library's pair: momentum that keeps its state in the updates' dtype, and tells what it was given."""

    def __init__(self):
        self.dtypes = []

    def init(self, params):
        return jax.tree.map(jnp.zeros_like, params)

    def update(self, updates, state, params=None):
        self.dtypes += [x.dtype for x in jax.tree.leaves(updates)]
        state = jax.tree.map(lambda m, g: 0.5 * m.astype(g.dtype) + g, state, updates)
        return state, state


INSIDE = {
    "alone": lambda tx: gradtx.chain(tx),
    "chain": lambda tx: gradtx.chain(gradtx.scale(3.0), tx, gradtx.scale(0.3)),
    "lookahead": lambda tx: gradtx.lookahead(tx, 2, 0.5),
    "masked": lambda tx: gradtx.chain(gradtx.identity(), gradtx.masked(tx, lambda params: True)),
    "partition": lambda tx: gradtx.partition({"a": tx}, lambda params: "a"),
    "accumulate": lambda tx: gradtx.accumulate(gradtx.chain(tx), 1),
    "conditionally_mask": lambda tx: gradtx.conditionally_mask(tx, lambda step: step >= 0),
    "graft": lambda tx: gradtx.graft(tx, gradtx.identity()),
    "cautious": lambda tx: gradtx.cautious(tx),
}


@pytest.mark.parametrize("around", INSIDE.values(), ids=INSIDE)
def test_another_librarys_pair_sees_the_dtypes_given_to_the_outermost(around):
    seen, params = Seen(), make_params(HALF)
    tx = around(seen)
    state = tx.init(params)
    updates, new = jax.jit(tx.update)(params, state, params)
    assert set(seen.dtypes) == {HALF}
    chex.assert_trees_all_equal_shapes_and_dtypes(updates, params)
    chex.assert_trees_all_equal_shapes_and_dtypes(new, state)


@pytest.mark.parametrize("around", INSIDE.values(), ids=INSIDE)
def test_a_pair_of_a_users_sees_them_wide_and_keeps_the_types_of_its_state(around):
    seen, params = Seen(), make_params(HALF)
    tx = around(gradtx.GradientTransformation(seen.init, seen.update))
    state = tx.init(params)
    updates, new = jax.jit(tx.update)(params, state, params)
    assert set(seen.dtypes) == {jnp.dtype(jnp.float32)}
    chex.assert_trees_all_equal_shapes_and_dtypes(updates, params)
    chex.assert_trees_all_equal_shapes_and_dtypes(new, state)


def test_a_users_combinator_does_not_round_between():
    @gradtx.transformation
    def twice(inner: gradtx.Inner):
        def update(updates, state, params=None):
            first, one = inner.update(updates, state[0], params)
            second, two = inner.update(first, state[1], params)
            return second, (one, two)

        return gradtx.GradientTransformation(lambda params: (inner.init(params), inner.init(params)), update)

    g = jnp.array([1.0, 3.0], HALF)
    tx = twice(gradtx.scale(1.01))
    updates, _ = tx.update(g, tx.init(g))
    chex.assert_trees_all_equal(updates, (g.astype(jnp.float32) * 1.01 * 1.01).astype(HALF))


def test_few_frames_stand_between_a_call_and_the_rule():
    tx, params, depths = gradtx.adam(0.0625), {"w": jnp.ones((3, 1))}, []
    state = tx.init(params)

    def count(frame, event, _):
        if event == "call" and frame.f_code.co_name == "adam_rule":
            depths.append(0)
            while frame is not None:
                depths[-1] += "/gradtx/" in frame.f_code.co_filename.rpartition("site-packages")[2]
                frame = frame.f_back

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        tx.update(params, state, params)
    finally:
        sys.setprofile(before)
    assert depths and depths[0] <= 8
