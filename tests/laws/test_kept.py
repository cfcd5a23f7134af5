"""The law of keeping: 16-bit parameters with 16 bits more train as those of 32 bits do, under every transformation."""

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx
from tests.catalogue import ROWS
from tests.laws.test_codes import RUN
from tests.support import FEW, at, make_grads, make_params, types_of

few = pytest.mark.parametrize(
    "row", [pytest.param(r, id=r.id, marks=[] if r.id in RUN else [pytest.mark.exhaustive]) for r in ROWS]
)


@few
def test_parameters_train_as_in_float32(row):
    narrow, grads = make_params(jnp.bfloat16, shapes=FEW), make_grads(3, shapes=FEW)
    tx = gradtx.kept(row.tx, gradtx.residual(16))

    @jax.jit
    def runs(tx, inner):
        p, state, q, plain = narrow, tx.init(narrow), gradtx.tree_cast(narrow, jnp.float32), None
        plain = inner.init(q)
        for k in range(3):
            g = at(grads, k)
            extra = lambda p, g=g: row.extra(p, g) if row.extra else {}
            p, state = gradtx.step(tx, p, state, g, **extra(gradtx.full_params(p, state)))
            q, plain = gradtx.step(inner, q, plain, g, **extra(q))
        return p, state, gradtx.full_params(p, state), q, plain

    p, state, full, q, plain = runs(tx, row.tx)
    chex.assert_trees_all_close(full, q, rtol=1e-4, atol=1e-6)
    assert types_of(p) == types_of(narrow) and types_of(state) == types_of(tx.init(narrow))
    assert types_of(state.inner_state) == types_of(plain)
