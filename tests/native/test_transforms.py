"""The native step under JAX's transformations: it scans, and stands back where it cannot run."""

import concurrent.futures

import chex
import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import gradtx
from gradtx.core import transformation
from tests.native.support import calls, needs_native, normal

pytestmark = needs_native

TX = gradtx.chain(gradtx.clip_by_global_norm(1.0), gradtx.adamw(0.01))
PARAMS = {"w": normal((8, 16)), "b": normal((24,), seed=1)}
STATE = TX.init(PARAMS)
CALLS = 2  # the norm, and all else
GRADS = jax.tree.map(lambda x: 0.1 * x + 1, PARAMS)


def plain(function, *arguments):
    """What a function gives without the native step."""
    with gradtx.native.off():
        return jax.jit(lambda *xs: function(*xs))(*arguments)


def assert_close(ours, theirs):
    chex.assert_trees_all_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_scan():
    def train(params, state):
        return jax.lax.scan(lambda carry, _: (gradtx.step(TX, *carry, GRADS), None), (params, state), None, length=3)[0]

    assert calls(jax.jit(train).lower(PARAMS, STATE).as_text()) == CALLS
    assert_close(jax.jit(train)(PARAMS, STATE), plain(train, PARAMS, STATE))


def test_the_optimizer_may_be_an_argument():
    step = jax.jit(gradtx.step)
    assert calls(step.lower(TX, PARAMS, STATE, GRADS).as_text()) == CALLS
    assert_close(step(TX, PARAMS, STATE, GRADS), plain(gradtx.step, TX, PARAMS, STATE, GRADS))


def test_eager_steps_are_plain():
    assert_close(gradtx.step(TX, PARAMS, STATE, GRADS), plain(gradtx.step, TX, PARAMS, STATE, GRADS))


def test_an_eager_step_takes_over_no_memory():
    """What is not donated would be copied before; a step in a program of the user's may be given it."""
    eagerly = lambda params, state, grads: transformation._update_eagerly(lambda _: TX, (), grads, state, params, {})
    text = jax.jit(eagerly).lower(PARAMS, STATE, GRADS).as_text()
    assert calls(text) > 0 and "output_operand_alias" not in text
    assert "output_operand_alias" in jax.jit(gradtx.step).lower(TX, PARAMS, STATE, GRADS).as_text()


def test_vmap_falls_back():
    rates = jnp.array([0.1, 0.01])
    run = jax.vmap(lambda rate: gradtx.step(gradtx.adamw(rate), PARAMS, gradtx.adamw(rate).init(PARAMS), GRADS))
    assert calls(jax.jit(run).lower(rates).as_text()) == 0
    assert_close(jax.jit(run)(rates), plain(run, rates))


def test_grad_falls_back():
    loss = lambda tx: jnp.sum(gradtx.step(tx, PARAMS, STATE, GRADS)[0]["w"] ** 2)
    wanted = plain(jax.grad(loss), TX)
    for grad in (jax.jit(jax.grad(loss)), jax.grad(loss)):
        chex.assert_trees_all_close(grad(TX), wanted, rtol=1e-4, atol=1e-3)  # that of b2 is 0 but for rounding


def test_forward_and_second_derivatives_fall_back():
    loss = lambda rate: jnp.sum(
        gradtx.step(gradtx.sgd(rate), PARAMS, gradtx.sgd(rate).init(PARAMS), GRADS)[0]["w"] ** 2
    )
    second = jax.jacfwd(jax.grad(loss))
    assert_close(jax.jit(second)(0.1), plain(second, 0.1))


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit], ids=lambda kind: kind.name)
def test_arrays_on_many_devices_fall_back(kind):
    mesh = jax.make_mesh((8,), ("x",), axis_types=(kind,))
    place = lambda x: jax.device_put(x, NamedSharding(mesh, P("x") if x.ndim else P()))
    arguments = [jax.tree.map(place, tree) for tree in (PARAMS, STATE, GRADS)]
    with jax.set_mesh(mesh):
        step = jax.jit(gradtx.step)
        assert calls(step.lower(TX, *arguments).as_text()) == 0
        params, _ = step(TX, *arguments)
    assert params["w"].sharding.is_equivalent_to(arguments[0]["w"].sharding, 2)
    assert_close(jax.device_get(params), plain(gradtx.step, TX, PARAMS, STATE, GRADS)[0])


def test_shard_map_runs_on_each_part():
    mesh = jax.make_mesh((8,), ("x",), axis_types=(AxisType.Auto,))
    tx = gradtx.adamw(0.01)
    spec = lambda tree: jax.tree.map(lambda x: P("x") if x.ndim else P(), tree)
    kept = (spec(PARAMS), spec(tx.init(PARAMS)))
    part = jax.shard_map(lambda *xs: gradtx.step(tx, *xs), mesh=mesh, in_specs=(*kept, spec(GRADS)), out_specs=kept)
    arguments = (PARAMS, tx.init(PARAMS), GRADS)
    assert calls(jax.jit(part).lower(*arguments).as_text()) == 1
    assert_close(jax.jit(part)(*arguments), plain(gradtx.step, tx, *arguments))


def test_exported_programs_are_plain():
    step = lambda *xs: gradtx.step(TX, *xs)
    exported = jax.export.export(jax.jit(step), platforms=("cpu", "cuda"))(PARAMS, STATE, GRADS)
    assert calls(exported.mlir_module()) == 0


def test_a_callback_in_the_chain_still_runs():
    seen = []
    tell = gradtx.stateless(lambda updates, params: jax.debug.callback(seen.append, updates["b"][0]) or updates)
    tx = gradtx.chain(tell, gradtx.sgd(0.1))
    jax.block_until_ready(jax.jit(lambda p, s, g: gradtx.step(tx, p, s, g))(PARAMS, tx.init(PARAMS), GRADS))
    jax.effects_barrier()
    assert seen == [GRADS["b"][0]]


def test_many_threads_at_once():
    step = jax.jit(lambda p, s, g: gradtx.step(TX, p, s, g))
    params = {"x": normal((3 * 2**16 + 5,))}
    grads = [{"x": normal((3 * 2**16 + 5,), seed=k)} for k in range(4)]
    wanted = [plain(lambda p, g: gradtx.step(TX, p, TX.init(p), g)[0], params, g) for g in grads]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda k: step(params, TX.init(params), grads[k % 4])[0], range(32)))
    for k, result in enumerate(results):
        assert_close(result, wanted[k % 4])


def test_buffers_are_taken_over_only_where_donated():
    step = jax.jit(gradtx.step)
    before = jax.device_get(PARAMS)
    step(TX, PARAMS, STATE, GRADS)
    chex.assert_trees_all_equal(PARAMS, before)
