"""States have Optax's layout: types, fields, shapes and dtypes, for 32-bit and for 16-bit parameters."""

import jax
import jax.numpy as jnp
import pytest

import gradtx.compat.optax as ours
from tests.compat.rows import ROWS

pytestmark = pytest.mark.slow

theirs = pytest.importorskip("optax")

SHAPES = {"w": (4, 3), "b": (4,), "s": (1,)}


def layout(tx, dtype):
    """The tree of the first state, with the names of its types, and what its leaves are."""
    params = {name: jax.ShapeDtypeStruct(shape, dtype) for name, shape in SHAPES.items()}
    leaves, treedef = jax.tree_util.tree_flatten_with_path(jax.eval_shape(tx.init, params))
    return str(treedef), {jax.tree_util.keystr(path): (x.shape, x.dtype) for path, x in leaves}


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_layout(row, dtype):
    with jax.numpy_dtype_promotion("standard"):
        wanted = layout(row.build(theirs), dtype)
    assert layout(row.build(ours), dtype) == wanted


@pytest.mark.parametrize("row", [row for row in ROWS if row.numbers], ids=lambda row: row.name)
def test_layout_is_kept(row):
    """`update` returns the types it was given, so that a second step does not compile again."""
    params = {name: jax.ShapeDtypeStruct(shape, jnp.bfloat16) for name, shape in SHAPES.items()}
    tx = row.build(ours)
    state = jax.eval_shape(tx.init, params)
    value = jax.ShapeDtypeStruct((), jnp.float32)
    step = lambda g, s, p, v: ours.with_extra_args_support(tx).update(g, s, p, value=v)
    updates, new_state = jax.eval_shape(step, params, state, params, value)
    assert new_state == state
    assert updates == params
