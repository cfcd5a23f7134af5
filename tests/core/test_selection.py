"""Masks: trees, prefixes, functions and patterns on paths, and what does not fit."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core.leafwise import leafwise
from gradtx.core.selection import MaskedNode, matches, resolve_labels, resolve_mask
from gradtx.optimizers.adam import ScaleByAdamState

TREE = {"a": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}, "b": [jnp.ones(2), None]}


def chosen(mask):
    return [
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, keep in jax.tree_util.tree_leaves_with_path(resolve_mask("f", mask, TREE))
        if keep
    ]


def str_of(x):
    """A name for a case, the same in every process."""
    return "function" if callable(x) and not isinstance(x, type) else str(x)


KERNEL, BIAS, ALL = "a/kernel", "a/bias", ["a/bias", "a/kernel", "b/0", "b/1"]


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (None, ALL),
        (True, ALL),
        (False, []),
        ({"a": {"kernel": True, "bias": False}, "b": [np.True_, False]}, [KERNEL, "b/0"]),
        ({"a": True, "b": False}, [BIAS, KERNEL]),
        ({"a": {"kernel": True, "bias": False}, "b": True}, [KERNEL, "b/0", "b/1"]),
        (
            lambda tree: jax.tree.map(lambda x: x is not None and x.ndim == 2, tree, is_leaf=lambda x: x is None),
            [KERNEL],
        ),
        (lambda tree: {"a": False, "b": True}, ["b/0", "b/1"]),
        ("*/kernel", [KERNEL]),
        (KERNEL, [KERNEL]),
        ("a/*", [BIAS, KERNEL]),
        ("*/*i*", [BIAS]),
        ("**", ALL),
        ("a/**", [BIAS, KERNEL]),
        ("**/bias", [BIAS]),
        (("*/bias", "b/0"), [BIAS, "b/0"]),
    ],
    ids=str_of,
)
def test_masks(mask, expected):
    assert chosen(mask) == expected


def path(*keys):
    return tuple(jax.tree_util.DictKey(key) for key in keys)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("w", [("w",)], [("a", "w"), ("ww",)]),
        ("*", [("w",)], [("a", "w")]),
        ("**", [("w",), ("a", "w"), ("a", "b", "w")], []),
        ("**/w", [("w",), ("a", "w"), ("a", "b", "w")], [("a", "xw"), ("w", "a")]),
        ("a/**", [("a",), ("a", "w"), ("a", "b", "w")], [("ab", "w"), ("b", "a")]),
        ("a/**/w", [("a", "w"), ("a", "b", "c", "w")], [("a", "bw"), ("w",)]),
        ("layer*/w", [("layer", "w"), ("layer12", "w")], [("layer", "x", "w"), ("my_layer", "w")]),
        ("a.b/w", [("a.b", "w")], [("axb", "w")]),
        ("w[0]", [("w[0]",)], [("w0",)]),
    ],
)
def test_patterns(pattern, yes, no):
    assert all(matches(pattern, path(*keys)) for keys in yes)
    assert not any(matches(pattern, path(*keys)) for keys in no)


def test_a_pattern_without_a_match_lists_the_paths():
    with pytest.raises(
        ValueError, match=r"f: mask pattern '\*/weight' matches no parameter; their paths are a/bias, a/k"
    ):
        resolve_mask("f", ("*/kernel", "*/weight"), TREE)
    assert resolve_mask("f", "*/weight", {}) == {}


@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        ({"a": True}, ValueError, r"f: .*mask.*\['b'\]"),
        ({"a": True, "b": True, "c": True}, ValueError, r"f: .*mask.*\['c'\]"),
        ({"a": [True, True], "b": True}, ValueError, "f: .*mask.*"),
        ({"a": 1, "b": True}, TypeError, r"f: the mask at \['a'\] must be a bool, got 1"),
        ({"a": "yes", "b": True}, TypeError, r"f: the mask at \['a'\] must be a bool, got 'yes'"),
        (lambda tree: {"a": 0.5, "b": True}, TypeError, r"f: the mask at \['a'\] must be a bool, got 0\.5"),
    ],
    ids=str_of,
)
def test_masks_that_do_not_fit(mask, error, message):
    with pytest.raises(error, match=message):
        resolve_mask("f", mask, TREE)


@pytest.mark.parametrize("mask", ["*/kernel", {"a": {"kernel": True, "bias": False}, "b": False}], ids=repr)
def test_decay_acts_on_the_chosen_leaves_only(mask):
    zeros = jax.tree.map(jnp.zeros_like, TREE)
    for kind in (gradtx.coupled, gradtx.decoupled, lambda s, m: gradtx.independent(s, 0.1, m)):
        tx = gradtx.sgd(0.1, weight_decay=kind(0.5, mask))
        updates, _ = tx.update(zeros, tx.init(TREE), TREE)
        assert np.all(updates["a"]["kernel"] < 0)
        chex.assert_trees_all_equal(updates["a"]["bias"], jnp.zeros(2))
        chex.assert_trees_all_equal(updates["b"], [jnp.zeros(2), None])


def test_masked_leaves_keep_no_slots():
    rule = lambda g, s: (2 * g, s)
    make = gradtx.transformation(lambda mask: leafwise(rule, ScaleByAdamState, mask=mask))
    tx = make({"a": True, "b": False})
    state = tx.init(TREE)
    assert state.mu["b"] == [MaskedNode(), None]
    updates, after = tx.update(TREE, state)
    chex.assert_trees_all_equal_structs(after, state)
    chex.assert_trees_all_equal(updates["a"]["bias"], jnp.full(2, 2.0))
    chex.assert_trees_all_equal(updates["b"][0], jnp.ones(2))
    integers = make({"a": True, "b": False}).init(TREE | {"b": [jnp.ones(2, int), None]})
    assert integers.nu["b"] == [MaskedNode(), None]


@pytest.mark.parametrize("mask", [{"a": True}, "**/kernel", lambda params: params["a"]])
def test_a_tree_that_is_hidden_as_a_whole_has_nothing_to_choose(mask):
    hidden = MaskedNode()
    assert resolve_mask("test", mask, hidden) == hidden
    assert resolve_labels("test", mask, hidden) == []
    assert gradtx.masked(gradtx.scale_by_adam(), mask).init(hidden).inner_state.mu == hidden
