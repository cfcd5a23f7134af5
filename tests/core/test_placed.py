"""Slots cut over devices: which are, along what, what a step costs in memory and communication, and the errors."""

import contextlib
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import gradtx
from tests.laws.test_placement import check_lying
from tests.support import at, make_grads, make_params

SHAPES = {"matrix": (16, 4), "wide": (4, 24), "bias": (8,), "odd": (3,), "one": ()}
DEVICES = 8
PLACED = gradtx.placed(gradtx.adam(0.1), gradtx.over("data"))
KINDS = pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit], ids=["automatic", "explicit"])


def mesh_of(kind, sizes=(DEVICES,), names=("data",)):
    return jax.make_mesh(sizes, names, axis_types=(kind,) * len(names))


def put(tree, mesh, **specs):
    """Copies, replicated where nothing is said: they may be donated."""
    lies = {name: NamedSharding(mesh, P(*specs.get(name, ()))) for name in tree}
    return jax.device_put(jax.tree.map(np.array, tree), lies)


def specs_of(tree):
    return {name: tuple(x.sharding.spec) + (None,) * (x.ndim - len(x.sharding.spec)) for name, x in tree.items()}


def per_device(tree):
    return sum(x.addressable_shards[0].data.nbytes for x in jax.tree.leaves(tree))


def collectives(compiled):
    """How many results of each kind of communication a program has."""
    found = dict[str, int]()
    for results, kind in re.findall(
        r"= (.*?) (all-\w+|reduce-scatter|collective-permute)(?:-start)?\(", compiled.as_text()
    ):
        found[kind] = found.get(kind, 0) + len(re.findall(r"\w+\[", results))
    return found


def test_the_largest_dimension_that_the_axis_divides():
    params = put(make_params(shapes=SHAPES), mesh_of(AxisType.Auto))
    found = specs_of(PLACED.init(params)[0].mu)
    cut = {"matrix": ("data", None), "wide": (None, "data"), "bias": ("data",)}
    assert found == cut | {"odd": (None,), "one": ()}, "what nothing divides lies as its parameter"


@KINDS
def test_what_the_parameter_uses_stays_its_own(kind):
    mesh = mesh_of(kind, (2, 2, 2), ("data", "fsdp", "model"))
    lies = {"matrix": ("model",), "wide": (None, "fsdp"), "bias": ("data",)}
    params = put(make_params(shapes=SHAPES), mesh, **lies)
    for axes, cut in (
        ("data", {"matrix": ("model", "data"), "wide": ("data", "fsdp"), "bias": ("data",)}),
        (("data", "fsdp"), {"matrix": ("model", ("data", "fsdp")), "wide": ("data", "fsdp"), "bias": ("data",)}),
    ):
        tx = gradtx.placed(gradtx.adam(0.1), gradtx.over(axes))
        assert specs_of(tx.init(params)[0].mu) == cut | {"odd": (None,), "one": ()}
        check_lying(tx.init(params), gradtx.state_sharding(tx, params))


@KINDS
def test_a_device_keeps_its_part_and_the_run_is_the_same(kind):
    mesh = mesh_of(kind)
    shapes = {"w": (16, 4), "v": (3, 8)}
    params, grads = make_params(shapes=shapes), make_grads(3, shapes=shapes)
    ours, theirs = put(params, mesh), params
    state, wanted = PLACED.init(ours), gradtx.adam(0.1).init(theirs)
    count = 4
    assert per_device(state) - count == (per_device(wanted) - count) // DEVICES
    lay, kept = specs_of(ours), jax.tree.map(lambda x: x.sharding, state)
    step = jax.jit(gradtx.step, donate_argnums=(1, 2))
    for k in range(3):
        ours, state = step(PLACED, ours, state, put(at(grads, k), mesh))
        theirs, wanted = gradtx.step(gradtx.adam(0.1), theirs, wanted, at(grads, k))
        assert specs_of(ours) == lay
        check_lying(state, kept)
    chex.assert_trees_all_close(*jax.device_get((ours, theirs)), rtol=1e-5, atol=1e-6)
    chex.assert_trees_all_close(*jax.device_get((state, wanted)), rtol=1e-5, atol=1e-6)


@KINDS
@pytest.mark.parametrize("mesh_is_set", [False, True], ids=["", "set"])
def test_whoever_makes_the_state(kind, mesh_is_set):
    """Eagerly, compiled, and from shapes alone."""
    mesh = mesh_of(kind)
    params = put(make_params(shapes=SHAPES), mesh)
    types = jax.tree.map(lambda p: jax.ShapeDtypeStruct(p.shape, p.dtype, sharding=p.sharding), params)
    wanted = gradtx.state_sharding(PLACED, types)
    with jax.set_mesh(mesh) if mesh_is_set else contextlib.nullcontext():
        for state in (PLACED.init(params), jax.jit(PLACED.init)(params), PLACED.init(types)):
            check_lying(state, wanted)


