"""Restoring where wrappers come and go, schedules too, and from what version 0.1.0 wrote."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.state.names import entries
from tests.catalogue import ROWS, parametrized
from tests.state.written import CASES, PARAMS, STEPS, falling, read, trained
from tests.support import FEW, make_params, plain

BASE = gradtx.adam(falling())
WRAPPED = {
    "monitor": (gradtx.monitor(BASE), "monitor/**"),
    "monitors": (gradtx.monitor(gradtx.monitor(BASE)), "**/monitor/**"),
    "accumulate": (gradtx.accumulate(BASE, 1), "multi_steps/**"),
    "apply_if_finite": (gradtx.apply_if_finite(BASE, 3), "apply_if_finite/**"),
    "conditionally_mask": (gradtx.conditionally_mask(BASE, lambda step: step >= 0), ()),
    "conditionally_transform": (gradtx.conditionally_transform(BASE, lambda step: step >= 0), ()),
    "partition": (gradtx.partition({"a": BASE, "b": gradtx.adam(0.1)}, {"body/*": "a", "**": "b"}), ()),
    "masked": (gradtx.masked(BASE, True), ()),
    "selective_transform": (gradtx.selective_transform(BASE, freeze_mask=False), ()),
    "split": (gradtx.split_real_and_imaginary(BASE), ()),
    "chain": (gradtx.chain(gradtx.clip(1.0), gradtx.chain(BASE)), ()),
    "clip by a schedule": (gradtx.chain(gradtx.clip_by_global_norm(falling()), BASE), ()),
    "named_chain": (gradtx.named_chain(clip=gradtx.clip(1.0), adam=BASE), ()),
    "inject_hyperparams": (gradtx.inject_hyperparams(gradtx.adam)(falling()), "inject_hyperparams/**"),
    "inject a value": (gradtx.inject_hyperparams(BASE), "inject_hyperparams/**"),
    "lookahead": (gradtx.lookahead(BASE, 2, 0.5), "lookahead/**"),
    "ema_params": (gradtx.ema_params(BASE), "average/**"),
    "swa_params": (gradtx.swa_params(BASE), "average/**"),
    "polyak_params": (gradtx.polyak_params(BASE), "average/**"),
    "schedule_free": (gradtx.schedule_free(BASE, 0.1), "schedule_free/**"),
    "mechanize": (gradtx.mechanize(BASE), "mechanic/**"),
    "graft": (gradtx.graft(BASE, gradtx.sgd(0.1)), ()),
    "sam": (gradtx.sam(BASE), ()),
    "alternating sam": (gradtx.sam(BASE, alternate=True), "alternating_sam/**"),
    "plateau": (gradtx.chain(BASE, gradtx.reduce_on_plateau()), "**/reduce_lr_on_plateau/**"),
    "hypergradient": (gradtx.hypergradient(gradtx.scale_by_adam(), 0.1, 0.1), "hypergradient/**"),
    "deep": (
        gradtx.monitor(gradtx.accumulate(gradtx.ema_params(gradtx.masked(BASE, True)), 1)),
        ["monitor/**", "multi_steps/**", "average/**"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRAPPED)
def test_moments_and_counts_survive_wrappers_that_come_and_go(name):
    tx, allowed = WRAPPED[name]
    state = trained(BASE)
    saved = gradtx.state_dict(state)
    into, report = gradtx.restore(tx.init(PARAMS), saved, allow_missing=allowed)
    assert {n for n in report.unused if n != "scale_by_schedule/count"} == set()
    for key in ("mu", "nu"):
        found = {k.split(f"/{key}/")[1]: v for k, v in gradtx.state_dict(into).items() if f"scale_by_adam/{key}/" in k}
        chex.assert_trees_all_equal(found, {k.split(f"/{key}/")[1]: saved[k] for k in saved if f"/{key}/" in k})
    counts = {
        k: int(v) for k, v in gradtx.state_dict(into).items() if k.endswith(("scale_by_adam/count", "schedule/count"))
    }
    assert set(counts.values()) == {STEPS}, counts
    if allowed:
        with pytest.raises(ValueError, match=r"(was|were) not saved; let it start anew with allow_missing="):
            gradtx.restore(tx.init(PARAMS), saved)
    back, report = gradtx.restore(BASE.init(PARAMS), {k: np.asarray(v) for k, v in gradtx.state_dict(into).items()})
    chex.assert_trees_all_equal(back, state)
    assert not report.missing


@pytest.mark.parametrize("case", CASES)
def test_what_version_0_1_0_wrote_is_restored_in_full(case):
    tx, saved = CASES[case](), read(case)
    state, report = gradtx.restore(tx.init(PARAMS), saved)
    assert not report.missing and not report.unused and not report.counted
    # monitor measures another learning rate now: the one that was applied.
    unwatched = lambda state: state._replace(measurements={}) if hasattr(state, "measurements") else state
    chex.assert_trees_all_close(unwatched(state), unwatched(trained(tx)), rtol=2e-5)


def test_a_dropped_or_added_schedule_leaves_the_others_where_they_are():
    both = gradtx.chain(gradtx.clip_by_global_norm(falling()), BASE)
    state, report = gradtx.restore(BASE.init(PARAMS), gradtx.state_dict(trained(both)))
    assert int(gradtx.find_state(state, "scale_by_schedule/count")) == STEPS and not report.missing
    state, _ = gradtx.restore(both.init(PARAMS), gradtx.state_dict(trained(BASE)))
    assert [int(x) for x in gradtx.find_states(state, "scale_by_schedule/count").values()] == [STEPS, STEPS]
    for case in ("two schedules", "scheduled adam"):  # as 0.1.0 named them
        state, _ = gradtx.restore(BASE.init(PARAMS), read(case))
        assert int(gradtx.find_state(state, "scale_by_schedule/count")) == STEPS


def test_a_number_made_a_schedule_goes_on_at_the_runs_count_and_back():
    state, report = gradtx.restore(BASE.init(PARAMS), gradtx.state_dict(trained(gradtx.adam(0.1))))
    assert report.counted == ("scale_by_schedule/count",) and str(report).splitlines()[-1].startswith("counted: ")
    moved = gradtx.step(BASE, PARAMS, state, PARAMS)[0]
    assert float(PARAMS["head"][0] - moved["head"][0]) == pytest.approx(0.07, rel=0.05)
    back, report = gradtx.restore(gradtx.adam(0.1).init(PARAMS), gradtx.state_dict(state))
    assert report.unused == ("scale_by_schedule/count",) and int(gradtx.find_state(back, "count")) == STEPS


def test_counts_inside_an_accumulation_are_its_own():
    number, scheduled = (gradtx.monitor(gradtx.accumulate(gradtx.adam(x), 3)) for x in (0.1, falling()))
    state, _ = gradtx.restore(scheduled.init(PARAMS), gradtx.state_dict(trained(number)), allow_missing="monitor/**")
    assert int(gradtx.find_state(state, "scale_by_schedule/count")) == 1
    bare = gradtx.monitor(gradtx.accumulate(gradtx.sgd(falling()), 3))
    saved = gradtx.state_dict(trained(gradtx.monitor(gradtx.accumulate(gradtx.sgd(0.1), 3))))
    assert int(gradtx.find_state(gradtx.restore(bare.init(PARAMS), saved)[0], "scale_by_schedule/count")) == 1


def test_counts_that_differ_or_are_not_there_are_an_error_that_names_the_cure():
    saved = gradtx.state_dict(trained(gradtx.adam(0.1))) | {"monitor/count": jnp.int32(9)}
    tx = gradtx.chain(gradtx.scale_by_schedule(falling()), gradtx.accumulate(gradtx.scale_by_adam(), 1))
    wrong = r"scale_by_schedule/count was not saved, and .* differ: .*monitor/count = 9.*; add it: saved \| \{'scale_by"
    with pytest.raises(ValueError, match=wrong):
        gradtx.restore(tx.init(PARAMS), saved, allow_missing="multi_steps/**")
    given = saved | {"scale_by_schedule/count": 4}
    assert int(gradtx.restore(tx.init(PARAMS), given, allow_missing="multi_steps/**")[0][0].count) == 4
    scheduled, number = gradtx.sgd(falling(), 0.9), trained(gradtx.sgd(0.1, 0.9))
    with pytest.raises(ValueError, match="scale_by_schedule/count was not saved, and no other count of steps was"):
        gradtx.restore(scheduled.init(PARAMS), gradtx.state_dict(number))


def test_a_new_links_count_stays_at_0_beside_moments_that_are_new():
    saved = gradtx.state_dict(trained(gradtx.sgd(falling(), 0.9)))
    state, _ = gradtx.restore(BASE.init(PARAMS), saved, allow_missing="scale_by_adam/**")
    assert int(gradtx.find_state(state, "scale_by_adam/count")) == 0
    assert int(gradtx.find_state(state, "scale_by_schedule/count")) == STEPS


def test_one_of_two_alike_is_no_guess():
    saved = gradtx.state_dict(trained(gradtx.chain(gradtx.scale_by_adam(), gradtx.scale_by_adam())))
    with pytest.raises(ValueError, match=r"0/scale_by_adam/mu/body/b, 1/scale_by_adam/mu/body/b.* might be meant"):
        gradtx.restore(gradtx.scale_by_adam().init(PARAMS), saved)
    double = gradtx.chain(gradtx.scale_by_adam(), gradtx.scale_by_adam())
    with pytest.raises(ValueError, match=r"0/scale_by_adam/mu/body/b.* (was|were) not saved"):
        gradtx.restore(double.init(PARAMS), gradtx.state_dict(trained(gradtx.scale_by_adam())))


def test_counts_of_single_leaves_are_restored_through_wrappers():
    state = gradtx.reset(BASE, trained(BASE), PARAMS, "head")
    saved = {k: np.asarray(v) for k, v in gradtx.state_dict(state).items()}
    same, report = gradtx.restore(BASE.init(PARAMS), saved)
    chex.assert_trees_all_equal(same, state)
    assert not report.missing and not report.unused
    tx, allowed = WRAPPED["partition"]
    into, _ = gradtx.restore(tx.init(PARAMS), saved, allow_missing=allowed)
    chex.assert_trees_all_close(tx.update(PARAMS, into, PARAMS)[0]["head"], -0.1 * jnp.ones(3), rtol=1e-5)
    back, _ = gradtx.restore(BASE.init(PARAMS), gradtx.state_dict(into))
    chex.assert_trees_all_equal(back, state)


def test_files_of_numpy_keep_bfloat16_and_keys_as_their_data(tmp_path):
    params = jax.tree.map(lambda p: p.astype(jnp.bfloat16), PARAMS)
    tx = gradtx.chain(gradtx.add_noise(0.1, 0.5, 0), gradtx.stored(gradtx.adam(0.1), mu="bfloat16"))
    state = gradtx.step(tx, params, tx.init(params), params)[1]
    is_key = lambda x: jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    plain = {k: jax.random.key_data(x) if is_key(x) else x for k, x in gradtx.state_dict(state).items()}
    np.savez(tmp_path / "state.npz", **plain)
    with np.load(tmp_path / "state.npz") as saved:
        assert saved["scale_by_adam/mu/head"].dtype.kind == "V"
        restored, report = gradtx.restore(tx.init(params), saved)
        wide, _ = gradtx.restore(gradtx.chain(tx.links[0], gradtx.adam(0.1)).init(params), saved)
    assert not report.missing
    keyless = lambda s: gradtx.edit_state(s, {"rng_key": jax.random.key(0)})
    chex.assert_trees_all_equal(gradtx.state_dict(restored)["scale_by_adam/mu/head"], plain["scale_by_adam/mu/head"])
    assert gradtx.state_dict(wide)["scale_by_adam/mu/head"].dtype == jnp.float32
    key = gradtx.find_state(restored, "rng_key")
    assert is_key(key) and (jax.random.key_data(key) == plain["add_noise/rng_key"]).all()
    chex.assert_trees_all_equal_structs(keyless(restored), keyless(state))


class Tensor:
    """An array of another library."""

    def __init__(self, x):
        self.x = x

    def __array__(self, dtype=None, copy=None):
        if self.x is None:
            raise TypeError("Got unsupported ScalarType BFloat16")
        return np.asarray(self.x, dtype)


@pytest.mark.parametrize(
    ("value", "error", "says"),
    [
        (Tensor(None), TypeError, "restore: trace/trace must be an array, got Tensor: Got unsupported"),
        ("text", TypeError, "restore: trace/trace must be an array of numbers, got"),
        ([1.0, None], TypeError, "restore: trace/trace must be an array of numbers, got object"),
        ([[1.0], [1.0, 2.0]], TypeError, "restore: trace/trace must be an array, got list"),
        (object(), TypeError, "restore: trace/trace must be an array of numbers"),
        ([1, 2], ValueError, "restore: trace/trace is float32, the saved one int"),
        ([1.0, 2.0, 3.0], ValueError, "restore: trace/trace has shape"),
    ],
)
def test_what_is_no_array_is_named(value, error, says):
    state = gradtx.sgd(0.1, 0.9).init(jnp.ones(2))
    with pytest.raises(error, match=says):
        gradtx.restore(state, {"trace/trace": value})


@pytest.mark.parametrize("value", [Tensor(None), "text", [None], [[1], [2, 3]], object(), 0.5, np.zeros(2, int)])
@pytest.mark.parametrize("name", ["scale_by_adam/count", "scale_by_schedule/count"])
def test_a_count_that_is_none_is_named(value, name):
    state = gradtx.adam(gradtx.linear_schedule(1.0, 0.0, 9)).init(jnp.ones(2))
    with pytest.raises((TypeError, ValueError), match=f"restore: {name} "):
        gradtx.restore(state, gradtx.state_dict(state) | {name: value})


@pytest.mark.parametrize("value", [[0.5, 2.0], Tensor([0.5, 2.0]), np.float64([0.5, 2.0])])
def test_what_numpy_makes_an_array_of_is_restored(value):
    state, _ = gradtx.restore(gradtx.sgd(0.1, 0.9).init(jnp.ones(2)), {"trace/trace": value})
    trace = gradtx.find_state(state, "trace/trace")
    assert trace.tolist() == [0.5, 2.0] and trace.dtype == jnp.float32


def test_parameters_of_which_nothing_was_saved_move_as_at_their_first_step():
    masked, tx = gradtx.masked(BASE, "body/*"), gradtx.ema_params(BASE)
    saved = gradtx.state_dict(trained(gradtx.ema_params(masked))) | gradtx.state_dict(trained(masked))
    lacking = {k: x for k, x in saved.items() if not k.startswith("average/average/head")}
    with pytest.raises(ValueError, match=r"scale_by_adam/mu/head, scale_by_adam/nu/head.* not saved"):
        gradtx.restore(tx.init(PARAMS), lacking)
    state, _ = gradtx.restore(tx.init(PARAMS), lacking, allow_missing="**/head")
    updates, state = tx.update(PARAMS, state, PARAMS)
    chex.assert_trees_all_close(updates["head"], -0.07 * jnp.ones(3), rtol=1e-5)
    moved = gradtx.apply_updates(PARAMS, updates)
    chex.assert_trees_all_close(gradtx.evaluation_params(state, moved)["head"], moved["head"], rtol=1e-5)
    assert int(gradtx.find_state(state, "scale_by_adam/count/run")) == STEPS + 1


@parametrized(ROWS)
def test_every_state_goes_into_wrappers_and_back(row):
    tx, params = row.tx, make_params(shapes=FEW)
    number = iter(range(1000))
    fill = lambda x: x if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else jnp.full_like(x, next(number))
    state = jax.tree.map(fill, tx.init(params))
    deep = gradtx.named_chain(clip=gradtx.clip(1.0), inner=gradtx.monitor(gradtx.apply_if_finite(tx, 3)))
    into, _ = gradtx.restore(
        deep.init(params), gradtx.state_dict(state), allow_missing=["monitor/**", "apply_if_finite/**"]
    )
    if "monitor(" in repr(tx) or "apply_if_finite(" in repr(tx):
        return  # of two alike it is not known which is which
    chex.assert_trees_all_equal(plain(into["inner"].inner_state.inner_state), plain(state))
    back, report = gradtx.restore(tx.init(params), gradtx.state_dict(into))
    chex.assert_trees_all_equal(plain(back), plain(state))
    assert not report.missing and not report.counted


@pytest.mark.parametrize("stale", ["as much", "less"])
def test_a_dictionary_of_both_kinds_of_names_is_taken_for_that_which_fits_better(stale):
    """Those of today where both fit as well: what version 0.1.0 wrote was the earlier."""
    tx = gradtx.monitor(gradtx.accumulate(gradtx.adam(0.1), 1))
    state = trained(tx)
    other = {name: np.zeros_like(x) for name, x in in_full(state).items()}
    now = {name: np.asarray(x) for name, x in gradtx.state_dict(state).items()}
    if stale == "as much":
        back, _ = gradtx.restore(tx.init(PARAMS), other | now)
    else:  # what was written in full fits all, what has today's names but one
        name, *_ = now.keys() - other.keys()
        back, _ = gradtx.restore(tx.init(PARAMS), in_full(state) | {name: np.full_like(now[name], 7)})
    chex.assert_trees_all_equal(back, state)


def in_full(state):
    """A state's arrays by the names that version 0.1.0 wrote."""
    return {e.in_full: np.asarray(e.value) for e in entries(state) if e.is_leaf}
