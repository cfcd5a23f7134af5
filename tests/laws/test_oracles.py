"""Every row against its float64 oracle: 1e-12 in x64; and each transformation's first row 1e-5 in float32."""

import inspect
from collections import defaultdict

import chex
import jax
import jax.numpy as jnp
import numpy as np

from tests import oracles
from tests.catalogue import FIRST, ROWS, Row, is_transformation, parametrized, under_laws
from tests.support import make_grads, make_params, train

STEPS = 20
WITH_ORACLE = [row for row in ROWS if row.oracle is not None]


def expected(row: Row, params, grads):
    params, grads = jax.tree.map(lambda x: np.asarray(x, np.float64), (params, grads))
    theta, treedef = jax.tree.flatten(params)
    steps = [[g[t] for g in jax.tree.leaves(grads)] for t in range(STEPS)]
    updates = oracles.call(row.oracle, theta, steps, row.tx.arguments)
    columns = [np.stack([u[i] for u in updates]) for i in range(len(theta))]
    return treedef.unflatten(columns)


@parametrized(WITH_ORACLE)
def test_oracle_x64(row):
    with jax.enable_x64(True):
        params, grads = make_params(jnp.float64), make_grads(STEPS, jnp.float64)
        _, _, updates = jax.jit(lambda p, g: train(row.tx, p, g, row.extra))(params, grads)
        chex.assert_trees_all_close(updates, expected(row, params, grads), rtol=1e-12, atol=1e-12)


@under_laws([row for row in FIRST if row.oracle is not None])
def test_oracle_float32(row):
    params, grads = make_params(), make_grads(STEPS)
    _, _, updates = jax.jit(lambda p, g: train(row.tx, p, g, row.extra))(params, grads)
    chex.assert_trees_all_close(updates, expected(row, params, grads), rtol=1e-5, atol=1e-5)


def test_no_number_is_left_out_of_all_rows():
    """A direction's argument that is 0 by default is another in some row with an oracle, or nothing sees a fault."""
    given: dict[tuple[str, str], set[bool]] = defaultdict(set)
    values = [row.tx for row in WITH_ORACLE]
    for tx in values:
        values += filter(is_transformation, jax.tree.leaves(tx.arguments, is_leaf=is_transformation))
        values += filter(is_transformation, [tx.build()])
        for name, parameter in inspect.signature(tx.maker).parameters.items():
            if tx.name.startswith("scale_by") and type(parameter.default) is float and parameter.default == 0:
                given[tx.name, name].add(isinstance(x := tx.arguments[name], int | float) and x == 0)
    neutral = [f"{maker}({name})" for (maker, name), zero in given.items() if zero == {True}]
    # Those of the line searches are held in tests/search.
    assert [name for name in neutral if "linesearch" not in name] == []


def test_every_row_has_an_oracle_or_is_random():
    assert [row.id for row in ROWS if row.oracle is None and not row.random] == []


def test_ids_are_unique():
    ids = [row.id for row in ROWS]
    assert len(set(ids)) == len(ids)
