"""Layouts: how a tree is cut into batches of items, what a rule sees of them, and that all is joined as it was."""

import copy
import pickle
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core.layout import Batches
from gradtx.core.stacks import is_packed

NUMBERS = {"layers": gradtx.DimensionNumbers(1, 2), "qkv": gradtx.DimensionNumbers(0, (1, 2)), "**": "auto"}
SHAPES = {"b": (4,), "layers": (2, 4, 6), "none": None, "qkv": (4, 2, 3), "w": (4, 6)}
LAYOUT = gradtx.matrices(NUMBERS)


class Sums(NamedTuple):
    count: gradtx.rules.Count
    total: gradtx.Slot
    size: gradtx.rules.NumberSlot


def draw(seed=0, dtypes=None):
    rng = np.random.default_rng(seed)
    make = lambda name, shape: jnp.asarray(rng.standard_normal(shape), (dtypes or {}).get(name, jnp.float32))
    return {name: None if shape is None else make(name, shape) for name, shape in SHAPES.items()}


def sums_rule(g, s, *, scale, is_matrix, shape):
    """A rule whose results show which item it saw."""
    assert g.shape == shape and s.size.shape == () and is_matrix == (g.ndim == 2)
    total = s.total + g
    size = s.size + jnp.sqrt(jnp.sum(g * g))
    return scale * total / size, s._replace(total=total, size=size)


def sums(scale=2.0, **options):
    return gradtx.leafwise(sums_rule, Sums, layout=LAYOUT, scale=scale, **options)


def by_hand(trees, scale=2.0):
    """The last updates, matrix by matrix."""
    matrices = {"b": [...], "layers": [0, 1], "qkv": [...], "w": [...]}
    result = {"none": None}
    for name, places in matrices.items():
        result[name] = np.zeros(SHAPES[name])
        for at in places:
            parts = [np.asarray(tree[name][at], float) for tree in trees]
            result[name][at] = scale * sum(parts) / sum(np.sqrt(np.sum(x * x)) for x in parts)
    return result


def run(tx, trees):
    state = tx.init(trees[0])
    for tree in trees:
        updates, state = tx.update(tree, state, tree)
    return updates, state


@pytest.mark.parametrize("jitted", [True, False])
def test_a_rule_sees_one_matrix_at_a_time(jitted):
    tx = sums()
    trees = [draw(i) for i in range(3)]
    run_ = jax.jit(lambda trees: run(tx, trees)) if jitted else lambda trees: run(tx, trees)
    updates, state = run_(trees)
    chex.assert_trees_all_close(updates, by_hand(trees), rtol=1e-5)
    parts = {part.value.shape for part in state.total.parts if hasattr(part, "value")}
    assert parts == {(4, 4, 6)}
    saved = gradtx.state_dict(state)
    assert {name: x.shape for name, x in saved.items()} == {
        "sums/count": (), **{f"sums/total/{name}": shape for name, shape in SHAPES.items() if shape},
        "sums/size/b": (), "sums/size/layers": (2,), "sums/size/qkv": (), "sums/size/w": (),
    }  # fmt: skip


def test_cut_and_join_are_inverse_whatever_the_dtypes():
    tree = draw(dtypes={"w": jnp.bfloat16})
    like = gradtx.scale_by_muon(weight_dimension_numbers=NUMBERS).init(draw()).mu
    for batches in (
        Batches(tree),
        Batches(tree, LAYOUT.views("", tree)),
        Batches(tree, LAYOUT.views("", tree), None, like),
    ):
        values = batches.cut(batches.leaves)
        assert len(values) == len(batches) == len(batches.shapes)
        chex.assert_trees_all_equal(batches.treedef.unflatten(batches.join(values, batches.leaves)), tree)
    assert [len(Batches(tree, LAYOUT.views("", tree), None, x)) for x in (None, like)] == [3, 2]


def test_mixed_gradients_meet_the_stacks_of_the_state():
    trees = [draw(i, {"w": jnp.bfloat16} if i else None) for i in range(2)]
    updates, state = run(sums(), trees)
    chex.assert_trees_all_equal_dtypes(updates, trees[1])
    chex.assert_trees_all_close(jax.tree.map(lambda x: x.astype(jnp.float32), updates), by_hand(trees), rtol=1e-2)
    assert jax.tree.structure(state) == jax.tree.structure(sums().init(trees[0]))


