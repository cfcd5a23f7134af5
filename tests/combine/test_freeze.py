"""Frozen parameters do not move; selectively trained ones have no state either."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core.selection import MaskedNode
from gradtx.core.states import EmptyState


def params():
    return {"body": {"w": jnp.ones(3), "b": jnp.ones(2)}, "head": {"w": jnp.ones(1)}}


MASKS = [
    {"body": True, "head": False},
    {"body": {"w": np.bool_(True), "b": True}, "head": np.bool_(False)},
    lambda tree: {"body": True, "head": False},
    "body/*",
]


@pytest.mark.parametrize("mask", MASKS, ids=["prefix", "numpy", "callable", "pattern"])
def test_frozen_leaves_have_zero_updates(mask):
    expected = {"body": {"w": jnp.zeros(3), "b": jnp.zeros(2)}, "head": {"w": jnp.full(1, -0.5)}}
    frozen = gradtx.chain(gradtx.sgd(0.5), gradtx.freeze(mask))
    chosen = gradtx.selective_transform(gradtx.sgd(0.5), freeze_mask=mask)
    for tx in (frozen, chosen):
        for given in (params(), None):
            updates, _ = tx.update(params(), tx.init(params()), given)
            chex.assert_trees_all_equal(updates, expected)


@pytest.mark.parametrize("everything", [True, np.bool_(True), None])
def test_everything(everything):
    tx = gradtx.freeze(everything)
    assert tx.init(params()).inner_state == EmptyState()
    updates, _ = tx.update(params(), tx.init(params()))
    chex.assert_trees_all_equal(updates, {"body": {"w": jnp.zeros(3), "b": jnp.zeros(2)}, "head": {"w": jnp.zeros(1)}})
    updates, _ = gradtx.freeze(False).update(params(), gradtx.freeze(False).init(params()))
    chex.assert_trees_all_equal(updates, params())


def test_not_a_number_is_frozen_too():
    updates, _ = gradtx.freeze(True).update(jnp.array(jnp.nan), gradtx.freeze(True).init(jnp.ones(())))
    assert float(updates) == 0


def test_frozen_leaves_have_no_state_and_do_not_count():
    tx = gradtx.selective_transform(
        gradtx.chain(gradtx.clip_by_global_norm(1.0), gradtx.adam(0.1)), freeze_mask="body/*"
    )
    state = tx.init(params()).inner_states["train"].inner_state[1][0]
    assert state.mu["body"] == {"w": MaskedNode(), "b": MaskedNode()}
    clipped = gradtx.selective_transform(gradtx.clip_by_global_norm(0.5), freeze_mask="body/*")
    updates, _ = clipped.update(params(), clipped.init(params()))
    chex.assert_trees_all_close(updates["head"]["w"], jnp.full(1, 0.5))


def test_integer_leaves_are_refused_also_where_frozen():
    tree = {"w": jnp.ones(2), "table": jnp.arange(3)}
    tx = gradtx.selective_transform(gradtx.adam(0.1), freeze_mask={"w": False, "table": True})
    with pytest.raises(TypeError, match=r"parameter at .*table"):
        gradtx.adam(0.1).init(tree)
    with pytest.raises(TypeError, match=r"set_to_zero: the parameter at .*table"):
        tx.init(tree)


def test_a_mask_that_does_not_fit():
    with pytest.raises(ValueError, match=r"selective_transform: the mask .* only params have \['head'\]\['w'\]"):
        gradtx.selective_transform(gradtx.sgd(0.1), freeze_mask={"body": True}).init(params())
    with pytest.raises(ValueError, match=r"mask pattern 'tail/\*' matches no parameter"):
        gradtx.freeze("tail/*").init(params())
    with pytest.raises(TypeError, match=r"freeze: mask must be None, a pattern, .*, got 1"):
        gradtx.freeze(1)
    with pytest.raises(TypeError, match=r"freeze: the mask at \(root\) must be a bool, got 1"):
        gradtx.freeze(lambda params: 1).init(params())
