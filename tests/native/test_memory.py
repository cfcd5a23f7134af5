"""Donated steps work in place."""

import contextlib

import jax
import jax.numpy as jnp
import pytest

import gradtx
from tests.catalogue import few_transformations
from tests.native.support import needs_native, normal
from tests.support import FEW, at, make_grads, make_params

GRADS = at(make_grads(1, shapes=FEW), 0)


def size(tree):
    data = lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
    return sum(data(x).nbytes for x in jax.tree.leaves(tree))


def memory(tx, params, grads, extra=None):
    """The memory of a compiled step, and the bytes of params and state."""
    state = tx.init(params)
    make = extra or (lambda p, g: {})
    step = jax.jit(lambda p, s, g: gradtx.step(tx, p, s, g, **make(p, g)), donate_argnums=(0, 1))
    found = step.lower(params, state, grads).compile().memory_analysis()
    assert found is not None
    return found, size((params, state))


@pytest.mark.slow
@few_transformations
def test_every_byte_of_params_and_state_is_reused(row):
    found, wanted = memory(row.tx, make_params(shapes=FEW), GRADS, row.extra)
    assert found.alias_size_in_bytes == wanted


@pytest.mark.parametrize("native", [True, False], ids=["native", "plain"])
def test_adamw_reuses_every_byte(native):
    with contextlib.nullcontext() if native else gradtx.native.off():
        found, wanted = memory(gradtx.adamw(0.01), make_params(shapes=FEW), GRADS)
    assert found.alias_size_in_bytes == wanted


@needs_native
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
def test_a_fused_step_has_no_temporary_of_the_size_of_an_update(dtype):
    params = {str(k): normal((1000, k + 1), dtype) for k in range(4)}
    found, wanted = memory(gradtx.adamw(0.01), params, params)
    assert found.temp_size_in_bytes < 2000
    assert found.alias_size_in_bytes == wanted
