"""State dictionaries, and their way into the state of a changed chain."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.catalogue import ROWS
from tests.support import at, make_grads, make_params, plain, types_of

PARAMS = {"layer1": {"w": jnp.ones((2, 3)), "b": jnp.ones(3)}, "layers": [jnp.ones(2), jnp.ones(4)]}
SLOTS = ["layer1/b", "layer1/w", "layers/0", "layers/1"]


def trained(tx, params=PARAMS):
    return gradtx.step(tx, params, tx.init(params), params)[1]


def test_names():
    saved = gradtx.state_dict(gradtx.adam(0.1).init(PARAMS))
    slots = [f"scale_by_adam/{field}/{name}" for field in ("mu", "nu") for name in SLOTS]
    assert list(saved) == ["scale_by_adam/count", *slots]
    assert saved["scale_by_adam/mu/layer1/w"].shape == (2, 3)


def test_names_are_numbered_only_where_they_would_clash():
    tx = gradtx.chain(gradtx.clip(1.0), gradtx.adam(0.1), gradtx.sgd(0.1, 0.9), gradtx.adam(0.1))
    names = {name.split("/mu")[0] for name in gradtx.state_dict(tx.init(PARAMS)) if "/mu/" in name}
    assert names == {"0/scale_by_adam", "1/scale_by_adam"}
    assert "trace/trace/layers/0" in gradtx.state_dict(tx.init(PARAMS))


def test_keys_with_slashes():
    assert len(gradtx.state_dict(gradtx.sgd(0.1, 0.9).init({"a/b": jnp.ones(2), "c": {"b": jnp.ones(2)}}))) == 2
    clash = gradtx.state_dict(gradtx.sgd(0.1, 0.9).init({"a/b": jnp.ones(2), "a": {"b": jnp.ones(3)}}))
    assert {x.shape for x in clash.values()} == {(2,), (3,)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_state_has_unique_names_and_comes_back(row):
    params = make_params()
    state = row.tx.init(params)
    saved = gradtx.state_dict(state)
    assert len(saved) == len(jax.tree.leaves(state))
    restored, report = gradtx.restore(state, saved)
    assert not report.missing and not report.unused
    assert types_of(restored) == types_of(state)
    chex.assert_trees_all_equal(plain(restored), plain(state))


CHANGED = {
    "clipping added": (gradtx.chain(gradtx.clip_by_global_norm(1.0), gradtx.adam(0.1)), [], []),
    "adamw": (gradtx.adamw(0.2), [], []),
    "order": (gradtx.chain(gradtx.scale_by_lr(0.1), gradtx.scale_by_adam()), [], []),
    "nested": (gradtx.chain(gradtx.chain(gradtx.adam(0.1)), gradtx.ema(0.9)), ["ema/"], []),
    "schedule": (gradtx.adam(gradtx.linear_schedule(0.1, 0.2, 3)), [], []),
    "sgd": (gradtx.sgd(0.1, 0.9), ["trace/"], ["scale_by_adam/"]),
}


@pytest.mark.parametrize("change", CHANGED)
def test_into_a_changed_chain(change):
    tx, missing, unused = CHANGED[change]
    saved = gradtx.state_dict(trained(gradtx.adam(0.1)))
    patterns = [f"{name}**" for name in missing]
    state, report = gradtx.restore(
        tx.init(PARAMS), {k: np.asarray(v) for k, v in saved.items()}, allow_missing=patterns
    )
    if missing:
        with pytest.raises(
            ValueError, match=rf"restore: {missing[0]}.* not saved; let it start anew with allow_missing="
        ):
            gradtx.restore(tx.init(PARAMS), saved)
    chex.assert_trees_all_equal_structs(state, tx.init(PARAMS))
    now = gradtx.state_dict(state)
    for name in report.restored:
        assert (now[name] == saved[name]).all()
    assert set(report.restored) | set(report.unused) == set(saved)
    assert all(any(name.startswith(m) for m in missing) for name in report.missing) and bool(report.missing) == bool(
        missing
    )
    assert all(any(name.startswith(u) for u in unused) for name in report.unused) and bool(report.unused) == bool(
        unused
    )
    jax.jit(tx.update)(PARAMS, state, PARAMS)


def test_report_prints():
    report = gradtx.restore(gradtx.sgd(0.1, 0.9).init(jnp.ones(2)), {"other": jnp.ones(3)}, allow_missing="**")[1]
    assert str(report) == "restored: (none)\nmissing: trace/trace\nunused: other"


def test_another_shape_or_kind_is_an_error():
    state = gradtx.adam(0.1).init(PARAMS)
    with pytest.raises(ValueError, match=r"restore: scale_by_adam/mu/layers/0 has shape \(2,\), the saved one \(3,\)"):
        gradtx.restore(state, {"scale_by_adam/mu/layers/0": jnp.ones(3)})
    with pytest.raises(ValueError, match="restore: scale_by_adam/count is int32, the saved one float32"):
        gradtx.restore(state, {"scale_by_adam/count": jnp.ones(())})


def test_restored_arrays_have_the_dtypes_of_the_state_and_no_shared_buffers():
    saved = gradtx.state_dict(trained(gradtx.adam(0.1)))
    state = gradtx.stored(gradtx.adam(0.1), mu="bfloat16").init(PARAMS)
    restored = gradtx.restore(state, saved)[0]
    assert types_of(restored) == types_of(state)
    pointers = {x.unsafe_buffer_pointer() for x in jax.tree.leaves(restored)}
    assert pointers.isdisjoint(x.unsafe_buffer_pointer() for x in saved.values())


def test_shapes_alone_can_be_filled_on_a_mesh():
    mesh = jax.make_mesh((2,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
    place = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
    params = jax.device_put({"w": jnp.arange(4.0)}, place)
    tx = gradtx.adam(0.1)
    saved = {k: np.asarray(v) for k, v in gradtx.state_dict(trained(tx, params)).items()}
    shardings = gradtx.state_sharding(tx, params)
    shapes = jax.tree.map(
        lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), jax.eval_shape(tx.init, params), shardings
    )
    restored = gradtx.restore(shapes, saved)[0]
    assert gradtx.find_state(restored, "mu/w").sharding == place
    jax.jit(tx.update)(params, restored, params)
    jax.jit(tx.update)(params, gradtx.restore(tx.init(params), saved)[0], params)


def test_training_goes_on_as_before():
    grads, tx = make_grads(4), gradtx.adam(0.01)
    params, state = make_params(), tx.init(make_params())
    for i in range(4):
        if i == 2:
            state = gradtx.restore(tx.init(params), gradtx.state_dict(state))[0]
        params, state = gradtx.step(tx, params, state, at(grads, i))
    wanted, kept = make_params(), tx.init(make_params())
    for i in range(4):
        wanted, kept = gradtx.step(tx, wanted, kept, at(grads, i))
    chex.assert_trees_all_equal((params, state), (wanted, kept))


@pytest.mark.parametrize("allowed", [True, 5, None, ["monitor/**", 3], b"monitor/**"])
def test_what_is_no_pattern_is_refused(allowed):
    tx, params = gradtx.adam(0.1), {"w": jnp.ones(2)}
    saved = gradtx.state_dict(tx.init(params))
    with pytest.raises(TypeError, match="restore: allow_missing must be a pattern on names, or several, got"):
        gradtx.restore(tx.init(params), saved, allow_missing=allowed)
    for wrong in (None, tx.init(params), [saved]):
        with pytest.raises(TypeError, match="restore: saved must be arrays by name, as from state_dict, got"):
            gradtx.restore(tx.init(params), wrong)