def test_slots_by_name_in_whatever_is_around_them():
    params = put(make_params(shapes={"w": (8, 2)}), mesh_of(AxisType.Auto))
    inner = gradtx.chain(gradtx.clip(1.0), gradtx.accumulate(gradtx.masked(gradtx.adam(0.1), True), 2))
    state = gradtx.placed(inner, nu=gradtx.over("data")).init(params)
    assert specs_of(gradtx.find_state(state, "nu")) == {"w": ("data", None)}
    assert specs_of(gradtx.find_state(state, "mu")) == {"w": (None, None)}
    every = gradtx.placed(inner, gradtx.over("data")).init(params)
    assert specs_of(gradtx.find_state(every, "acc_grads")) == {"w": ("data", None)}


def test_beside_stored_and_on_packed_parameters():
    mesh = mesh_of(AxisType.Auto)
    packed = gradtx.pack(put({"a": jnp.ones((8, 3)), "b": jnp.ones((8, 3))}, mesh))
    tx = gradtx.placed(gradtx.stored(gradtx.adam(0.1), "bfloat16"), gradtx.over("data"))
    state = tx.init(packed)
    slots = [x for x in jax.tree.leaves(state) if x.ndim]
    assert [(x.dtype.name, x.sharding.spec) for x in slots] == [("bfloat16", P(None, "data", None))] * 2
    new, after = jax.jit(gradtx.step)(tx, packed, state, packed)
    check_lying((new, after), (packed, state))


@KINDS
def test_a_step_gathers_what_it_adds_and_no_more(kind):
    mesh = mesh_of(kind)
    params = put({f"w{k}": jnp.ones((128, 128)) for k in range(3)}, mesh)
    state = PLACED.init(params)
    donating = jax.jit(gradtx.step, donate_argnums=(1, 2)).lower(PLACED, params, state, params).compile()
    assert collectives(donating) == {"all-gather": 3}
    update = jax.jit(PLACED.update).lower(params, state, params).compile()
    assert collectives(update) == {"all-gather": 3}
    if kind == AxisType.Auto:
        # Parts alone: new parameters are gathered into the memory of the old ones.
        whole = sum(p.nbytes for p in params.values())
        assert donating.memory_analysis().temp_size_in_bytes < whole / 2
        cut = put({f"w{k}": jnp.ones((128, 128)) for k in range(3)}, mesh, **dict.fromkeys(params, ("data",)))
        assert collectives(jax.jit(gradtx.step).lower(PLACED, params, state, cut).compile()) == {"all-gather": 3}


def test_gradients_of_data_in_parallel_are_summed_once():
    mesh = mesh_of(AxisType.Auto)
    params = put({"w": jnp.ones((64, 64))}, mesh)
    batch = jax.device_put(jnp.ones((32, 64)), NamedSharding(mesh, P("data")))

    def train(tx, params, state, batch):
        return gradtx.step(tx, params, state, jax.grad(lambda p: jnp.mean(jnp.tanh(batch @ p["w"]) ** 2))(params))

    compiled = jax.jit(train).lower(PLACED, params, PLACED.init(params), batch).compile()
    found = collectives(compiled)
    assert found.pop("all-gather") == 1
    assert found in ({"all-reduce": 1}, {"reduce-scatter": 1})


@pytest.mark.parametrize(
    "grad", [lambda p, g: g, lambda p, g: p - g, lambda p, g: g @ (g.T @ p)], ids=["", "same", "dot"]
)
def test_loops_do_not_cut_parameters(grad):
    """How a loop's parameters lie is XLA's to decide, from all that is computed from them and theirs."""
    mesh = mesh_of(AxisType.Auto)
    params = put({"w": jnp.ones((8, 16))}, mesh)
    state = PLACED.init(params)

    def run(tx, params, state, g):
        body = lambda c, _: (gradtx.step(tx, *c, jax.tree.map(lambda p: grad(p, g), c[0])), None)
        return jax.lax.scan(body, (params, state), None, length=2)[0]

    g = jax.device_put(jnp.ones((8, 16)), NamedSharding(mesh, P()))
    check_lying(jax.jit(run)(PLACED, params, state, g), (params, state))


