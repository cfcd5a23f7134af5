"""Our transformations and states are what Optax's combinators, and programs written for Optax, ask for."""

import inspect

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
import gradtx.compat.optax as ours
from tests.catalogue import ROWS
from tests.compat.rows import ROWS as COMPAT_ROWS

optax = pytest.importorskip("optax")

PARAMS = {"w": jnp.ones((2, 3)), "b": jnp.zeros(3)}
GRADS = jax.tree.map(lambda p: p + 0.5, PARAMS)
EVERY = {"w": True, "b": True}

WRAPPERS = {
    "chain": lambda ox, tx: ox.chain(ox.scale(1.0), tx),
    "named_chain": lambda ox, tx: ox.named_chain(("only", tx)),
    "partition": lambda ox, tx: ox.partition({"all": tx}, {"w": "all", "b": "all"}),
    "masked": lambda ox, tx: ox.masked(tx, EVERY),
    "MultiSteps": lambda ox, tx: ox.MultiSteps(tx, 1),
    "apply_if_finite": lambda ox, tx: ox.apply_if_finite(tx, 2),
    "conditionally_transform": lambda ox, tx: ox.conditionally_transform(tx, lambda step: step >= 0),
    "conditionally_mask": lambda ox, tx: ox.conditionally_mask(tx, lambda step: step >= 0),
    "inject_hyperparams": lambda ox, tx: ox.inject_hyperparams(lambda unused: tx)(1.0),
    "selective_transform": lambda ox, tx: ox.selective_transform(tx, freeze_mask={"w": False, "b": False}),
    "with_extra_args_support": lambda ox, tx: ox.with_extra_args_support(tx),
}


@pytest.mark.parametrize("inner", ["gradtx", "compat", "optax"])
@pytest.mark.parametrize("outer", ["compat", "optax"])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_extra_arguments_reach_what_is_wrapped(wrapper, outer, inner):
    library = {"gradtx": gradtx, "compat": ours, "optax": optax}
    tx = WRAPPERS[wrapper](library[outer], library[inner].polyak_sgd())
    updates, _ = tx.update(GRADS, tx.init(PARAMS), PARAMS, value=jnp.float32(0.3))
    step = 0.3 / sum(float(jnp.sum(g**2)) for g in GRADS.values())  # the loss over the squared norm
    chex.assert_trees_all_close(updates, jax.tree.map(lambda g: -step * g, GRADS), rtol=1e-5)


@pytest.mark.parametrize("outer", [ours, optax], ids=["compat", "optax"])
def test_weights_reach_accumulate(outer):
    tx = outer.chain(gradtx.accumulate(gradtx.scale(1.0), 2), outer.scale(1.0))
    state = tx.init(jnp.zeros(()))
    _, state = tx.update(jnp.float32(1.0), state, weight=3.0)
    updates, _ = tx.update(jnp.float32(5.0), state, weight=1.0)
    np.testing.assert_allclose(updates, (3 * 1 + 5) / 4, rtol=1e-6)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_transformation_is_one_of_optaxs(row):
    assert isinstance(row.tx, optax.GradientTransformation)
    assert isinstance(row.tx, optax.GradientTransformationExtraArgs)
    assert isinstance(row.tx, ours.GradientTransformationExtraArgs)
    assert optax.with_extra_args_support(row.tx) is row.tx
    assert type(row.tx) is gradtx.GradientTransformation


@pytest.mark.parametrize("row", COMPAT_ROWS, ids=lambda row: row.name)
def test_every_pair_is_one_of_optaxs_as_it_is_of_ours(row):
    tx = row.build(ours)
    for name in ("GradientTransformation", "GradientTransformationExtraArgs"):
        kinds = getattr(ours, name), getattr(optax, name)
        assert isinstance(tx, kinds[0]) == isinstance(tx, kinds[1])
        theirs = row.build(optax)
        assert isinstance(theirs, kinds[0]) == isinstance(theirs, kinds[1])


