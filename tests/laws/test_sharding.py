"""Law 9: on eight devices a sharded run equals an unsharded one, and slots lie where their parameters do."""

import contextlib
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import gradtx
from tests.catalogue import FOUNDATION, every_transformation
from tests.laws.test_values import skip_exempt
from tests.support import make_grads, make_params, train

STEPS = 8
SPECS = {"w": PartitionSpec("x"), "v": PartitionSpec(None, "x")}
SHAPES = {"w": (16, 3), "v": (3, 8)}


def draw(seed, steps=()):
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal((*steps, *shape)).astype(np.float32) for name, shape in SHAPES.items()}


def shard(tree, mesh, leading=()):
    put = lambda name, x: jax.device_put(x, NamedSharding(mesh, PartitionSpec(*leading, *SPECS[name])))
    return {name: put(name, x) for name, x in tree.items()}


def check_slots(params, state, shardings=None):
    """Every state leaf of a parameter's name and shape has its sharding; `shardings` may stand for the state's own."""
    shardings = jax.tree.map(lambda x: x.sharding, state) if shardings is None else shardings
    leaves = zip(jax.tree_util.tree_leaves_with_path(state), jax.tree.leaves(shardings), strict=True)
    for (path, x), sharding in leaves:
        name = getattr(path[-1], "key", None) if path else None
        if name in params and x.shape == params[name].shape:
            want = params[name].sharding
            assert sharding.is_equivalent_to(want, x.ndim), f"{jax.tree_util.keystr(path)}: {sharding} != {want}"


def runs_on_an_explicit_mesh(row):
    """The foundation, and what moves leaves there; for the others their types, below, say all."""
    return row.id in FOUNDATION or any(word in row.id for word in ("muon", "galore", "flatten", "lbfgs"))


@every_transformation
def test_sharded_run_equals_unsharded(row):
    skip_exempt(row, "sharding")
    run = lambda p, g: train(row.tx, p, g, row.extra)
    alone = jax.jit(run)(jax.tree.map(jnp.asarray, draw(0)), jax.tree.map(jnp.asarray, draw(1, (STEPS,))))
    for kind in (AxisType.Auto, AxisType.Explicit) if runs_on_an_explicit_mesh(row) else (AxisType.Auto,):
        mesh = jax.make_mesh((8,), ("x",), axis_types=(kind,))
        with jax.set_mesh(mesh) if kind == AxisType.Explicit else contextlib.nullcontext():
            params, grads = shard(draw(0), mesh), shard(draw(1, (STEPS,)), mesh, leading=(None,))
            if kind == AxisType.Auto:
                check_slots(params, row.tx.init(params))
            if kind == AxisType.Auto and runs_on_an_explicit_mesh(row):  # as for all, but in one program
                check_slots(params, jax.jit(row.tx.init)(params))
            sharded = jax.jit(run)(params, grads)
        check_slots(sharded[0], sharded[1])
        check_slots(params, row.tx.init(params), gradtx.state_sharding(row.tx, params))
        if not row.random:
            pairs = jax.device_get((sharded[0], alone[0]))
            chex.assert_trees_all_close(*pairs, rtol=1e-4, atol=1e-5)


@every_transformation
def test_an_explicit_mesh_need_not_be_set(row):
    """Nor is it in the way of hyperparameters that lie on it: types of a scan say all, and nothing is compiled."""
    mesh = jax.make_mesh((4, 2), ("x", "y"), axis_types=(AxisType.Explicit, AxisType.Explicit))
    put = lambda x, *spec: jax.device_put(x, NamedSharding(mesh, PartitionSpec(*spec)))
    specs = {
        "rows": ("x",),
        "both": ("x", "y"),
        "last": (None, ("x", "y")),
        "kernel": (None, "y", None, "x"),
        "one": (),
    }
    shapes = {"rows": (8,), "both": (8, 4), "last": (3, 8), "kernel": (1, 2, 3, 4), "one": ()}
    params = {name: put(x, *specs[name]) for name, x in make_params(shapes=shapes).items()}
    grads = {name: put(x, None, *specs[name]) for name, x in make_grads(2, shapes=shapes).items()}
    run = lambda tx, p, g: train(tx, p, g, row.extra)
    on_mesh = jax.tree.map(lambda h: put(jnp.asarray(h)), row.tx)
    alone = jax.eval_shape(partial(run, row.tx), params, grads)
    with jax.set_mesh(mesh):
        within = jax.eval_shape(partial(run, row.tx), params, grads)
    for new, _, updates in (alone, within, jax.eval_shape(run, on_mesh, params, grads)):
        for name, spec in specs.items():
            assert new[name].sharding.spec == params[name].sharding.spec
            assert updates[name].sharding.spec == PartitionSpec(None, *spec)
