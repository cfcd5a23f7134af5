"""Slots in codes wherever a transformation stands: near the same steps, resumed to the bit, cut, packed, refused."""

import pickle
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import gradtx
from gradtx.core.codecs.blocks import _in_blocks  # pyright: ignore[reportPrivateUsage]
from gradtx.core.codecs.coded import codec, is_coded, kind, opened
from gradtx.core.codecs.grid import Grid
from tests.support import at, make_grads, make_params, stacked, types_of

SHAPES = {"w": (8, 16), "v": (8, 16), "b": (16,), "s": ()}
PARAMS, GRADS = make_params(shapes=SHAPES), make_grads(4, shapes=SHAPES)
stored: Any = gradtx.stored
CODEC = gradtx.int8(8, rounding="stochastic", smallest=8)
ADAM = gradtx.adam(0.1)
TXS = {
    "chain": gradtx.stored(gradtx.chain(gradtx.clip_by_global_norm(1.0), gradtx.adamw(0.1)), CODEC),
    "log8": gradtx.stored(ADAM, gradtx.log8(smallest=8)),
    "log4": gradtx.stored(ADAM, gradtx.log4(smallest=8)),
    "within": gradtx.chain(gradtx.clip(1.0), gradtx.stored(gradtx.scale_by_adam(), mu=CODEC), gradtx.scale_by_lr(0.1)),
    "partition": gradtx.stored(gradtx.partition({"a": ADAM, "s": gradtx.sgd(0.1, 0.9)}, {"w": "a", "**": "s"}), CODEC),
    "masked": gradtx.stored(gradtx.masked(ADAM, "w"), CODEC),
    "accumulate": gradtx.stored(gradtx.accumulate(ADAM, 2), CODEC),
    "ema_params": gradtx.stored(gradtx.ema_params(ADAM), CODEC),
    "lbfgs": gradtx.stored(gradtx.chain(gradtx.scale_by_lbfgs(2), gradtx.scale_by_lr(0.1)), CODEC),
    "schedule_free": gradtx.stored(gradtx.schedule_free_adamw(0.1), CODEC),
    "muon": gradtx.stored(gradtx.muon(0.1), CODEC),
    "patterns": gradtx.stored(ADAM, {"w": CODEC, "v": "bfloat16"}),
}
# Some of each kind; all of them with --slow.
RUN = ("log8", "log4", "partition", "accumulate", "schedule_free")
few = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in RUN else [pytest.mark.exhaustive]) for name in TXS]
)


def run(tx, params, state, grads):
    def step(carry, g):
        params, state = carry
        return gradtx.step(tx, params, state, g), None

    return jax.lax.scan(step, (params, state), grads)[0]


running = jax.jit(run)


def halves():
    return tuple(jax.tree.map(lambda x, k=k: x[k : k + 2], GRADS) for k in (0, 2))


@few
def test_a_scan_is_near_that_of_numbers_and_resumes_to_the_bit(name):
    tx = TXS[name]
    inner = gradtx.stored(tx, "float32")  # the outer one counts
    state, (first, second) = tx.init(PARAMS), halves()
    assert any(map(is_coded, jax.tree.leaves(state, is_leaf=is_coded)))
    middle = jax.jit(run, donate_argnums=2)(tx, PARAMS, tx.init(PARAMS), first)
    assert types_of(middle[1]) == types_of(state)
    wanted = running(tx, *middle, second)
    again = pickle.loads(pickle.dumps(middle[1]))
    chex.assert_trees_all_equal(running(tx, middle[0], again, second), wanted)
    restored, report = gradtx.restore(state, gradtx.state_dict(again))
    assert not report.missing and not report.unused and types_of(restored) == types_of(state)
    if name != "muon":  # stacks of matrices are saved leaf by leaf, as numbers
        assert not report.recoded
        chex.assert_trees_all_equal(restored, again)
    plain = run(inner, PARAMS, inner.init(PARAMS), GRADS)[0]
    for moved, x, p in zip(*map(jax.tree.leaves, (wanted[0], plain, PARAMS)), strict=True):
        assert jnp.linalg.norm(moved - x) <= (0.6 if name == "log4" else 0.2) * jnp.linalg.norm(x - p)


def test_packed_parameters_are_trained_as_those_they_are():
    packed, tx = gradtx.pack(PARAMS), gradtx.stored(ADAM, gradtx.int8(8, smallest=0))
    grads = packed.like(at(GRADS, 0))
    wanted, state = gradtx.step(tx, PARAMS, tx.init(PARAMS), at(GRADS, 0))
    found, packed_state = gradtx.step(tx, packed, tx.init(packed), grads)
    chex.assert_trees_all_close(found.unpack(), wanted, rtol=1e-6)
    ours, theirs = gradtx.state_dict(packed_state), gradtx.state_dict(state)
    assert list(ours) == list(theirs)
    chex.assert_trees_all_close(ours, theirs, rtol=1e-6)
    restored, report = gradtx.restore(tx.init(packed), theirs)
    assert types_of(restored) == types_of(packed_state) and not report.recoded
    chex.assert_trees_all_close(restored, packed_state, rtol=1e-6)