def types_of(module):
    """The classes that a module shows, but for protocols and what stands for a type in annotations."""
    found = {k: x for k, x in vars(module).items() if not k.startswith("_") and inspect.isclass(x)}
    return {k: x for k, x in found.items() if not getattr(x, "_is_protocol", False) and x.__module__ != "typing"}


PLACES = {name: (getattr(ours, name), getattr(optax, name)) for name in ("contrib", "transforms", "schedules")}
TYPES = [
    (f"{place}.{name}", getattr(mine, name), theirs)
    for place, (mine, other) in {"optax": (ours, optax), **PLACES}.items()
    for name, theirs in types_of(other).items()
]
PAIRS = ("GradientTransformation", "GradientTransformationExtraArgs")


@pytest.mark.parametrize(("name", "mine", "theirs"), TYPES, ids=[name for name, *_ in TYPES])
def test_every_type_is_derived_from_optaxs(name, mine, theirs):
    if name.split(".")[1] in PAIRS:
        assert isinstance(mine(None, None), theirs)
    else:
        assert issubclass(mine, theirs)


PARAMS_OF_ROWS = {"w": jnp.ones((4, 3)), "b": jnp.zeros(4), "s": jnp.zeros(1)}
OPTAX_FAILS = ("lbfgs", "flatten", "backtracking", "zoom")  # it looks into the placeholder


def mapped(mapper, library, tx):
    """For every leaf of the state of a library's `tx`, whether it is a parameter's, as `mapper` says."""
    is_masked = lambda x: isinstance(x, library.MaskedNode)
    return jax.tree.leaves(
        mapper.tree_map_params(
            tx, lambda x: "masked" if is_masked(x) else "slot", tx.init(PARAMS_OF_ROWS), is_leaf=is_masked,
            transform_non_params=lambda x: "other",
        )
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("row", COMPAT_ROWS, ids=lambda row: row.name)
def test_params_are_mapped_by_either_library_alike(row):
    mine, theirs = row.build(ours), row.build(optax)
    wanted = mapped(ours, ours, mine)
    assert mapped(optax, optax, mine) == wanted  # a masked node of ours is one of Optax's
    if row.name not in OPTAX_FAILS:
        assert mapped(ours, optax, theirs) == wanted
        assert mapped(optax, optax, theirs) == wanted


@pytest.mark.parametrize("tx", [row.tx for row in ROWS if row.tx.name in ("masked", "partition", "freeze", "adamw")])
def test_params_of_gradtxs_masks_are_mapped(tx):
    params = {"scalar": 0.0, "vector": jnp.ones(3), "matrix": jnp.ones((3, 4)), "kernel": jnp.ones((3, 4, 2))}
    state = jax.eval_shape(tx.init, params)
    runs = [m.tree_map_params(tx, lambda x: 1, state, transform_non_params=lambda x: 0) for m in (optax, ours)]
    assert runs[0] == runs[1]
    assert jax.tree.structure(runs[0]) == jax.tree.structure(state)


@pytest.mark.slow
def test_svi_of_numpyro():
    numpyro = pytest.importorskip("numpyro")
    from numpyro.infer import SVI, Trace_ELBO
    from numpyro.infer.autoguide import AutoNormal

    def model(y):
        mean = numpyro.sample("mean", numpyro.distributions.Normal(0, 1))
        numpyro.sample("y", numpyro.distributions.Normal(mean, 1.0), obs=y)

    def losses(tx):
        svi = SVI(model, AutoNormal(model), tx, Trace_ELBO())
        return svi.run(jax.random.key(0), 20, jnp.array([1.0, 2.0, 1.5]), progress_bar=False).losses

    expected = losses(optax.adam(0.1))
    for tx in (gradtx.adam(0.1), ours.adam(0.1)):
        np.testing.assert_allclose(losses(tx), expected, rtol=1e-4)
