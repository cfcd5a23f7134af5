"""Masks and partitions: which leaves a transformation sees."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.combine.masked import MaskedState
from gradtx.combine.partition import PartitionState
from gradtx.core.selection import MaskedNode


def params():
    return {
        "body": {"kernel": jnp.ones((3, 2)), "bias": jnp.ones(2)},
        "head": {"kernel": jnp.ones((2, 1)), "gate": None},
    }


def scaled_by(factors):
    """What scaling each leaf by its factor gives."""
    return jax.tree.map(lambda x, factor: factor * x, params(), factors)


PARTS = {"a": gradtx.scale(2.0), "b": gradtx.scale(3.0)}
EXPECTED = {"body": {"kernel": 3.0, "bias": 2.0}, "head": {"kernel": 2.0, "gate": None}}
LABELS = {
    "tree": {"body": {"kernel": "b", "bias": "a"}, "head": {"kernel": "a", "gate": None}},
    "prefix": {"body": {"kernel": "b", "bias": "a"}, "head": "a"},
    "callable": lambda p: {"body": {"kernel": "b", "bias": "a"}, "head": "a"},
    "patterns": {"body/kernel": "b", "head/*": "a", "**/bias": "a"},
    "default": {"body/kernel": "b", "**": "a"},
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("with_params", [True, False])
def test_partition_by_every_form_of_labels(labels, with_params):
    tx = gradtx.partition(PARTS, labels)
    updates, _ = tx.update(params(), tx.init(params()), params() if with_params else None)
    chex.assert_trees_all_close(updates, scaled_by(EXPECTED))


@pytest.mark.parametrize(
    "mask",
    [
        {"body": {"kernel": True, "bias": False}, "head": False},
        lambda p: jax.tree.map(lambda x: x.shape == (3, 2), p),
        "body/kernel",
        ("body/k*",),
    ],
    ids=["prefix", "callable", "pattern", "patterns"],
)
def test_masked_acts_on_the_chosen_leaves_only(mask):
    tx = gradtx.masked(gradtx.scale_by_momentum(0.9), mask)
    state = tx.init(params())
    assert isinstance(state, MaskedState)
    assert state.inner_state.trace["body"]["bias"] == MaskedNode()
    updates, state = tx.update(params(), state)
    updates, state = tx.update(params(), state)
    chex.assert_trees_all_close(
        updates, scaled_by({"body": {"kernel": 1.9, "bias": 1.0}, "head": {"kernel": 1.0, "gate": None}})
    )
    assert len(jax.tree.leaves(state)) == 1


def test_state_is_by_label():
    tx = gradtx.partition({"m": gradtx.scale_by_momentum(0.9), "s": gradtx.scale(2.0)}, {"**/bias": "s", "**": "m"})
    state = tx.init(params())
    assert isinstance(state, PartitionState)
    assert state.inner_states["m"].inner_state.trace["body"]["bias"] == MaskedNode()
    chex.assert_trees_all_equal(state.inner_states["m"].inner_state.trace["head"]["kernel"], jnp.zeros((2, 1)))


def test_integer_leaves_can_be_left_out():
    tree = {"w": jnp.ones(3), "steps": jnp.zeros((), jnp.int32)}
    tx = gradtx.masked(gradtx.adam(0.1), {"w": True, "steps": False})
    updates, _ = tx.update(tree, tx.init(tree), tree)
    np.testing.assert_allclose(updates["w"], -0.1, rtol=1e-5)
    assert updates["steps"].dtype == jnp.int32


def test_masks_nest():
    inner = gradtx.masked(gradtx.scale(2.0), {"body": {"kernel": True, "bias": True}, "head": False})
    tx = gradtx.masked(inner, "**/kernel")
    updates, _ = tx.update(params(), tx.init(params()))
    chex.assert_trees_all_close(
        updates, scaled_by({"body": {"kernel": 2.0, "bias": 1.0}, "head": {"kernel": 1.0, "gate": None}})
    )


def test_extra_arguments_are_masked_on_request():
    seen = {}

    def update(updates, state, params=None, *, other):
        seen["other"] = other
        return updates, state

    plain = gradtx.GradientTransformation(lambda params: (), update)
    for mask_extra in (False, True):
        tx = gradtx.masked(plain, "body/bias", mask_extra=mask_extra)
        tx.update(params(), tx.init(params()), other=params())
        assert (seen["other"]["body"]["kernel"] == MaskedNode()) is mask_extra


def test_partition_agrees_with_optax_and_takes_its_transformations():
    optax = pytest.importorskip("optax")
    labels = {"body": "a", "head": "b"}
    ours = gradtx.partition({"a": optax.adam(0.1), "b": gradtx.sgd(0.1)}, labels)
    theirs = optax.partition({"a": optax.adam(0.1), "b": optax.sgd(0.1)}, labels)
    with jax.numpy_dtype_promotion("standard"):
        new, state = ours.update(params(), ours.init(params()), params())
        expected, other = theirs.update(params(), theirs.init(params()), params())
    chex.assert_trees_all_close(new, expected)
    assert [x.shape for x in jax.tree.leaves(state)] == [x.shape for x in jax.tree.leaves(other)]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"body": "a", "head": "c"}, r"partition: \['head'\]\['kernel'\] has the label 'c', wanted one of 'a', 'b'"),
        ({"body": "a"}, r"partition: .* only params have \['head'\]\['kernel'\]"),
        (
            {"body": "a", "head": {"kernel": "a", "gate": "a", "x": "a"}},
            r"only the tree of labels has \['head'\]\['x'\]",
        ),
        ({"body/*": "a"}, r"no pattern matches head/gate, head/kernel"),
        ({"body/*": "a", "*/kernel": "b", "**": "a"}, r"different labels match body/kernel \(body/\*, \*/kernel\)"),
        ({"body/x": "a", "**": "b"}, r"label pattern 'body/x' matches no parameter"),
    ],
    ids=["unknown label", "missing", "extra", "unmatched", "doubly matched", "unused pattern"],
)
def test_labels_that_do_not_fit(labels, message):
    with pytest.raises(ValueError, match=message):
        gradtx.partition(PARTS, labels).init(params())


def test_a_mask_that_does_not_fit_names_the_first_path():
    with pytest.raises(ValueError, match=r"masked: the mask does not fit the params: only params have \['head'\]"):
        gradtx.masked(gradtx.scale(2.0), {"body": True}).init(params())


def test_wrong_states_are_refused():
    with pytest.raises(TypeError, match="masked: state must be MaskedState from init, got tuple"):
        gradtx.masked(gradtx.scale(2.0), True).update(params(), ())
    with pytest.raises(TypeError, match="partition: state must be PartitionState"):
        gradtx.partition(PARTS, "a").update(params(), ())


def test_transforms_must_be_transformations():
    with pytest.raises(TypeError, match=r"partition: transforms\['a'\] must be a gradient transformation"):
        gradtx.partition({"a": 3}, "a")  # pyright: ignore[reportArgumentType]
