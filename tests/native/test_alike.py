"""Leaves of one type are evaluated once, and sums over a tree are native calls."""

import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from examples.benchmarks.with_jax import equations as count_equations
from gradtx.core import tree
from gradtx.native import lazy, program
from tests.native.support import assert_same_steps, calls, compiled, needs_native, normal

pytestmark = needs_native

ADAMW = gradtx.chain(gradtx.clip_by_global_norm(1.0), gradtx.adamw(0.01))


def many(n, shape=(5,)):
    return [normal(shape, seed=k) for k in range(n)]


def evaluated(monkeypatch, tx, params):
    """How many equations are evaluated to lower a step."""
    seen = []
    one = lazy.Evaluation.equation
    monkeypatch.setattr(lazy.Evaluation, "equation", lambda *xs: seen.append(1) or one(*xs))
    jax.jit(lambda p, s, g: gradtx.step(tx, p, s, g)).lower(params, tx.init(params), params)
    return len(seen)


@pytest.mark.parametrize("tx", [ADAMW, gradtx.adan(0.1), gradtx.lion(0.1)], ids=lambda tx: tx.name)
def test_the_evaluation_does_not_grow_with_the_leaves(monkeypatch, tx):
    assert evaluated(monkeypatch, tx, many(100)) == evaluated(monkeypatch, tx, many(2))


def test_calls_grow_with_the_leaves_that_one_takes():
    params = many(1000)
    step = compiled(ADAMW, params, ADAMW.init(params), params)
    assert calls(step.as_text()) == 16 + 3  # 7 arrays a leaf for the step, and 1 for the norm; 448 arrays a call


def test_kernels_and_equations_beside_optax():
    """At 100 leaves: at most a fifth of Optax's kernels, and a tenth of its equations."""
    optax = pytest.importorskip("optax")
    theirs = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(0.01))
    params = many(100)

    def by_optax(params, state, grads):
        with jax.numpy_dtype_promotion("standard"):
            updates, state = theirs.update(grads, state, params)
            return optax.apply_updates(params, updates), state

    def by_gradtx(params, state, grads):
        return gradtx.step(ADAMW, params, state, grads)

    kernels, equations = [], []
    for step, tx in [(by_gradtx, ADAMW), (by_optax, theirs)]:
        traced = jax.jit(step).trace(params, tx.init(params), params)
        kernels.append(len(re.findall(r"\b(?:fusion|custom-call)\(", traced.lower().compile().as_text())))
        equations.append(count_equations(traced.jaxpr))
    assert 5 * kernels[0] <= kernels[1]
    assert 10 * equations[0] <= equations[1]


def test_a_leaf_that_is_treated_apart_is_evaluated_apart():
    """A mask on some links cuts the leaves of one type into groups that differ from link to link."""
    params = {f"w{k}": x for k, x in enumerate(many(6))}
    tx = gradtx.adamw(0.1, weight_decay=gradtx.decoupled(0.1, mask=("w0", "w2")))
    assert assert_same_steps(tx, params, [jax.tree.map(jnp.cos, params)] * 3, 1e-5) == 2
    tx = gradtx.chain(
        gradtx.masked(gradtx.clip(0.1), ("w1", "w3")), gradtx.adam(0.1), gradtx.masked(gradtx.scale(2.0), "w1")
    )
    assert assert_same_steps(tx, params, [jax.tree.map(jnp.cos, params)] * 3, 1e-5) >= 2


def test_what_needs_a_whole_leaf_is_evaluated_leaf_by_leaf():
    """A norm of each leaf (LAMB), one by a reduction over trees (LDoG), scalar leaves."""
    params = {"a": many(4), "scalars": [jnp.float32(k) for k in range(3)]}
    blocks = gradtx.chain(gradtx.adam(0.1), gradtx.normalize(), gradtx.clip_by_block_rms(1.0))
    for tx in (gradtx.lamb(0.1), gradtx.ldog(), blocks):
        assert_same_steps(tx, params, [jax.tree.map(jnp.cos, params)] * 3, 1e-5)


def test_a_sum_that_depends_on_a_sum():
    """Clipping twice: the second norm is of what the first scaled, and no array is made for it."""
    tx = gradtx.chain(gradtx.clip_by_global_norm(1.0), gradtx.clip_by_global_norm(0.5), gradtx.sgd(0.1, 0.9))
    params = many(3, (400, 50))
    assert assert_same_steps(tx, params, [params] * 2, 1e-5) == 3
    found = compiled(tx, params, tx.init(params), params).memory_analysis()
    assert found.temp_size_in_bytes < 10_000


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32, jnp.float64], ids=lambda d: d.__name__)
@pytest.mark.parametrize("n", [0, 1, 127, 128, 129, 2**16 + 3])
def test_sums_are_those_of_numpy(dtype, n):
    with jax.enable_x64(dtype is jnp.float64):
        params = [normal((n,), dtype, seed=k) for k in range(3)]
        grads = [normal((n,), dtype, seed=9)] * 3
        measured = gradtx.transformation(lambda: gradtx.leafwise(shift, reduce=sums))()
        step = compiled(measured, params, measured.init(params), grads)
        assert calls(step.as_text()) >= (n > 0)
        new, _ = step(params, measured.init(params), grads)
        wide = lambda xs: [np.asarray(x, np.float64) for x in xs]
        total = sum(np.sum(p * g) for p, g in zip(wide(params), wide(grads), strict=True))
        wanted = [p + total for p in wide(params)]
        rtol = {2: 2e-2, 4: 2e-5, 8: 1e-12}[jnp.dtype(dtype).itemsize]
        chex.assert_trees_all_close(wide(new), wanted, rtol=rtol, atol=rtol)


def sums(updates, params):
    return {"total": tree.vdot(params, updates)}


def shift(g, *, total):
    return 0 * g + total


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf, 1e30])
def test_a_sum_that_is_not_finite(bad):
    params = many(3)
    assert assert_same_steps(ADAMW, params, [[*params[:2], params[2].at[1].set(bad)]] * 2, 1e-5) == 2


def test_sums_do_not_depend_on_who_computes_them():
    params = [normal((2**20,), seed=k) for k in range(2)]
    step = jax.jit(lambda p, s, g: gradtx.step(ADAMW, p, s, g))
    first = step(params, ADAMW.init(params), params)
    for _ in range(5):
        chex.assert_trees_all_equal(step(params, ADAMW.init(params), params), first)


def test_a_sum_that_is_too_large_for_the_machine_is_left_to_xla(monkeypatch):
    params = many(3)
    right = program.compiled
    monkeypatch.setattr("gradtx.native.calls.compiled", lambda formula: None if formula.total else right(formula))
    assert assert_same_steps(ADAMW, params, [params] * 2, 1e-5) == 1
