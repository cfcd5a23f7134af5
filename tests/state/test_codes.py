"""States in codes: their names, their way into files and other codecs, and parameters that change."""

import copy
import pickle
from functools import cache
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core.codecs.coded import is_coded, opened
from tests.support import types_of

OLD: dict[str, Any] = {"body": {"w": jnp.ones((3, 6)), "b": jnp.ones(6)}, "head": jnp.ones((2, 4))}
CODECS = {
    "int8": gradtx.int8(4, smallest=8),
    "random": gradtx.int8(4, rounding="stochastic", smallest=8),
    "companded": gradtx.int8(4, map="companded", smallest=8),
    "int4": gradtx.int4(4, smallest=8),
    "float8": gradtx.float8("float8_e5m2", smallest=8),
    "log8": gradtx.log8(smallest=8),
    "log4": gradtx.log4(smallest=8),
}
every_codec = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
ADAM, CODEC = gradtx.adam(0.1), CODECS["random"]
CODED = gradtx.stored(ADAM, CODEC)


def grads_of(params):
    return jax.tree.map(lambda p: jnp.sin(jnp.arange(1.0, 1 + p.size)).reshape(p.shape), params)


def trained(tx, params=OLD):
    return after_two_steps(tx) if params is OLD else two_steps(tx, params)


@cache
def after_two_steps(tx):
    """Of the old parameters: what most tests begin with, which none of them changes."""
    return two_steps(tx, OLD)


def two_steps(tx, params):
    state = tx.init(params)
    for _ in range(2):
        params, state = gradtx.step(tx, params, state, grads_of(params))
    return state


def step(params, state, g):
    return gradtx.step(CODED, params, state, g)


def coded_in(state):
    return [x for x in jax.tree.leaves(state, is_leaf=is_coded) if is_coded(x)]


def names_kept(before, after):
    """The names of the arrays that are the same objects, but for those that say what the codecs are."""
    before, after = map(gradtx.state_dict, (before, after))
    return {name for name in after if name in before and after[name] is before[name]}


def arrays_of(state):
    return {name for name in gradtx.state_dict(state) if not name.endswith("/codec")}


def test_names():
    found = list(gradtx.state_dict(trained(gradtx.stored(ADAM, mu=CODEC))))
    of = lambda name: [f"scale_by_adam/mu/{name}/{part}" for part in ("codes", "scales", "codec")]
    small = [f"scale_by_adam/{slot}" for slot in ("nu/body/b", "nu/body/w", "nu/head")]
    assert found == ["scale_by_adam/count", "scale_by_adam/mu/body/b", *of("body/w"), *of("head"), *small]
    counted = gradtx.state_dict(gradtx.stored(gradtx.scale_by_momentum(0.9), CODEC).init(OLD))
    assert [name.removeprefix("trace/trace/head/") for name in counted if "/head/" in name] == [
        "codes", "scales", "count", "codec",
    ]  # fmt: skip


@every_codec
def test_what_is_saved_comes_back_by_way_of_a_file(codec, tmp_path):
    tx = gradtx.stored(ADAM, codec)
    state = trained(tx)
    named: dict[str, Any] = gradtx.state_dict(state)
    np.savez(tmp_path / "state.npz", **named)
    with np.load(tmp_path / "state.npz") as saved:
        restored, report = gradtx.restore(tx.init(OLD), saved)
    assert types_of(restored) == types_of(state)
    chex.assert_trees_all_equal(restored, state)
    assert (report.missing, report.unused, report.recoded) == ((), (), ())
    assert set(report.restored) >= {"scale_by_adam/count", "scale_by_adam/mu/head", "scale_by_adam/nu/body/b"}
    chex.assert_trees_all_equal(gradtx.step(tx, OLD, restored, OLD), gradtx.step(tx, OLD, state, OLD))