ALIKE = make_params(shapes={"w": (4, 6), "v": (4, 6), "s": (), "r": ()})
ROUGH = gradtx.int8(4, rounding="stochastic", smallest=0)
WAYS = {"all": ROUGH, "apart": {"w": ROUGH, "s": ROUGH}, "dtypes": {"w": "bfloat16", "r": "float16"}}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(
    "inner",
    [
        gradtx.scale_by_adam(),
        # As many steps in memory as there are items in a stack: shapes do not tell which axis is which.
        gradtx.scale_by_lbfgs(2),
        gradtx.scale_by_lbfgs(3),
        pytest.param(gradtx.accumulate(ADAM, 2), marks=pytest.mark.exhaustive),
        pytest.param(gradtx.lookahead(gradtx.sgd(0.1), 2, 0.5), marks=pytest.mark.exhaustive),
    ],
    ids=repr,
)  # fmt: skip
def test_slots_of_some_of_the_parameters_that_are_packed_together(inner, way):
    """They are kept in finer stacks than the parameters, whatever a transformation keeps."""
    packed, tx = gradtx.pack(ALIKE), gradtx.stored(inner, way)
    grads = make_grads(3, shapes={name: x.shape for name, x in ALIKE.items()})
    step = jax.jit(lambda params, state, g: gradtx.step(tx, params, state, g))
    wanted, state = ALIKE, tx.init(ALIKE)
    found, packed_state = packed, tx.init(packed)
    for k in range(3):
        wanted, state = step(wanted, state, at(grads, k))
        found, packed_state = step(found, packed_state, packed.like(at(grads, k)))
    chex.assert_trees_all_close(found.unpack(), wanted, rtol=1e-5, atol=1e-6)
    assert types_of(packed_state) == types_of(tx.init(packed))
    ours, theirs = gradtx.state_dict(packed_state), gradtx.state_dict(state)
    assert list(ours) == list(theirs)
    chex.assert_trees_all_equal_shapes_and_dtypes(ours, theirs)
    restored, report = gradtx.restore(jax.eval_shape(tx.init, packed), theirs)
    assert types_of(restored) == types_of(packed_state) and not report.recoded


def test_a_sweep_is_as_single_runs():
    make = lambda rate: gradtx.stored(gradtx.adam(rate), CODEC)
    txs, g = [make(rate) for rate in (0.1, 0.01)], halves()[0]
    one = lambda tx: run(tx, PARAMS, tx.init(PARAMS), g)
    together = jax.jit(jax.vmap(one))(stacked(txs))
    for k, tx in enumerate(txs):
        # The very codes: all that is random is the steps', and the codes' before.
        chex.assert_trees_all_close(at(together, k), jax.jit(one)(tx), rtol=1e-6)


@pytest.mark.parametrize(
    ("axes", "codec"),
    [(AxisType.Auto, CODEC), (AxisType.Auto, gradtx.log4(smallest=8)), (AxisType.Explicit, gradtx.log8(smallest=8))],
    ids=["int8", "log4", "explicit"],
)
def test_on_a_mesh_it_is_as_on_one_device(axes, codec):
    mesh = jax.make_mesh((4, 2), ("x", "y"), axis_types=(axes, axes))
    lying = {name: NamedSharding(mesh, P(*cut)) for name, cut in {"w": "x", "v": (), "b": "y", "s": ()}.items()}
    params, grads = (jax.device_put(jax.tree.map(np.asarray, tree), lying) for tree in (PARAMS, at(GRADS, 0)))
    tx = gradtx.placed(gradtx.stored(ADAM, codec), gradtx.over("x"))
    state, wanted = tx.init(params), gradtx.state_sharding(tx, params)
    step = jax.jit(lambda p, s, g: gradtx.step(tx, *gradtx.step(tx, p, s, g), g))
    new, after = step(params, state, grads)
    for tree, lies in ((new, lying), (state, wanted), (after, wanted)):
        for x, lie in zip(*map(jax.tree.leaves, (tree, lies)), strict=True):
            assert x.sharding.is_equivalent_to(lie, x.ndim), (x.sharding, lie)
    assert "x" in gradtx.find_state(state, "mu/v").arrays["codes"].sharding.spec
    alone = step(PARAMS, tx.init(PARAMS), at(GRADS, 0))
    chex.assert_trees_all_close(
        *jax.device_get(((new, opened(after)), (alone[0], opened(alone[1])))), rtol=1e-4, atol=1e-5
    )


def test_in_shard_map_each_part_is_as_if_alone():
    mesh, tx = jax.make_mesh((2,), ("x",), axis_types=(AxisType.Auto,)), TXS["log8"]
    parts = [make_params(seed=k, shapes=SHAPES) for k in range(2)]
    params, g = jax.tree.map(lambda *xs: jnp.stack(xs), *parts), halves()[0]

    def one(params):
        return jax.tree.map(lambda x: x[None], run(tx, at(params, 0), tx.init(at(params, 0)), g))

    found = jax.jit(jax.shard_map(one, mesh=mesh, in_specs=P("x"), out_specs=P("x")))(params)
    for k, part in enumerate(parts):
        chex.assert_trees_all_close(at(found, k), running(tx, part, tx.init(part), g), rtol=1e-4, atol=1e-5)


