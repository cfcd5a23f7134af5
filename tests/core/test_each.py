"""`each`: the results of a loop, in one equation for all leaves of one type."""

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx
from gradtx.core import tree
from gradtx.core.each import each, sum_each

LEAVES = [{"x": jnp.full((2, 3), k + 1.0), "y": jnp.float32(k)} for k in range(3)]
OTHERS = [{"x": jnp.full(4, k + 0.5), "y": jnp.float32(-k)} for k in range(2)]
MIXED = [LEAVES[0], OTHERS[0], LEAVES[1], OTHERS[1], LEAVES[2]]


def function(leaf, scale):
    return {"both": scale * leaf["x"] * leaf["y"] + 1, "size": jnp.sum(leaf["x"] ** 2)}


def looped(leaves, scale):
    return [function(leaf, scale) for leaf in leaves]


def at_once(leaves, scale):
    return each(function, leaves, scale)


def loss(run):
    return lambda leaves, scale: sum(jnp.sum(jnp.sin(r["both"])) + r["size"] for r in run(leaves, scale))


def count(text, name="gradtx_each"):
    return text.count(f"{name}[")


def test_one_equation_and_one_trace_for_each_type():
    traces = []

    def watched(leaf, scale):
        traces.append(leaf["x"].shape)
        return function(leaf, scale)

    text = str(jax.make_jaxpr(lambda leaves: each(watched, leaves, 2.0))(MIXED))
    assert count(text) == 2
    assert traces == [(2, 3), (4,)]


@pytest.mark.parametrize("leaves", [LEAVES, MIXED, []], ids=["alike", "mixed", "none"])
def test_the_results_are_those_of_a_loop(leaves):
    scale = jnp.float32(0.5)
    wanted = looped(leaves, scale)
    chex.assert_trees_all_close(at_once(leaves, scale), wanted)
    chex.assert_trees_all_close(jax.jit(at_once)(leaves, scale), wanted, rtol=1e-6)


def test_derivatives_are_those_of_a_loop():
    ours, theirs = loss(at_once), loss(looped)
    for scale in (0.5, jnp.float32(0.5)):
        chex.assert_trees_all_close(jax.grad(ours, (0, 1))(MIXED, scale), jax.grad(theirs, (0, 1))(MIXED, scale))
    tangents = jax.tree.map(jnp.ones_like, MIXED)
    second = lambda f: jax.jit(jax.jvp, static_argnums=0)(jax.grad(lambda x: f(x, 0.5)), (MIXED,), (tangents,))
    chex.assert_trees_all_close(second(ours), second(theirs), rtol=1e-5)


def test_vmap_is_that_of_a_loop():
    many = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), MIXED)
    for axes in [(0, None), (None, 0), (0, 0)]:
        given = (many if axes[0] == 0 else MIXED, jnp.arange(2.0) if axes[1] == 0 else jnp.float32(0.5))
        ours, theirs = (jax.vmap(run, axes)(*given) for run in (at_once, looped))
        chex.assert_trees_all_close(ours, theirs, rtol=1e-6)
        chex.assert_trees_all_close(jax.jit(jax.vmap(at_once, axes))(*given), theirs, rtol=1e-6)


def test_what_a_function_closes_over_is_seen():
    def run(leaves, scale):
        offset = jnp.cos(scale)
        return each(lambda leaf: leaf["x"] + offset, leaves)

    wanted = [leaf["x"] + jnp.cos(0.5) for leaf in MIXED]
    chex.assert_trees_all_close(jax.jit(run)(MIXED, 0.5), wanted, rtol=1e-6)
    slope = jax.jit(jax.grad(lambda scale: sum(jnp.sum(x) for x in run(MIXED, scale))))(0.5)
    chex.assert_trees_all_close(slope, -26 * jnp.sin(0.5), rtol=1e-6)


def test_effects_are_those_of_a_loop():
    seen = []
    tell = lambda leaf: jax.debug.callback(lambda y: seen.append(float(y)), leaf["y"]) or leaf["x"] + 1
    jax.block_until_ready(jax.jit(lambda leaves: each(tell, leaves))(LEAVES))
    jax.effects_barrier()
    assert sorted(seen) == [0.0, 1.0, 2.0]


def test_sums():
    size = lambda leaf: jnp.sum(leaf["x"])
    assert sum_each(size, []) is None
    wanted = sum(jnp.sum(leaf["x"]) for leaf in MIXED)
    chex.assert_trees_all_close(sum_each(size, MIXED), wanted)
    summed = lambda leaves: sum_each(size, leaves)
    chex.assert_trees_all_close(jax.jit(summed)(MIXED), wanted, rtol=1e-6)
    chex.assert_trees_all_close(jax.grad(summed)(MIXED)[1]["x"], jnp.ones(4))
    assert count(str(jax.make_jaxpr(summed)(MIXED))) == 2


def test_a_step_is_as_many_equations_for_a_thousand_leaves_as_for_ten():
    """Also where gradients, slots and parameters differ in dtype."""
    tx = gradtx.chain(gradtx.clip_by_global_norm(1.0), gradtx.adamw(0.1))

    def equations(n, dtype):
        params = [jnp.ones(4, dtype)] * n
        with gradtx.native.off():
            return len(jax.make_jaxpr(lambda p, s, g: gradtx.step(tx, p, s, g))(params, tx.init(params), params).eqns)

    for dtype in (jnp.float32, jnp.bfloat16):
        assert equations(1000, dtype) == equations(10, dtype) < 40


def test_a_norm_is_one_equation_for_each_type():
    trees = {"a": [jnp.ones(3)] * 20, "b": [jnp.ones((2, 2))] * 20, "c": None}
    assert count(str(jax.make_jaxpr(tree.norm)(trees))) == 2
    chex.assert_trees_all_close(jax.jit(tree.norm)(trees), jnp.sqrt(140.0), rtol=1e-6)
