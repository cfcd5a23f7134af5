"""However slots are kept, leaf by leaf or in stacks, their names and shapes are the parameters', and runs go on."""

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx
from gradtx.core.repack import per_leaf, unpacked
from gradtx.core.selection import path_parts
from gradtx.core.stacks import Packed, is_packed
from gradtx.core.walk import declared
from gradtx.state.names import named_leaves
from gradtx.state.slots import owners
from tests.catalogue import FIRST, every_transformation
from tests.support import at, make_grads, make_params, plain

SHAPES = {"a": (4, 3), "b": {"c": (3,), "d": (4, 3), "e": (2, 4, 3)}, "f": (3, 4), "g": ()}
STACKED = [r for r in FIRST if any(map(is_packed, jax.tree.leaves(r.tx.init(make_params()), is_leaf=is_packed)))]
stacked_rows = pytest.mark.parametrize("row", STACKED, ids=lambda row: row.id)


def flat(shapes, above=""):
    parts = [flat(x, k) if isinstance(x, dict) else {above + k: x} for k, x in shapes.items()]
    return {k: x for part in parts for k, x in part.items()}


def draw(steps=1):
    params = make_params(shapes=flat(SHAPES))
    grads = make_grads(steps, shapes=flat(SHAPES))
    return rebuilt(params), [rebuilt(at(grads, i)) for i in range(steps)]


def rebuilt(tree, shapes=None, above=""):
    shapes = SHAPES if shapes is None else shapes
    return {k: rebuilt(tree, x, k) if isinstance(x, dict) else tree[above + k] for k, x in shapes.items()}


def after(row, state, params, grads):
    for g in grads:
        updates, state = row.tx.update(g, state, params, **(row.extra(params, g) if row.extra else {}))
        params = gradtx.apply_updates(params, updates)
    return params, state


def test_there_are_rows_whose_slots_are_stacked():
    assert {"scale_by_muon", "muon", "scale_by_galore", "galore"} <= {row.id for row in STACKED}


@every_transformation
def test_names_are_the_paths_of_the_parameters(row):
    """Of the parameters as they are, and packed; so are the shapes."""
    params, _ = draw()
    state, packed = row.tx.init(params), row.tx.init(gradtx.pack(params))
    owner, found = owners(row.tx, params), named_leaves(unpacked(state))
    for e in found:
        if e.path in owner:
            assert f"/{path_parts(owner[e.path])}/" in f"/{e.name}/"
    if "packing" not in row.exempt:
        saved = gradtx.state_dict(packed)
        assert {name: x.shape for name, x in saved.items()} == {e.name: jnp.shape(e.value) for e in found}


@stacked_rows
def test_what_one_layout_wrote_another_restores(row):
    params, grads = draw(4)
    packed = gradtx.pack(params)
    moved, state = after(row, row.tx.init(params), params, grads[:2])
    wanted, _ = after(row, state, moved, grads[2:])
    saved = gradtx.state_dict(state)
    for start in (row.tx.init(params), per_leaf(row.tx.init(params), params), jax.eval_shape(row.tx.init, params)):
        restored, report = gradtx.restore(start, saved)
        assert not report.missing and not report.unused
        assert jax.tree.structure(restored) == jax.tree.structure(start)
        chex.assert_trees_all_close(after(row, restored, moved, grads[2:])[0], wanted, rtol=1e-5, atol=1e-6)
    start = row.tx.init(packed)
    restored, _ = gradtx.restore(start, saved)
    assert jax.tree.structure(restored) == jax.tree.structure(start)
    got, kept = after(row, restored, packed.like(moved), [packed.like(g) for g in grads[2:]])
    chex.assert_trees_all_close(got.unpack(), wanted, rtol=1e-5, atol=1e-6)
    back, _ = gradtx.restore(row.tx.init(params), gradtx.state_dict(kept))
    assert jax.tree.structure(back) == jax.tree.structure(state)