def linear():
    """A codec of equal steps from 0 to 1, which is not in the package."""
    grid = Grid(0, 255, lambda code: code / 255.0, lambda x: jnp.floor(x * 255))
    return codec(lambda: _in_blocks(grid, grid, 256, "nearest", 0))()


@pytest.mark.parametrize(
    ("kept", "trained"), [(gradtx.int8(smallest=0), True), (linear(), False)], ids=["dynamic", "linear"]
)
def test_in_equal_steps_the_second_moment_lets_training_diverge(kept, trained):
    """Beside large gradients small ones become 0 in it, and are divided by epsilon; in decades they do not."""
    size = 10.0 ** -jnp.linspace(0, 2.5, 256)
    tx, params = gradtx.stored(gradtx.adam(0.01), nu=kept), jnp.ones(256)

    def step(carry, _):
        params, state = carry
        return gradtx.step(tx, params, state, size * params), None

    (params, _), _ = jax.jit(lambda p: jax.lax.scan(step, (p, tx.init(p)), length=100))(params)
    assert bool(jnp.all(jnp.abs(params) < 1)) == trained
    assert trained or jnp.max(jnp.abs(params)) > 10


def test_a_derivative_by_a_hyperparameter_passes_by_the_scales_alone():
    """They carry a factor of the whole slot; codes are as constants, and log8 has nothing else."""

    def loss(tx):
        params, state = PARAMS["w"], tx.init(PARAMS["w"])
        for k in range(2):
            params, state = gradtx.step(tx, params, state, GRADS["w"][k])
        return jnp.sum(params**2)

    tx = gradtx.sgd(0.1, 0.9, dampening=0.5)
    of = jax.jit(lambda tx: gradtx.hyperparameters(jax.grad(loss)(tx)))
    plain = of(tx)
    for kept, passes in ((gradtx.int8(smallest=0), True), (gradtx.log8(rounding="nearest", smallest=0), False)):
        found = of(gradtx.stored(tx, kept))
        # The second step's own factor is there in either case.
        near = abs(found["inner.dampening"] / plain["dampening"] - 1) < 0.05
        assert near == passes and np.isfinite(list(found.values())).all()


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: gradtx.stored(ADAM, mu="int9"), TypeError, "stored: mu must be a floating-point dtype, a codec"),
        (lambda: gradtx.stored(ADAM, mu=8), TypeError, "stored: mu must be .* got 8"),
        (lambda: gradtx.stored(ADAM, gradtx.int8), TypeError, r"stored: codecs\[0\] must be a floating-point dtype"),
        (lambda: gradtx.stored(ADAM, ADAM), TypeError, r"stored: codecs\[0\] must be a floating-point dtype"),
        (lambda: gradtx.stored(ADAM, mu={"w": {"v": CODEC}}), TypeError, "stored: mu must be"),
        (lambda: gradtx.stored(ADAM, mu={"w": 3}), TypeError, r"stored: mu\['w'\] must be"),
        (lambda: gradtx.stored(ADAM, CODEC, CODEC), ValueError, "one codec for all slots, got 2"),
        (lambda: gradtx.stored(ADAM, trace=CODEC).init(PARAMS), ValueError, "no slot trace; it has mu, nu"),
        (lambda: gradtx.stored(gradtx.sgd(0.1), mu=CODEC).init(PARAMS), ValueError, "no slot mu; it has none"),
        (lambda: gradtx.stored(ADAM, {"x/**": CODEC}).init(PARAMS), ValueError, r"pattern 'x/\*\*' matches no"),
        (lambda: stored(CODEC), TypeError, "stored: inner must be"),
        (lambda: gradtx.stored(ADAM, CODEC).update(PARAMS, ADAM.init({"w": 1.0}), PARAMS), ValueError, "scale_by_adam"),
    ],
)  # fmt: skip
def test_what_is_refused(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_a_dtype_of_8_bits_is_its_codec():
    assert gradtx.stored(ADAM, "float8_e5m2") == gradtx.stored(ADAM, gradtx.float8("float8_e5m2"))
    assert repr(gradtx.stored(ADAM, mu=gradtx.int8(64))).endswith("mu=int8(block=64))")


def test_small_slots_stay_numbers():
    state = gradtx.stored(ADAM, CODEC).init(PARAMS)
    assert types_of(opened(state)) == types_of(ADAM.init(PARAMS))
    assert [is_coded(state[0].mu[name]) for name in ("w", "v", "b", "s")] == [True, True, True, False]


def test_states_go_together_whoever_made_them():
    tx = gradtx.stored(ADAM, gradtx.int8(8, smallest=0))
    state = tx.init(PARAMS)
    kind.cache_clear()
    assert jax.tree.structure(state) == jax.tree.structure(tx.init(PARAMS))
    assert not gradtx.restore(tx.init(PARAMS), gradtx.state_dict(state))[1].recoded