def test_masks_cut_stacks():
    """Of the rule, and of a hyperparameter."""
    trees = [draw(i) for i in range(2)]
    updates, state = run(sums(mask=("b", "layers", "w")), trees)
    chex.assert_trees_all_equal(updates["qkv"], trees[1]["qkv"])
    wanted = by_hand(trees)
    chex.assert_trees_all_close({**updates, "qkv": 0}, {**wanted, "qkv": 0}, rtol=1e-5)
    assert "sums/total/qkv" not in gradtx.state_dict(state)
    updates, _ = run(sums(masks={"scale": "layers"}), trees)
    assert not updates["w"].any() and not updates["qkv"].any()
    chex.assert_trees_all_close(updates["layers"], wanted["layers"], rtol=1e-5)


def test_a_missing_update_leaves_its_part_of_a_stack_alone():
    trees, tx = [draw(i) for i in range(2)], sums()
    state = tx.init(trees[0])
    _, state = tx.update(trees[0], state, trees[0])
    updates, new = tx.update(trees[1] | {"w": None}, state, trees[0])
    assert updates["w"] is None and jax.tree.structure(new) == jax.tree.structure(state)
    old, new = gradtx.state_dict(state), gradtx.state_dict(new)
    chex.assert_trees_all_equal(new["sums/total/w"], old["sums/total/w"])
    chex.assert_trees_all_close(updates | {"w": 0}, by_hand(trees) | {"w": 0}, rtol=1e-5)


def test_one_trace_for_all_matrices_of_a_shape():
    seen = []

    def rule(g, s, *, is_matrix):
        seen.append(g.shape)
        return g, s

    tx = gradtx.leafwise(rule, Sums, layout=LAYOUT)
    params = draw()
    jax.jit(tx.update)(params, tx.init(params))
    assert sorted(seen) == [(4,), (4, 6)]


def test_items_of_a_stack_draw_random_numbers_of_their_own():
    class Keyed(NamedTuple):
        rng_key: gradtx.rules.RandomKey

    rule = lambda g, s, *, key: (jax.random.normal(key, g.shape), s)
    tx = gradtx.leafwise(rule, Keyed, layout=LAYOUT, rng_key=jax.random.key(0))
    params = draw()
    updates, _ = tx.update(params, tx.init(params))
    drawn = [*updates["layers"], updates["w"], updates["qkv"].reshape(4, 6)]
    assert len({float(x[0, 0]) for x in drawn}) == 4


def test_a_state_of_other_matrices_is_refused():
    tx, params = gradtx.scale_by_muon(weight_dimension_numbers=NUMBERS), draw()
    state = tx.init(params)
    with pytest.raises(ValueError, match=r"^scale_by_muon: updates and state differ at \['w'\]: \(6, 4\) != \(4, 6\)"):
        tx.update(params | {"w": params["w"].T}, state)
    other = gradtx.scale_by_muon(
        weight_dimension_numbers=NUMBERS | {"w": None, "b": "auto", "layers": NUMBERS["layers"]}
    )
    with pytest.raises(ValueError, match=r"^scale_by_muon: updates and state differ at \['w'\]: they are of other"):
        other.update(params, state)


def test_a_slot_starts_as_each_leaf_does():
    starts = {"total": lambda p: 2 * p}
    params = draw()
    for init in (sums(**starts).init, jax.jit(sums(**starts).init)):
        saved = gradtx.find_state(init(params), "total")
        assert is_packed(init(params).total)
        shown = {"b": (4,), "layers": (2, 4, 6), "qkv": (4, 6), "w": (4, 6)}
        assert {name: x.shape for name, x in saved.items() if x is not None} == shown
        chex.assert_trees_all_close(saved["w"], 2 * params["w"])


def test_what_is_kept_in_stacks_is_copied_and_pickled():
    params, tx = draw(), sums()
    _, state = tx.update(params, tx.init(params), params)
    for copied in (pickle.loads(pickle.dumps(state)), copy.deepcopy(state)):
        assert jax.tree.structure(copied) == jax.tree.structure(state)
        chex.assert_trees_all_equal(copied, state)


def test_flax_writes_what_is_packed_as_the_tree_it_stands_for():
    """So it reads what it wrote before slots were stacked."""
    serialization = pytest.importorskip("flax.serialization")
    params, tx = draw(), sums()
    _, state = tx.update(params, tx.init(params), params)
    written = serialization.to_state_dict(state)
    assert {name: jnp.shape(x) for name, x in written["total"].items() if name != "none"} == {
        name: shape for name, shape in SHAPES.items() if shape
    }
    back = serialization.from_bytes(tx.init(params), serialization.to_bytes(state))
    assert jax.tree.structure(back) == jax.tree.structure(state)
    chex.assert_trees_all_equal(back, state)
