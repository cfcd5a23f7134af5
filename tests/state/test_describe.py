"""Descriptions: links, hyperparameters and bytes, without allocating anything."""

import jax
import jax.numpy as jnp
import pytest

import gradtx
from tests.catalogue import ROWS
from tests.support import make_params

TX = gradtx.chain(gradtx.clip_by_global_norm(1.0), gradtx.adamw(gradtx.linear_schedule(0.1, 0.2, 10)))
PRINTED = """\
link                 bytes  hyperparameters
----------------------------------------------------------------------
clip_by_global_norm      0  max_norm=1.0
scale_by_adam           52  b1=0.9, b2=0.999, eps=1e-08, eps_root=0.0
add_decayed_weights      0  weight_decay=0.0001
scale_by_lr              4  learning_rate=0.1
all                     56

parameter  type           bytes  state bytes
--------------------------------------------
b          bfloat16(2,)       4           16
w          float32(2, 2)     16           32
shared                                     8
all                          20           56"""


def test_printed():
    shapes = {"w": jax.ShapeDtypeStruct((2, 2), jnp.float32), "b": jax.ShapeDtypeStruct((2,), jnp.bfloat16)}
    text = str(gradtx.describe(TX, shapes)).splitlines()
    wanted = PRINTED.splitlines()
    assert [
        line.split() for line in text if "linear_schedule" not in line and "---" not in line and line[:1] != " "
    ] == [line.split() for line in wanted if "learning_rate" not in line and "---" not in line]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_the_bytes_add_up(row):
    params = make_params()
    described = gradtx.describe(row.tx, params)
    state = jax.eval_shape(row.tx.init, params)
    total = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state))
    assert described.state_bytes == total == sum(link.bytes for link in described.links)
    assert described.shared_bytes + sum(p.state_bytes for p in described.parameters) == total
    assert len(str(described).splitlines()) >= len(described.links) + len(params) + 8


def test_nothing_is_allocated():
    huge = {"w": jax.ShapeDtypeStruct((1 << 20, 1 << 20), jnp.float32)}
    described = gradtx.describe(TX, huge)
    assert described.state_bytes == 2 * 4 * (1 << 40) + 8
    assert [link.name for link in described.links][1] == "scale_by_adam"
    assert described.links[1].hyperparameters["b1"] == 0.9


def test_named_links_and_one_array():
    described = gradtx.describe(gradtx.named_chain(first=gradtx.clip(1.0), adam=gradtx.adam(0.1)), jnp.ones(3))
    assert [link.name for link in described.links] == ["first: clip", "adam: scale_by_adam", "adam: scale_by_lr"]
    assert described.parameters[0].path == "(root)" and described.parameters[0].state_bytes == 24


def test_links_of_another_library():
    optax = pytest.importorskip("optax")
    described = gradtx.describe(gradtx.chain(optax.scale_by_adam(), gradtx.scale(0.1)), make_params())
    assert described.links[0].bytes == described.state_bytes
