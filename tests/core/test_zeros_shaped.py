"""Slots of another shape than the parameter's: shapes, dtypes and shardings, however `init` is run."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from gradtx.core.slots import PositiveSlot, start_of, zeros_shaped


class Sums(NamedTuple):
    sums: PositiveSlot


ROWS_AND_COLUMNS = start_of(Sums, "sums", zeros_shaped(lambda p: (jnp.sum(p, 1), jnp.sum(p, 0))))


def test_shapes_and_dtypes():
    rows, columns = ROWS_AND_COLUMNS(jnp.ones((4, 3), jnp.bfloat16))
    assert (rows.shape, columns.shape, rows.dtype) == ((4,), (3,), jnp.float32)
    assert ROWS_AND_COLUMNS(jnp.ones((4, 3), jnp.complex64))[0].dtype == jnp.float32
    assert zeros_shaped(lambda p: ())(jnp.ones(3)) == ()
    assert zeros_shaped(lambda p: p)(jnp.ones(3, jnp.complex64)).dtype == jnp.complex64


@pytest.mark.parametrize("how", ["eager", "jitted", "types"])
def test_shardings(how):
    mesh = jax.make_mesh((8,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = NamedSharding(mesh, PartitionSpec("x"))
    p = jax.device_put(jnp.full((16, 3), jnp.nan), sharding)
    if how == "types":
        p = jax.ShapeDtypeStruct(p.shape, p.dtype, sharding=sharding)
    rows, columns = (jax.jit(ROWS_AND_COLUMNS) if how == "jitted" else ROWS_AND_COLUMNS)(p)
    assert rows.sharding.is_equivalent_to(sharding, 1)
    assert columns.sharding.is_fully_replicated
    assert not jnp.any(rows) and not jnp.any(columns)