@stacked_rows
def test_slots_that_are_kept_leaf_by_leaf_stay_so(row):
    """As `compat` keeps them."""
    params, grads = draw(2)
    wanted, state = after(row, row.tx.init(params), params, grads)
    apart = per_leaf(row.tx.init(params), params)
    got, kept = after(row, apart, params, grads)
    assert jax.tree.structure(kept) == jax.tree.structure(apart)
    chex.assert_trees_all_close(got, wanted, rtol=1e-5, atol=1e-6)
    chex.assert_trees_all_close(plain(kept), plain(unpacked(state)), rtol=1e-4, atol=1e-5)


@stacked_rows
def test_slots_in_dtypes_by_path_are_stacked_by_dtype(row):
    params, grads = draw(2)
    slots = list(dict.fromkeys(name for _, name, _, _ in declared(row.tx.init(params), params)))
    tx = gradtx.stored(row.tx, **{slots[0]: {"b/*": "bfloat16"}})
    state = tx.init(params)
    updates, new = tx.update(grads[0], state, params)
    assert jax.tree.structure(new) == jax.tree.structure(state)
    assert [x.dtype for x in jax.tree.leaves(new)] == [x.dtype for x in jax.tree.leaves(state)]
    chex.assert_trees_all_close(updates, row.tx.update(grads[0], row.tx.init(params), params)[0], rtol=0.1, atol=0.1)
    dtypes = {name.split("/", 2)[2]: x.dtype for name, x in gradtx.state_dict(new).items() if f"/{slots[0]}/" in name}
    assert {dtype for name, dtype in dtypes.items() if name.startswith("b/")} <= {jnp.dtype("bfloat16")}
    assert {dtype for name, dtype in dtypes.items() if not name.startswith("b/")} <= {jnp.dtype("float32")}


@stacked_rows
def test_nothing_of_a_stack_is_gathered_in_a_step(row):
    """The slots go in and come out in the stacks that they are kept in: each is an operand of what uses it."""
    params, (g,) = draw()
    state = row.tx.init(params)
    jaxpr = jax.make_jaxpr(lambda s: row.tx.update(g, s, params))(state)
    stacks = [x for x in jax.tree.leaves(state, is_leaf=is_packed) if is_packed(x)]
    shapes = {
        part.value.shape for x in stacks for part in x.parts if hasattr(part, "value") and hasattr(part.value, "shape")
    }
    assert shapes
    carried = [v for v in jaxpr.jaxpr.invars if v.aval.shape in shapes]
    for equation in jaxpr.jaxpr.eqns:
        if equation.primitive.name in ("concatenate", "slice", "split", "gather"):
            assert not set(carried) & {x for x in equation.invars if not hasattr(x, "val")}
    assert jax.tree.structure(row.tx.update(g, state, params)[1]) == jax.tree.structure(state)


def test_a_matrix_and_stacks_of_them_are_one_stack():
    params, _ = draw()
    (mu,) = [
        x
        for x in jax.tree.leaves(
            gradtx.scale_by_muon(weight_dimension_numbers={"b/e": gradtx.DimensionNumbers(1, 2), "**": "auto"}).init(
                params
            ),
            is_leaf=is_packed,
        )
        if isinstance(x, Packed)
    ]
    assert [jnp.shape(getattr(part, "value", part)) for part in mu.parts] == [(4, 4, 3), (3,), (3, 4), ()]


@stacked_rows
def test_reset_starts_the_slots_of_one_parameter_in_a_stack(row):
    params, grads = draw(3)
    moved, state = after(row, row.tx.init(params), params, grads[:2])
    anew = gradtx.reset(row.tx, state, moved, "b/d")
    fresh, old = gradtx.state_dict(row.tx.init(params)), gradtx.state_dict(state)
    for name, x in gradtx.state_dict(anew).items():
        if "count" not in name:
            chex.assert_trees_all_equal(x, fresh[name] if name.endswith("/b/d") else old[name])
    got = row.tx.update(grads[2], anew, moved)[0]
    first = row.tx.update(grads[2], row.tx.init(moved), moved)[0]
    on = row.tx.update(grads[2], state, moved)[0]
    chex.assert_trees_all_close(got["b"]["d"], first["b"]["d"], rtol=1e-4, atol=1e-6)
    chex.assert_trees_all_close(
        {**got, "b": {**got["b"], "d": 0}}, {**on, "b": {**on["b"], "d": 0}}, rtol=1e-5, atol=1e-6
    )
