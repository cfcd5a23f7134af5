"""Law 9 where slots lie otherwise than parameters: the steps are the same, and each comes back lying as it lay."""

import contextlib
from functools import partial

import chex
import jax
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import gradtx
from tests.catalogue import FIRST, every_transformation
from tests.laws.test_values import skip_exempt
from tests.support import at, make_grads, make_params, train

SPECS = {"whole": (), "first": ("y",), "last": (None, "y"), "odd": ()}
SHAPES = {"whole": (8, 3), "first": (6, 4), "last": (4, 6), "odd": (5,)}
# Of those whose slots are like their parameters or not, and of wrappers, some of each kind; all of them with --slow.
RUN = ("scale_by_adam", "scale_by_sm3", "scale_by_lbfgs", "scale_by_galore", "prodigy", "sharpness_aware")
RUN += ("accumulate-adam-skip", "apply_if_finite-adam", "selective_transform-adam-nested7", "lookahead")
few = pytest.mark.parametrize(
    "row", [pytest.param(r, id=r.id, marks=[] if r.id in RUN else [pytest.mark.exhaustive]) for r in FIRST]
)
PARAMS, GRADS = make_params(shapes=SHAPES), make_grads(2, shapes=SHAPES)


def mesh_of(kind):
    return jax.make_mesh((4, 2), ("x", "y"), axis_types=(kind, kind))


def put(tree, mesh, *leading):
    lies = {name: NamedSharding(mesh, PartitionSpec(*leading, *SPECS[name])) for name in tree}
    return jax.device_put(jax.tree.map(np.array, tree), lies)  # copies: they are donated


def check_lying(new, old):
    """Every array lies as it did; `old` may be shardings."""
    leaves = zip(jax.tree_util.tree_leaves_with_path(new), jax.tree.leaves(old), strict=True)
    for (path, x), was in leaves:
        was = getattr(was, "sharding", was)
        assert x.sharding.is_equivalent_to(was, x.ndim), f"{jax.tree_util.keystr(path)}: {x.sharding} != {was}"


def two_steps(row, tx, params, state, grads):
    """One by `update` and `apply_updates`, one by `step`."""
    one, two = at(grads, 0), at(grads, 1)
    extra = row.extra or (lambda params, g: {})
    updates, state = tx.update(one, state, params, **extra(params, one))
    between = gradtx.apply_updates(params, updates)
    return gradtx.step(tx, between, state, two, **extra(params, two)), between, updates


@few
def test_everything_comes_back_as_it_lay(row):
    """On automatic axes, where no type says how."""
    skip_exempt(row, "sharding")
    mesh = mesh_of(AxisType.Auto)
    params, grads = put(PARAMS, mesh), put(GRADS, mesh, None)
    tx = gradtx.placed(row.tx, gradtx.over("x"))
    lay = jax.tree.map(lambda p: p.sharding, params)
    wanted = gradtx.state_sharding(tx, params)
    state = tx.init(params)
    check_lying(state, wanted)
    run = jax.jit(partial(two_steps, row, tx), donate_argnums=(0, 1))
    (new, after), between, updates = run(params, state, grads)
    for tree in (new, between, updates):
        check_lying(tree, lay)
    check_lying(after, wanted)
    if not row.random:
        alone = jax.jit(partial(two_steps, row, row.tx))(PARAMS, row.tx.init(PARAMS), GRADS)
        chex.assert_trees_all_close(*jax.device_get((new, alone[0][0])), rtol=1e-4, atol=1e-5)


@every_transformation
def test_types_stay_on_explicit_axes(row):
    """Those of parameters and state in a scan, those of updates as gradients; nothing is compiled."""
    mesh = mesh_of(AxisType.Explicit)
    params, grads = put(PARAMS, mesh), put(GRADS, mesh, None)
    tx = gradtx.placed(row.tx, gradtx.over("x"))
    types = lambda tree: jax.tree.map(jax.typeof, tree)
    # What lies on no mesh has no sharding in its type, such as a count beside a function among the extra arguments.
    spec = lambda sharding: () if sharding is None else sharding.spec
    cuts = lambda sharding: {k: axis for k, axis in enumerate(spec(sharding)) if axis is not None}
    known = list(map(cuts, jax.tree.leaves(gradtx.state_sharding(tx, params))))
    for context in (contextlib.nullcontext, partial(jax.set_mesh, mesh)):
        with context():
            new, state, updates = jax.eval_shape(lambda p, g: train(tx, p, g, row.extra), params, grads)
        assert types(new) == types(params)
        assert types(updates) == types(grads)
        assert [cuts(x.sharding) for x in jax.tree.leaves(state)] == known
