"""Loops and choices: Python's outside of any trace, JAX's within one, with the same result."""

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx
from gradtx.core.loops import AT_A_TIME, either, of_each, repeat
from tests.support import compilations


def halved(x):
    return repeat(lambda x: x > 1, lambda x: x / 2, x)


def test_a_loop_is_pythons_outside_of_a_trace_and_jaxs_within():
    assert halved(jnp.float32(5)) == 0.625 == jax.jit(halved)(5.0)
    assert "while[" in str(jax.make_jaxpr(halved)(5.0))
    chex.assert_trees_all_equal(jax.vmap(halved)(jnp.array([5.0, 0.5])), jnp.array([0.625, 0.5]))


def test_a_choice_runs_one_branch_outside_of_a_trace():
    ran: list[str] = []
    branch = lambda name: lambda: ran.append(name) or jnp.float32(1)
    assert either(jnp.bool_(True), branch("yes"), branch("no")) == 1
    assert ran == ["yes"]
    assert jax.jit(lambda c: either(c, branch("yes"), branch("no")))(False) == 1
    assert sorted(ran[1:]) == ["no", "yes"]


@pytest.mark.parametrize("n", [0, 1, AT_A_TIME, 2 * AT_A_TIME + 3])
def test_what_is_computed_of_each_is_stacked(n):
    xs = jnp.arange(float(n))
    run = lambda xs: of_each(lambda x: jnp.stack([x, x**2]), xs)
    wanted = jnp.stack([xs, xs**2], axis=1)
    chex.assert_trees_all_equal(run(xs), wanted)
    chex.assert_trees_all_equal(jax.jit(run)(xs), wanted)


def test_the_diagonal_of_a_hessian_compiles_nothing_at_a_call():
    diagonal = lambda: gradtx.hessian_diag(lambda p: jnp.sum(p**3), jnp.arange(3.0))
    chex.assert_trees_all_close(diagonal(), 6 * jnp.arange(3.0))
    assert compilations(diagonal) == 0


SEARCHES = {
    "backtracking": lambda: gradtx.chain(gradtx.sgd(8.0), gradtx.scale_by_backtracking_linesearch(15)),
    "backtracking, kept": lambda: gradtx.chain(
        gradtx.sgd(8.0), gradtx.scale_by_backtracking_linesearch(15, store_grad=True)
    ),
    "zoom": lambda: gradtx.chain(gradtx.sgd(8.0), gradtx.scale_by_zoom_linesearch(15)),
    "lbfgs": gradtx.lbfgs,
    "newton_cg": lambda: gradtx.newton_cg(),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_compiles_nothing_for_another_function(name):
    tx, params = SEARCHES[name](), {"w": jnp.array([1.0, -2.0, 0.5]), "b": jnp.float32(0.3)}
    state = tx.init(params)

    def step(scale, run):
        def loss(p):
            return scale * (jnp.sum(jnp.square(p["w"])) + jnp.square(p["b"]))

        value, grad = jax.value_and_grad(loss)(params)
        update = lambda grad, state, params, value: tx.update(
            grad, state, params, value=value, grad=grad, value_fn=loss
        )
        return run(update)(grad, state, params, value)

    for scale in (1.0, 3.0):  # which may search longer
        jax.block_until_ready(step(scale, lambda update: update))
    assert compilations(lambda: step(3.0, lambda update: update)) == 0
    got, wanted = step(3.0, lambda update: update), step(3.0, jax.jit)
    chex.assert_trees_all_close(got, wanted, rtol=1e-5, atol=1e-6)
    chex.assert_trees_all_equal_shapes_and_dtypes(got, wanted)
