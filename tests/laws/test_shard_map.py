"""Law 9 inside `shard_map`: each device trains its own part as if it were alone, and types stay what they are."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

import gradtx
from gradtx.core.transformation import as_transformation
from gradtx.microbatching import microbatch
from tests.catalogue import FIRST, every_transformation
from tests.support import FEW, make_grads, make_params, plain, train

STEPS = 3
PARTS = 2
MESH = jax.make_mesh((PARTS,), ("x",), axis_types=(AxisType.Auto,))
# Of those whose state has numbers besides slots, some of each kind; all of them with --slow.
RUN = ("scale_by_novograd", "prodigy", "mechanize", "apply_if_finite-adam", "accumulate-adam-skip", "monitor")
RUN += ("scale_by_lbfgs", "scale_by_galore")
few = pytest.mark.parametrize(
    "row", [pytest.param(r, id=r.id, marks=[] if r.id in RUN else [pytest.mark.exhaustive]) for r in FIRST]
)


def steps(row, params, grads):
    """Whole steps over stacked gradients."""

    def body(carry, g):
        return gradtx.step(row.tx, *carry, g, **(row.extra(carry[0], g) if row.extra else {})), None

    return plain(jax.lax.scan(body, (params, row.tx.init(params)), grads)[0])


def on_parts(run, mesh=MESH):
    """`run` on each device, of trees with one part for each."""
    first = lambda tree: jax.tree.map(lambda x: x[0], tree)
    one = lambda *trees: jax.tree.map(lambda x: x[None], run(*map(first, trees)))
    return jax.shard_map(one, mesh=mesh, in_specs=P("x"), out_specs=P("x"))


def stacked(make):
    return jax.tree.map(lambda *xs: jnp.stack(xs), *[make(seed=k, shapes=FEW) for k in range(PARTS)])


PARAMS, GRADS = stacked(make_params), stacked(partial(make_grads, STEPS))


@every_transformation
def test_types_stay_inside_a_scan(row):
    """Lowering it for the CPU takes the native step through it, too."""
    jax.jit(on_parts(partial(steps, row))).lower(PARAMS, GRADS)


@few
def test_each_part_is_trained_as_if_alone(row):
    alone = jax.jit(partial(steps, row))
    both = [alone(*jax.tree.map(lambda x, k=k: x[k], (PARAMS, GRADS))) for k in range(PARTS)]
    wanted = jax.tree.map(lambda *xs: jnp.stack(xs), *both)
    ours = jax.jit(on_parts(partial(steps, row)))(PARAMS, GRADS)
    chex.assert_trees_all_close(*jax.device_get((ours, wanted)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit], ids=lambda kind: kind.name)
@pytest.mark.parametrize("check_vma", [True, False], ids=["checked", "unchecked"])
def test_a_norm_over_the_tree_is_one_of_each_part(kind, check_vma):
    mesh = jax.make_mesh((8,), ("x",), axis_types=(kind,))
    tx = gradtx.chain(gradtx.clip_by_global_norm(1.0), gradtx.adam(0.1))
    step = lambda p, g: gradtx.step(tx, p, tx.init(p), g)[0]
    split = jax.shard_map(step, mesh=mesh, in_specs=(P("x"), P("x")), out_specs=P("x"), check_vma=check_vma)
    ones = jax.device_put(jnp.ones(16), jax.sharding.NamedSharding(mesh, P("x")))
    chex.assert_trees_all_close(jax.device_get(jax.jit(split)(ones, ones)), jnp.full(16, 0.9), rtol=1e-6)


def test_a_replicated_parameter_stays_so():
    """Beside one that is not, where nothing that the step computes from all of them reaches it."""
    tx = gradtx.monitor(gradtx.accumulate(gradtx.adam(0.1), 2))

    def run(cut, whole):
        params = {"cut": cut, "whole": whole}
        return train(tx, params, jax.tree.map(lambda x: jnp.stack([x] * 4), params))[0]["whole"]

    split = jax.shard_map(run, mesh=MESH, in_specs=(P("x"), P()), out_specs=P())
    wanted = train(tx, jnp.ones(3), jnp.ones((4, 3)))[0]
    chex.assert_trees_all_close(jax.jit(split)(jnp.ones(4), jnp.ones(3)), wanted, rtol=1e-6)


def test_a_sum_over_devices_stays_one_in_micro_batches():
    total = microbatch(lambda rows: jax.lax.psum(rows.sum(), "x"), 0, 2)
    split = jax.shard_map(total, mesh=MESH, in_specs=P("x"), out_specs=P())
    chex.assert_trees_all_close(jax.jit(split)(jnp.arange(8.0)), jnp.float32(28.0))


def test_a_pair_of_another_library_keeps_its_types():
    class Momentum:
        init = staticmethod(lambda params: (jnp.zeros(()), jax.tree.map(jnp.zeros_like, params)))

        @staticmethod
        def update(updates, state, params=None):
            size = state[0] + gradtx.tree_norm(updates)
            return updates, (size, jax.tree.map(lambda m, u: 0.9 * m + u, state[1], updates))

    tx = gradtx.chain(as_transformation(Momentum()), gradtx.apply_if_finite(gradtx.sgd(0.1), 3))
    run = lambda params, grads: train(tx, params, grads)[:2]
    wanted = jax.vmap(run)(PARAMS, GRADS)
    chex.assert_trees_all_close(jax.jit(on_parts(run))(PARAMS, GRADS), wanted, rtol=1e-5, atol=1e-6)


MATRICES = jax.random.normal(jax.random.key(0), (PARTS, 4, 4))
ROWS = MATRICES[:, 0]
LOOPS = {
    "solve": lambda a, x: gradtx.solve(lambda y: jnp.sum((a @ y - x) ** 2), jnp.zeros(4)).params,
    "solve_adam": lambda a, x: gradtx.solve(lambda y: jnp.sum((y - x) ** 2), x + 1, gradtx.adam(0.1)).params,
    "nnls": lambda a, x: gradtx.nnls(a, x, 20),
    "power_iteration": lambda a, x: gradtx.power_iteration(a @ a.T),
    "power_iteration_of_a_function": lambda a, x: gradtx.power_iteration(lambda v: a @ (a.T @ v), v0=jnp.ones(4)),
    "matrix_inverse_pth_root": lambda a, x: gradtx.matrix_inverse_pth_root(a @ a.T + jnp.eye(4), 4),
    "hungarian_algorithm": lambda a, x: gradtx.assignment.hungarian_algorithm(a),
    "ctc_loss": lambda a, x: gradtx.losses.ctc_loss(
        a[None], jnp.zeros((1, 4)), jnp.ones((1, 2), jnp.int32), jnp.zeros((1, 2))
    ),
    "microbatch": lambda a, x: microbatch(lambda scale, rows: scale * rows.sum(), 1, 2)(jnp.float32(2.0), a),
}


@pytest.mark.parametrize("name", LOOPS)
def test_loops_run_on_each_part(name):
    alone = jax.jit(LOOPS[name])
    apart = [alone(MATRICES[k], ROWS[k]) for k in range(PARTS)]
    wanted = jax.tree.map(lambda *xs: jnp.stack(xs), *apart)
    ours = jax.jit(on_parts(LOOPS[name]))(MATRICES, ROWS)
    chex.assert_trees_all_close(*jax.device_get((ours, wanted)), rtol=1e-4, atol=1e-4)


def test_a_state_of_a_users_may_grow():
    """Its new parts then vary as they come."""
    tx = gradtx.GradientTransformation(lambda params: (), lambda g, state, params=None: (g, (*state, 2 * g)))
    twice = lambda g: tx.update(g, tx.update(g, tx.init(g))[1])[1]
    run = jax.shard_map(twice, mesh=MESH, in_specs=P("x"), out_specs=P("x"))
    chex.assert_trees_all_equal(jax.jit(run)(jnp.arange(4.0)), (2 * jnp.arange(4.0),) * 2)