@every_codec
def test_into_codes_from_numbers_and_back(codec):
    plain, tx = trained(ADAM), gradtx.stored(ADAM, codec)
    names = tuple(f"scale_by_adam/{slot}/{name}" for slot in ("mu", "nu") for name in ("body/w", "head"))
    inside, report = gradtx.restore(tx.init(OLD), gradtx.state_dict(plain))
    assert types_of(inside) == types_of(tx.init(OLD)) and report.recoded == names
    outside, report = gradtx.restore(ADAM.init(OLD), gradtx.state_dict(inside))
    assert types_of(outside) == types_of(plain) and report.recoded == names
    chex.assert_trees_all_equal(outside, opened(inside))
    share = 1 / 3 if codec == CODECS["log4"] else 0.2  # of which an octave's middle is from its ends
    for x, y in zip(jax.tree.leaves(outside), jax.tree.leaves(plain), strict=True):
        chex.assert_trees_all_close(x, y, atol=share * float(jnp.max(jnp.abs(y))))
    assert "recoded: scale_by_adam/mu/body/w" in str(report)


@pytest.mark.parametrize("other", [name for name in CODECS if name != "int8"])
def test_into_another_codec(other):
    state, tx = trained(gradtx.stored(ADAM, CODECS["int8"])), gradtx.stored(ADAM, CODECS[other])
    restored, report = gradtx.restore(tx.init(OLD), gradtx.state_dict(state))
    assert types_of(restored) == types_of(tx.init(OLD)) and len(report.recoded) == 4
    wanted = jax.tree.map(lambda x, y: y.again(x) if is_coded(y) else x, opened(state), tx.init(OLD))
    chex.assert_trees_all_equal(opened(restored), opened(wanted))
    assert gradtx.restore(state, gradtx.state_dict(restored))[1].recoded == report.recoded


def test_a_smaller_size_is_another_codec():
    saved = gradtx.state_dict(trained(gradtx.stored(ADAM, gradtx.int8(4, smallest=0))))
    state, report = gradtx.restore(gradtx.stored(ADAM, CODECS["int8"]).init(OLD), saved)
    assert not is_coded(gradtx.find_state(state, "mu/body/b")) and "scale_by_adam/mu/body/b" in report.recoded


@pytest.mark.parametrize("words", [b'{"codec": {"name": "int9"}}', b"no words", b"[1]", b'{"codec": 3}'])
def test_an_unknown_codec_is_refused_by_name(words):
    saved = gradtx.state_dict(trained(CODED))
    saved["scale_by_adam/mu/head/codec"] = jnp.asarray(np.frombuffer(words, np.uint8))
    with pytest.raises(ValueError, match="restore: scale_by_adam/mu/head/codec is no codec that is known here"):
        gradtx.restore(CODED.init(OLD), saved)


def test_codes_of_another_shape_are_refused_by_name():
    saved = gradtx.state_dict(trained(CODED))
    with pytest.raises(ValueError, match=r"scale_by_adam/mu/head.*\(2, 4\).*\(3, 6\)"):
        gradtx.restore(
            CODED.init(OLD),
            saved | {name: saved[name.replace("head", "body/w")] for name in saved if "mu/head" in name},
        )


def test_a_key_that_is_named_as_the_parts_are():
    params = {"codes": jnp.ones((2, 4)), "codec": jnp.ones(3), "scales": {"codec": jnp.ones((2, 4))}}
    state = trained(CODED, params)
    restored, report = gradtx.restore(CODED.init(params), gradtx.state_dict(state))
    chex.assert_trees_all_equal(restored, state)
    assert (report.missing, report.unused) == ((), ())


def test_by_orbax(tmp_path):
    ocp = pytest.importorskip("orbax.checkpoint")
    state = trained(CODED)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "state", state)
    shapes = jax.tree.map(ocp.utils.to_shape_dtype_struct, CODED.init(OLD))
    with ocp.StandardCheckpointer() as checkpointer:
        restored = checkpointer.restore(tmp_path / "state", shapes)
    assert types_of(restored) == types_of(state)
    chex.assert_trees_all_equal(restored, state)


