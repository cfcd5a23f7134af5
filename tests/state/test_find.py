"""Finding and changing state by field, by the name of a link's state, by path."""

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx
from gradtx.core.states import EmptyState
from gradtx.optimizers.adam import ScaleByAdamState
from gradtx.state.names import link_name
from tests.support import make_params, types_of

TX = gradtx.chain(gradtx.clip(1.0), gradtx.adam(gradtx.linear_schedule(0.1, 0.2, 10)))


def test_by_field_link_name_path_and_type():
    state = TX.init(make_params())
    adam = state[1][0]
    assert gradtx.find_state(state, "mu") is adam.mu
    for key in ("scale_by_adam", "ScaleByAdamState", ScaleByAdamState):
        assert gradtx.find_state(state, key) is adam
    assert gradtx.find_state(state, "scale_by_adam/nu/matrix") is adam.nu["matrix"]
    assert gradtx.find_state(state, "nu/matrix") is adam.nu["matrix"]
    assert list(gradtx.find_states(state, "mu/*")) == [f"scale_by_adam/mu/{k}" for k in sorted(make_params())]
    assert list(gradtx.find_states(state, "**/count")) == ["scale_by_adam/count", "scale_by_schedule/count"]


def test_inside_wrappers_and_partitions():
    tx = gradtx.partition({"a": gradtx.sgd(0.1, 0.9), "b": gradtx.adam(0.1)}, {"m*": "a", "**": "b"})
    state = tx.init(make_params())
    assert list(gradtx.find_state(state, "trace/trace/matrix").shape) == [4, 3]
    assert gradtx.find_state(state, "b/masked") is gradtx.find_state(state, "inner_states/b")
    assert len(gradtx.find_states(state, EmptyState)) == 2


def test_one_hit_is_required():
    state = TX.init(make_params())
    with pytest.raises(ValueError, match=r"'count' names 2 things.*scale_by_adam/count, scale_by_schedule/count"):
        gradtx.find_state(state, "count")
    with pytest.raises(ValueError, match="nothing is named 'trace'; the state has scale_by_adam/count"):
        gradtx.find_state(state, "trace")
    assert gradtx.find_state(state, "trace", None) is None
    assert gradtx.find_states(state, "trace") == {}


@pytest.mark.parametrize("jitted", [False, True])
def test_edit_keeps_types(jitted):
    state = TX.init(make_params())
    edit = lambda s: gradtx.edit_state(
        s, {"scale_by_adam/count": 7, "mu": 1.5, "nu/matrix": jnp.ones((4, 3), jnp.bfloat16)}, scale_by_schedule=3
    )
    edited = (jax.jit(edit) if jitted else edit)(state)
    assert types_of(edited) == types_of(state)
    adam = edited[1][0]
    assert adam.count == 7 and edited[1][1].count == 3
    chex.assert_trees_all_equal(adam.mu, jax.tree.map(lambda x: jnp.full_like(x, 1.5), adam.mu))
    assert adam.nu["matrix"].sum() == 12 and adam.nu["vector"].sum() == 0


def test_edit_by_function_and_subtree():
    state = gradtx.edit_state(TX.init(make_params()), mu=make_params(), count=lambda count: count + 2)
    chex.assert_trees_all_equal(state[1][0].mu, make_params())
    assert state[1][0].count == 2 and state[1][1].count == 2


def test_edit_errors():
    state = TX.init(make_params())
    with pytest.raises(ValueError, match="nothing is named 'moo'"):
        gradtx.edit_state(state, moo=0)
    with pytest.raises(ValueError, match=r"nu/matrix has shape \(4, 3\), got \(3, 4\)"):
        gradtx.edit_state(state, {"nu/matrix": jnp.ones((3, 4))})
    with pytest.raises(ValueError, match="edit_state: scale_by_adam/nu is"):
        gradtx.edit_state(state, {"nu": {"matrix": jnp.ones((4, 3))}})


@pytest.mark.parametrize("name", ["ScaleByAdam", "scale_by_rss", "State", "dict"])
def test_types_that_are_no_states(name):
    assert link_name(type(name, (), {})()) is None


@pytest.mark.parametrize(("name", "snake"), [("SAMState", "sam"), ("DAdaptAdamWState", "d_adapt_adam_w")])
def test_snake_case(name, snake):
    assert link_name(type(name, (), {})()) == snake


@pytest.mark.parametrize("params", [make_params(), jnp.ones(3), [jnp.ones(2), (jnp.ones(()), None)], {}])
def test_map_slots_reaches_every_slot_and_nothing_else(params):
    tx = gradtx.chain(gradtx.adam(0.1), gradtx.ema_params(gradtx.sgd(0.1, 0.9)))
    mapped = gradtx.map_slots(lambda slot, p: slot.shape == p.shape, tx, tx.init(params), params)
    count = sum(x is True for x in jax.tree.leaves(mapped))
    assert count == 4 * len(jax.tree.leaves(params))
    assert mapped[0][0].count.dtype == jnp.int32
    with pytest.raises(ValueError, match="map_slots: the state is not this optimizer's"):
        gradtx.map_slots(lambda slot, p: slot, tx, gradtx.sgd(0.1, 0.9).init({"other": jnp.ones(5)}), params)
