"""Parameters that are replaced, added, removed or resized: what did not change keeps its very arrays."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx
from gradtx.core.restart import is_per_leaf, of_run
from tests.support import types_of

OLD: dict[str, Any] = {"body": {"w": jnp.ones((3, 2)), "b": jnp.ones(2)}, "head": jnp.ones((2, 4))}
TXS = {
    "adam": gradtx.adam(0.1),
    "chain": gradtx.chain(gradtx.clip_by_global_norm(1.0), gradtx.adamw(gradtx.linear_schedule(0.1, 0.2, 5))),
    "adafactor": gradtx.adafactor(0.1, min_dim_size_to_factor=1),
    "partition": gradtx.partition({"a": gradtx.adam(0.1), "s": gradtx.sgd(0.1, 0.9)}, {"body/*": "a", "**": "s"}),
    "lookahead": gradtx.lookahead(gradtx.sgd(0.1, 0.9), 3, 0.5),
    "injected": gradtx.inject_hyperparams(gradtx.adam)(learning_rate=0.1),
}
every_tx = pytest.mark.parametrize("tx", TXS.values(), ids=TXS)


def trained(tx, params=OLD):
    return gradtx.step(tx, params, tx.init(params), jax.tree.map(lambda p: 0.5 * p, params))[1]


def counted_together(state):
    """The state without the counts that single leaves have."""
    return jax.tree.map(of_run, state, is_leaf=is_per_leaf)


def kept(before, after):
    """The names of the arrays that are the same objects."""
    before, after = (gradtx.state_dict(counted_together(state)) for state in (before, after))
    return {name for name in after if name in before and after[name] is before[name]}


@every_tx
def test_reset_starts_the_chosen_anew(tx):
    state, fresh = trained(tx), gradtx.state_dict(tx.init(OLD))
    after = gradtx.reset(tx, state, OLD, "head")
    assert types_of(counted_together(after)) == types_of(state)
    for name, x in gradtx.state_dict(counted_together(after)).items():
        if "/head" in name:
            assert (x == fresh[name]).all()
        else:
            assert name in kept(state, after)


@every_tx
def test_reset_of_nothing_and_of_all(tx):
    state = trained(tx)
    nothing = gradtx.reset(tx, state, OLD, False)
    assert kept(state, nothing) == set(gradtx.state_dict(state))
    for name, x in gradtx.state_dict(counted_together(gradtx.reset(tx, state, OLD))).items():
        assert x is gradtx.state_dict(state)[name] or (x == gradtx.state_dict(tx.init(OLD))[name]).all()


@every_tx
def test_extend_keeps_the_untouched(tx):
    new = {"body": OLD["body"] | {"extra": jnp.ones(5)}, "head": jnp.zeros((2, 7))}
    state = trained(tx)
    after = gradtx.extend(tx, state, OLD, new)
    after, whole = counted_together(after), after
    assert types_of(after) == types_of(tx.init(new))
    touched = {name for name in gradtx.state_dict(after) if "/head" in name or "extra" in name}
    assert kept(state, after) == set(gradtx.state_dict(after)) - touched
    fresh = gradtx.state_dict(tx.init(new))
    assert all((x == fresh[name]).all() for name, x in gradtx.state_dict(after).items() if name in touched)
    gradtx.step(tx, new, whole, new)


@every_tx
def test_extend_drops_what_is_gone(tx):
    new = {"body": OLD["body"], "head": None}
    state = trained(tx)
    after = gradtx.extend(tx, state, OLD, new)
    assert kept(state, after) == set(gradtx.state_dict(after))
    assert types_of(after) == types_of(tx.init(new))


@every_tx
def test_resize_pads_and_crops(tx):
    new = OLD | {"head": jnp.full((3, 2), 2.0)}
    state = trained(tx)
    after = gradtx.resize(tx, state, OLD, new)
    assert types_of(after) == types_of(tx.init(new))
    saved, fresh = gradtx.state_dict(state), gradtx.state_dict(tx.init(new))
    for name, x in gradtx.state_dict(after).items():
        if "/head" not in name:
            assert x is saved[name]
        elif x.shape == (3, 2):
            assert (x[:2] == saved[name][:, :2]).all() and (x[2:] == fresh[name][2:]).all()
    gradtx.step(tx, new, after, new)


def test_one_array_as_the_parameters():
    tx = gradtx.adam(0.1)
    state = trained(tx, jnp.ones(3))
    after = gradtx.resize(tx, state, jnp.ones(3), jnp.ones(5))[0]
    assert after.count is state[0].count
    assert after.mu.tolist() == [*state[0].mu.tolist(), 0, 0]
    assert gradtx.extend(tx, state, jnp.ones(3), jnp.ones(5))[0].mu.tolist() == [0] * 5
    scalar = trained(tx, jnp.ones(()))
    count = gradtx.reset(tx, scalar, jnp.ones(()))[0].count
    assert count.run is scalar[0].count and {leaf: int(x) for leaf, x in count.leaf.items()} == {"(root)": 0}


def test_shapes_of_the_old_parameters_are_enough():
    tx = gradtx.adam(0.1)
    shapes = jax.eval_shape(lambda: OLD)
    after = gradtx.extend(tx, trained(tx), shapes, OLD)
    assert len(jax.tree.leaves(after)) == 7


def test_a_changed_dtype_starts_anew():
    tx = gradtx.adam(0.1)
    new = OLD | {"head": OLD["head"].astype(jnp.bfloat16)}
    state = trained(tx)
    assert not gradtx.extend(tx, state, OLD, new)[0].mu["head"].any()


@pytest.mark.parametrize("function", [gradtx.extend, gradtx.resize])
def test_a_state_of_something_else_is_an_error(function):
    with pytest.raises(ValueError, match=r"only the state given has scale_by_adam/count"):
        function(gradtx.sgd(0.1, 0.9), trained(gradtx.adam(0.1)), OLD, OLD)
    with pytest.raises(ValueError, match=r"mu/head has shape \(2, 4\) != \(2, 5\)"):
        function(gradtx.adam(0.1), trained(gradtx.adam(0.1)), OLD | {"head": jnp.ones((2, 5))}, OLD)


def test_reset_with_a_pattern_that_matches_nothing():
    with pytest.raises(ValueError, match="reset: mask pattern 'tail' matches no parameter"):
        gradtx.reset(gradtx.adam(0.1), trained(gradtx.adam(0.1)), OLD, "tail")


def test_a_reset_parameter_is_debiased_as_at_its_first_step_however_it_steps():
    tx = gradtx.chain(gradtx.clip(1.0), gradtx.adam(0.1, b1=gradtx.linear_schedule(0.9, 0.8, 2000)))
    params, grads = OLD, jax.tree.map(lambda p: 0.5 * p, OLD)
    state = gradtx.edit_state(trained(tx), count=1000)
    state = gradtx.reset(tx, state, params, "head")
    moved = jax.tree.map(
        lambda new, old: float((new - old).ravel()[0]), gradtx.step(tx, params, state, grads)[0], params
    )
    assert moved["head"] == pytest.approx(-0.1, rel=1e-5)
    compiled = jax.jit(lambda p, s, g: gradtx.step(tx, p, s, g))
    again, state = compiled(params, state, grads)
    assert float((again["head"] - params["head"])[0, 0]) == pytest.approx(-0.1, rel=1e-5)
    compiled(again, state, grads)
    assert compiled._cache_size() == 1
    count = gradtx.find_state(state, "count")
    assert int(count.run) == 1001 and {leaf: int(x) for leaf, x in count.leaf.items()} == {"head": 1}
    # A second reset, and a parameter that goes, leave the counts of the others.
    state = gradtx.reset(tx, state, again, "body/w")
    count = gradtx.find_state(gradtx.extend(tx, state, again, {"body": again["body"], "head": None}), "count")
    assert {leaf: int(x) for leaf, x in count.leaf.items()} == {"body/w": 0}
    gradtx.map_slots(lambda slot, p: slot, tx, state, again)


def test_resize_starts_new_parameters_anew_and_lets_the_padded_go_on():
    tx, state = gradtx.adam(0.1), trained(gradtx.adam(0.1))
    after = gradtx.resize(tx, state, OLD, OLD | {"head": jnp.ones((3, 4)), "more": jnp.ones(2)})[0].count
    assert {leaf: int(x) for leaf, x in after.leaf.items()} == {"more": 0} and int(after.run) == 1
    after = gradtx.resize(tx, state, OLD, OLD | {"head": jnp.ones((3, 4, 1))})[0].count
    assert set(after.leaf) == {"head"}


def test_before_the_first_step_nothing_changes():
    tx = gradtx.adam(0.1)
    assert types_of(gradtx.reset(tx, tx.init(OLD), OLD)) == types_of(tx.init(OLD))


@pytest.mark.parametrize("wrap", [gradtx.ema_params, gradtx.swa_params, gradtx.polyak_params])
def test_a_reset_parameter_is_averaged_from_its_first_step(wrap):
    tx, params = wrap(gradtx.sgd(0.1)), OLD
    state = tx.init(params)
    for _ in range(5):
        params, state = gradtx.step(tx, params, state, params)
    state = gradtx.reset(tx, state, params, "head")
    assert (gradtx.evaluation_params(state, params)["head"] == params["head"]).all()
    params, state = gradtx.step(tx, params, state, params)
    averaged = gradtx.evaluation_params(state, params)
    chex.assert_trees_all_close(averaged["head"], params["head"], rtol=1e-6)
    assert (averaged["body"]["w"] > 1.05 * params["body"]["w"]).all()


def test_packed_parameters_are_reset_by_stacks():
    params = gradtx.pack({"a": jnp.ones(3), "b": jnp.ones(3), "c": jnp.ones((2, 2))})
    tx = gradtx.adam(0.1)
    state = trained(tx, params)
    state = gradtx.reset(tx, state, params, ("a", "b"))
    moved = gradtx.step(tx, params, state, params)[0].unpack()
    chex.assert_trees_all_close(moved["a"], moved["b"], jnp.full(3, 0.9), rtol=1e-5)


def test_the_memory_of_lbfgs_starts_anew_as_a_whole():
    tx, params = gradtx.scale_by_lbfgs(), OLD
    state = tx.init(params)
    for _ in range(3):
        updates, state = tx.update(params, state, params)
        params = jax.tree.map(lambda p, u: p - 0.1 * u, params, updates)
    found, after = tx.update(params, gradtx.reset(tx, state, params, "head"), params)
    wanted, _ = tx.update(params, tx.init(params), params)
    chex.assert_trees_all_close(found, wanted, rtol=1e-6)
    assert int(after.count) == 1 and not after.weights_memory.any()