@every_codec
@pytest.mark.parametrize("way", [copy.deepcopy, copy.copy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies(codec, way):
    state = trained(gradtx.stored(ADAM, codec))
    again = way(state)
    assert types_of(again) == types_of(state)
    chex.assert_trees_all_equal(again, state)


def test_reset_starts_the_chosen_anew_and_keeps_the_very_arrays_of_others():
    state = trained(CODED)
    after = gradtx.reset(CODED, state, OLD, "head")
    assert not opened(after)[0].mu["head"].any() and opened(state)[0].mu["head"].any()
    kept = {name for name in arrays_of(state) if "/head" not in name and "count" not in name}
    assert names_kept(state, after) & arrays_of(state) >= kept
    assert types_of(jax.eval_shape(step, OLD, after, OLD)[1]) == types_of(after)


def test_extend_and_resize_keep_the_very_arrays_of_the_untouched():
    state, new = trained(CODED), OLD | {"head": jnp.ones((3, 5)), "more": jnp.ones((2, 8))}
    extended, resized = gradtx.extend(CODED, state, OLD, new), gradtx.resize(CODED, state, OLD, new)
    for after in (extended, resized):
        assert names_kept(state, after) >= {name for name in arrays_of(state) if "/body" in name}
        assert len(coded_in(after)) == 6 and not opened(after)[0].mu["more"].any()
        assert types_of(jax.eval_shape(step, new, after, new)[1]) == types_of(after)
    assert not opened(extended)[0].mu["head"].any()
    was, now = opened(state)[0].mu["head"], opened(resized)[0].mu["head"]
    chex.assert_trees_all_close(now[:2, :4], was, atol=0.02)
    assert not now[2:].any() and not now[:, 4:].any()


def test_resize_across_the_smallest_size():
    wide, narrow = {"w": jnp.ones((4, 4))}, {"w": jnp.ones((1, 4))}
    down = gradtx.resize(CODED, trained(CODED, wide), wide, narrow)
    assert types_of(down) == types_of(CODED.init(narrow)) and not coded_in(down)
    up = gradtx.resize(CODED, trained(CODED, narrow), narrow, wide)
    assert types_of(up) == types_of(CODED.init(wide)) and len(coded_in(up)) == 2


def test_map_slots_sees_numbers_and_keeps_codes():
    state, seen = trained(CODED), []
    doubled = gradtx.map_slots(lambda x, p: seen.append((x.shape, x.dtype, p.shape)) or 2 * x, CODED, state, OLD)
    assert {shape == own for shape, _, own in seen} == {True} and {dtype for _, dtype, _ in seen} == {
        jnp.dtype("float32")
    }
    assert types_of(doubled) == types_of(state)
    chex.assert_trees_all_close(opened(doubled)[0].nu, jax.tree.map(lambda x: 2 * x, opened(state)[0].nu), rtol=1e-6)
    shapes = gradtx.map_slots(lambda x, p: x.shape, CODED, state, OLD)
    assert shapes[0].mu["head"] == (2, 4)


def test_bytes():
    found = gradtx.describe(CODED, OLD)
    by_path = {p.path: p.state_bytes for p in found.parameters}
    assert by_path == {"body/b": 2 * 24, "body/w": 2 * (18 + 3 * 2 * 4), "head": 2 * (8 + 2 * 4)}
    assert found.shared_bytes == 4 and found.state_bytes == sum(by_path.values()) + 4
    params = {"w": jax.ShapeDtypeStruct((512, 1024), jnp.float32)}
    per_number = lambda codec: gradtx.describe(gradtx.stored(ADAM, codec), params).state_bytes / 2**19
    assert per_number(gradtx.int8()) < 2.1 and per_number(gradtx.int4()) < 1.1 and per_number(gradtx.log8()) < 2.001
    assert per_number(gradtx.log4()) == 1 + 2 * 8 / 1024 + 4 / 2**19


def test_what_is_found_in_a_state():
    state = trained(CODED)
    assert gradtx.find_state(state, "mu/head").codec == CODEC
    assert gradtx.find_state(state, "mu/head").shape == (2, 4)
    assert set(gradtx.find_state(state, "nu")) == {"body", "head"}


@pytest.mark.parametrize("make", [gradtx.ema_params, gradtx.swa_params, gradtx.schedule_free, gradtx.lookahead])
def test_parameters_to_evaluate_are_numbers(make):
    inner = gradtx.sgd(0.1)
    tx = {gradtx.schedule_free: lambda: make(inner, 0.1), gradtx.lookahead: lambda: make(inner, 2, 0.5)}.get(
        make, lambda: make(inner)
    )()
    for stored in (gradtx.stored(tx, CODECS["int8"]), gradtx.stored(tx, gradtx.int8(4, smallest=10**6))):
        found = gradtx.evaluation_params(trained(stored), OLD)
        assert types_of(found) == types_of(OLD)
