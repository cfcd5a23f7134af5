"""Parameters that are replaced, added, removed or resized: what did not change keeps its very arrays."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

import gradtx
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


def kept(before, after):
    """The names of the arrays that are the same objects."""
    before, after = gradtx.state_dict(before), gradtx.state_dict(after)
    return {name for name in after if name in before and after[name] is before[name]}


@every_tx
def test_reset_starts_the_chosen_anew(tx):
    state, fresh = trained(tx), gradtx.state_dict(tx.init(OLD))
    after = gradtx.reset(tx, state, OLD, "head")
    assert types_of(after) == types_of(state)
    for name, x in gradtx.state_dict(after).items():
        if "/head" in name:
            assert (x == fresh[name]).all()
        else:
            assert name in kept(state, after)


@every_tx
def test_reset_of_nothing_and_of_all(tx):
    state = trained(tx)
    nothing = gradtx.reset(tx, state, OLD, False)
    assert kept(state, nothing) == set(gradtx.state_dict(state))
    for name, x in gradtx.state_dict(gradtx.reset(tx, state, OLD)).items():
        assert x is gradtx.state_dict(state)[name] or (x == gradtx.state_dict(tx.init(OLD))[name]).all()


@every_tx
def test_extend_keeps_the_untouched(tx):
    new = {"body": OLD["body"] | {"extra": jnp.ones(5)}, "head": jnp.zeros((2, 7))}
    state = trained(tx)
    after = gradtx.extend(tx, state, OLD, new)
    assert types_of(after) == types_of(tx.init(new))
    touched = {name for name in gradtx.state_dict(after) if "/head" in name or "extra" in name}
    assert kept(state, after) == set(gradtx.state_dict(after)) - touched
    fresh = gradtx.state_dict(tx.init(new))
    assert all((x == fresh[name]).all() for name, x in gradtx.state_dict(after).items() if name in touched)
    gradtx.step(tx, new, after, new)


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
    assert gradtx.reset(tx, scalar, jnp.ones(()))[0].count is scalar[0].count


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