def test_two_calls_of_one_compiled_step_have_nothing_to_do_with_each_other():
    mesh = mesh_of(AxisType.Auto, (4, 2), ("data", "model"))
    one, other = put({"w": jnp.ones((8, 4))}, mesh), put({"w": jnp.ones((8, 4))}, mesh, w=(None, "model"))
    step = jax.jit(gradtx.step)
    both = jax.jit(lambda tx, p, q, s, t: (step(tx, p, s, p), step(tx, q, t, q)))
    states = PLACED.init(one), PLACED.init(other)
    check_lying(both(PLACED, one, other, *states), ((one, states[0]), (other, states[1])))


@KINDS
def test_parameters_come_back_where_others_cut_the_slots(kind):
    """Without `placed`: the state's shardings are whatever the user made them."""
    params = put({"w": jnp.ones((8, 4))}, mesh_of(kind))
    tx = gradtx.adam(0.1)
    cut = jax.device_put(tx.init(params), gradtx.state_sharding(PLACED, params))
    for step in (gradtx.step, jax.jit(gradtx.step)):
        check_lying(step(tx, params, cut, params), (params, cut))
    updates, _ = jax.jit(tx.update)(params, cut, params)
    for apply in (gradtx.apply_updates, jax.jit(gradtx.apply_updates)):
        check_lying(apply(params, updates), params)
    with jax.disable_jit():
        check_lying(gradtx.apply_updates(params, updates), params)


def test_members_of_a_sweep_keep_their_parts():
    params = put({"w": jnp.ones((8, 4))}, mesh_of(AxisType.Auto))
    many = jax.vmap(lambda rate: gradtx.placed(gradtx.adam(rate), gradtx.over("data")))(jnp.array([0.1, 0.2]))
    step = jax.jit(jax.vmap(lambda tx, p, g: gradtx.step(tx, p, tx.init(p), g)[0], in_axes=(0, None, None)))
    new = step(many, params, params)["w"]
    assert new.sharding.is_fully_replicated
    chex.assert_trees_all_close(
        jax.device_get(new), 1 - np.array([0.1, 0.2])[:, None, None] * np.ones((8, 4)), rtol=1e-5
    )


def test_nothing_is_cut_where_there_is_no_mesh_or_each_device_is_alone():
    params = {"w": jnp.ones((8, 4))}
    alone = PLACED.init(params)
    assert all(isinstance(x.sharding, jax.sharding.SingleDeviceSharding) for x in jax.tree.leaves(alone))
    step = lambda p: gradtx.step(PLACED, p, PLACED.init(p), p)[0]
    mesh = mesh_of(AxisType.Auto)
    parts = jax.jit(jax.shard_map(step, mesh=mesh, in_specs=P("data"), out_specs=P("data")))
    chex.assert_trees_all_close(jax.device_get(parts(put(params, mesh, w=("data",)))), step(params), rtol=1e-6)
    assert not re.search("gradtx_(wall|tie)", str(jax.make_jaxpr(step)(params)))


def test_an_axis_that_shard_map_leaves_to_xla():
    mesh = mesh_of(AxisType.Auto, (2, 4), ("member", "data"))
    params = put({"w": jnp.ones((2, 8, 4))}, mesh, w=("member",))
    step = lambda p: gradtx.step(PLACED, p, PLACED.init(p), p)[0]
    run = jax.shard_map(step, mesh=mesh, in_specs=P("member"), out_specs=P("member"), axis_names={"member"})
    new = jax.jit(run)(params)["w"]
    chex.assert_trees_all_close(jax.device_get(new), np.full((2, 8, 4), 0.9), rtol=1e-5)


def test_errors():
    params = put({"w": jnp.ones((8, 4))}, mesh_of(AxisType.Auto))
    with pytest.raises(ValueError, match="over: the mesh has no axis 'model'; it has data"):
        gradtx.placed(gradtx.adam(0.1), gradtx.over("model")).init(params)
    with pytest.raises(ValueError, match="placed: adam has no slot trace; it has mu, nu"):
        gradtx.placed(gradtx.adam(0.1), trace=gradtx.over("data")).init(params)
    with pytest.raises(ValueError, match="wanted one placement for all slots, got 2"):
        gradtx.placed(gradtx.adam(0.1), gradtx.over("data"), gradtx.over("data"))
    with pytest.raises(TypeError, match=r'must be a placement such as over\("data"\)'):
        gradtx.placed(gradtx.adam(0.1), "data")
    for axis in (("data", "data"), (), 3):
        with pytest.raises(TypeError, match="over: axis must be the name of an axis of the mesh, or a tuple of names"):
            gradtx.over(axis)
