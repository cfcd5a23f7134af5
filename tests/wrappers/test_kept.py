"""Parameters of 16 bits that lose nothing: where updates lead, and what is around them."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradtx
from tests.wrappers.keeping import KEEPINGS, RATE, draw, every_keeping, run

# Where updates lead.


@every_keeping
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_updates_lead_where_the_step_goes(keeping, dtype):
    p, grads = draw(8)
    tx = gradtx.kept(gradtx.sgd(0.1), keeping)
    stepped, ours, theirs = (jnp.asarray(p),) * 3
    one, two, three = (tx.init(ours),) * 3
    for g in jnp.asarray(grads, dtype):
        stepped, one = gradtx.step(tx, stepped, one, g)
        u, two = tx.update(g, two, ours)
        assert u.dtype == g.dtype
        ours = gradtx.apply_updates(ours, u)
        u, three = jax.jit(tx.update)(g, three, theirs)
        with jax.numpy_dtype_promotion("standard"):
            theirs = optax.apply_updates(theirs, u)
    chex.assert_trees_all_equal((ours, theirs), (stepped, stepped))
    full = [gradtx.full_params(p, state) for p, state in ((ours, two), (theirs, three), (stepped, one))]
    for x in full[:2]:  # a compiled product and sum may round once
        chex.assert_trees_all_close(x, full[2], rtol=3e-7)


@every_keeping
def test_a_step_that_updates_of_16_bits_cannot_take_loses_no_more_than_they_do(keeping):
    """From 1 to 0.001: no bfloat16 added to 1 gives that."""
    tx = gradtx.kept(gradtx.sgd(1.0), keeping)
    p = jnp.ones(1, jnp.bfloat16)
    state = tx.init(p)
    for g in (0.999, 0.0):
        u, state = tx.update(jnp.full(1, g, jnp.bfloat16), state, p)
        p = gradtx.apply_updates(p, u)
    np.testing.assert_allclose(gradtx.full_params(p, state), 0.001, atol=2**-8)


@every_keeping
def test_parameters_of_32_bits_are_left_alone(keeping):
    params = {"w": jnp.linspace(-1, 1, 6), "b": jnp.ones(3, jnp.bfloat16), "none": None}
    grads = {"w": jnp.linspace(2, 1, 6), "b": jnp.ones(3, jnp.bfloat16), "none": None}
    tx = gradtx.adam(0.01)
    wrapped = gradtx.kept(tx, keeping)
    (p, s), (q, r) = (params, tx.init(params)), (params, wrapped.init(params))
    for _ in range(3):
        p, s = gradtx.step(tx, p, s, grads)
        q, r = gradtx.step(wrapped, q, r, grads)
    chex.assert_trees_all_close(q["w"], p["w"], rtol=1e-6)
    assert q["none"] is None
    for slot in r._fields[1:]:
        held = getattr(r, slot)
        assert not isinstance(held, dict) or held["w"] == ()
    full = gradtx.full_params(q, r)
    assert full["w"] is q["w"] and full["b"].dtype == jnp.float32
    chex.assert_trees_all_equal(gradtx.full_params(full, r), full)  # what is in full stays so


@every_keeping
@pytest.mark.parametrize("dtype", ["float16", "float8_e4m3fn", "float8_e5m2"])
def test_other_narrow_dtypes(keeping, dtype):
    """A run of many small steps ends where that in float32 does, to the spacing."""
    p = jnp.linspace(0.5, 2, 64).astype(dtype)
    tx = gradtx.kept(gradtx.sgd(1e-4), keeping)
    step = lambda _, c: gradtx.step(tx, *c, jnp.ones(64))
    new, state = jax.jit(lambda c: jax.lax.fori_loop(0, 3000, step, c))((p, tx.init(p)))
    moved = jnp.mean(gradtx.full_params(new, state).astype(jnp.float32) - p.astype(jnp.float32))
    np.testing.assert_allclose(moved, -0.3, atol=0.05 if keeping.name == "stochastic" and "8" in dtype else 0.01)
    assert new.dtype == jnp.dtype(dtype)


@every_keeping
def test_zero_updates_change_nothing(keeping):
    p, grads = draw(5)
    new, state = run(keeping, p, grads)
    tx = gradtx.kept(gradtx.sgd(RATE), keeping)
    again, after = gradtx.step(tx, new, state, jnp.zeros(new.shape))
    if keeping.name != "kahan":  # half a spacing may be above a parameter or below its neighbour
        chex.assert_trees_all_equal(again, new)
    chex.assert_trees_all_equal(gradtx.full_params(again, after), gradtx.full_params(new, state))


@every_keeping
def test_what_somebody_else_changes_counts(keeping):
    p, grads = draw(5)
    new, state = run(keeping, p, grads)
    projected = jnp.clip(new, -1, 1)
    full = gradtx.full_params(projected, state)
    np.testing.assert_allclose(full, projected.astype(jnp.float32), rtol=2**-7)


@every_keeping
def test_numbers_that_are_not_finite_or_at_the_ends(keeping):
    p = jnp.asarray([1e38, -1e38, 1e-38, 0.0, jnp.inf, 1.0, 3e38], jnp.bfloat16)
    g = jnp.asarray([1e38, -1e38, 1e-38, -1e-30, 0.0, jnp.nan, -0.39e38], jnp.float32)
    new, state = run(keeping, p, [g], rate=1.0)
    full = np.asarray(gradtx.full_params(new, state))
    np.testing.assert_allclose(full[:3], [float(p[0]) - 1e38, float(p[1]) + 1e38, 0], atol=1e36)
    assert not np.isfinite(full[4:6]).any() and full[6] >= 3.3e38
    np.testing.assert_allclose(full[3], 1e-30, rtol=0.01)


# With what is around it and in it.


def test_the_optimizer_sees_parameters_in_full():
    """A decay of what is below the spacing, and an average of it."""
    p = jnp.ones(4, jnp.bfloat16)
    tx = gradtx.kept(gradtx.ema_params(gradtx.sgd(1e-3), 0.5), gradtx.master())
    state = tx.init(p)
    assert state.inner_state[1].average.dtype == jnp.float32
    for _ in range(3):
        p, state = gradtx.step(tx, p, state, jnp.ones(4))
    average = (0.999 * 0.125 + 0.998 * 0.25 + 0.997 * 0.5) / 0.875
    full = gradtx.full_params(p, state)
    np.testing.assert_allclose(full, 0.997, rtol=1e-6)
    np.testing.assert_allclose(gradtx.evaluation_params(state, full), average, rtol=1e-6)
    assert gradtx.evaluation_params(state, p).dtype == jnp.bfloat16


def test_schedule_free_parameters_are_averaged_in_full():
    p, grads = draw(40, size=50)
    tx = gradtx.schedule_free_sgd(0.05)
    narrow = gradtx.kept(tx, gradtx.residual(16))
    (q, s), (p, r) = (
        (jnp.asarray(p, jnp.float32), tx.init(jnp.asarray(p, jnp.float32))),
        (jnp.asarray(p), narrow.init(p)),
    )
    for g in grads:
        q, s = gradtx.step(tx, q, s, jnp.asarray(g))
        p, r = gradtx.step(narrow, p, r, jnp.asarray(g))
    full = gradtx.full_params(p, r)
    chex.assert_trees_all_close(full, q, rtol=1e-4)
    chex.assert_trees_all_close(gradtx.evaluation_params(r, full), gradtx.evaluation_params(s, q), rtol=1e-4)


def test_around_and_in_codes():
    params = {"w": jnp.ones((64, 64), jnp.bfloat16), "b": jnp.ones(3, jnp.bfloat16)}
    for keeping in KEEPINGS.values():
        outer = gradtx.stored(gradtx.kept(gradtx.adamw(1e-3), keeping), gradtx.log8())
        inner = gradtx.kept(gradtx.stored(gradtx.adamw(1e-3), gradtx.log8()), keeping)
        one, two = outer.init(params), inner.init(params)
        assert jax.tree.structure(one) == jax.tree.structure(two)  # what is kept of parameters is left as it is
        for tx, state in ((outer, one), (inner, two)):
            new, after = gradtx.step(tx, params, state, jax.tree.map(jnp.ones_like, params))
            chex.assert_trees_all_equal_shapes_and_dtypes((new, after), (params, state))
    named = gradtx.stored(gradtx.kept(gradtx.adamw(1e-3), gradtx.master()), master="bfloat16").init(params)
    assert named.master["w"].dtype == jnp.bfloat16


def test_in_a_partition_and_under_masks():
    params = {"w": jnp.ones((4, 4), jnp.bfloat16), "b": jnp.ones(4, jnp.bfloat16)}
    tx = gradtx.partition(
        {"m": gradtx.kept(gradtx.adamw(1e-3), gradtx.residual()), "v": gradtx.kept(gradtx.sgd(1e-3), gradtx.kahan())},
        {"w": "m", "b": "v"},
    )
    tx = gradtx.chain(gradtx.clip_by_global_norm(1.0), tx)
    state = tx.init(params)
    p = params
    for _ in range(5):
        p, state = gradtx.step(tx, p, state, jax.tree.map(jnp.ones_like, p))
    full = gradtx.full_params(p, state)
    np.testing.assert_allclose(full["w"], 1 - 5e-3, atol=1e-4)
    np.testing.assert_allclose(full["b"], 1 - 5e-3 / np.sqrt(20), atol=1e-4)


@every_keeping
def test_accumulated_and_packed(keeping):
    params = {"a": jnp.ones((4, 4), jnp.bfloat16), "b": jnp.ones((4, 4), jnp.bfloat16), "c": jnp.ones(3)}
    grads = jax.tree.map(lambda p: jnp.full(p.shape, 2.0, p.dtype), params)
    tx = gradtx.accumulate(gradtx.kept(gradtx.sgd(1e-3), keeping), 2)
    p, state = params, tx.init(params)
    packed = gradtx.pack(params)
    other = tx.init(packed)
    for _ in range(10):
        p, state = gradtx.step(tx, p, state, grads)
        packed, other = gradtx.step(tx, packed, other, grads)
    full = gradtx.full_params(p, state)
    for name in "abc":
        np.testing.assert_allclose(np.mean(full[name]), 0.99, atol=4e-3 if keeping.name == "stochastic" else 1e-4)
    packed_full = gradtx.full_params(packed, other).unpack()
    if keeping.name == "master":
        chex.assert_trees_all_close(packed_full, full)
    chex.assert_trees_all_close(packed_full, full, atol=0.01)


@every_keeping
def test_states_are_saved_restored_and_described(keeping):
    params = {"w": jnp.linspace(0, 1, 4096).reshape(64, 64).astype(jnp.bfloat16)}
    tx = gradtx.kept(gradtx.adamw(1e-3), keeping)
    p, state = gradtx.step(tx, params, tx.init(params), jax.tree.map(jnp.ones_like, params))
    restored, report = gradtx.restore(tx.init(params), gradtx.state_dict(state))
    chex.assert_trees_all_equal(restored, state)
    assert not report.missing
    moved = gradtx.step(tx, p, state, p), gradtx.step(tx, p, restored, p)
    chex.assert_trees_all_equal(*moved)
    assert "kept" in str(gradtx.describe(tx, params))


def test_a_residual_is_described_with_its_bytes():
    params = {"w": jnp.zeros((64, 64), jnp.bfloat16)}
    described = gradtx.describe(gradtx.kept(gradtx.sgd(1e-3), gradtx.residual()), params)
    (slot,) = described.slots
    assert (slot.name, slot.kept, slot.bytes, slot.plain_bytes) == ("residual", ("int8",), 4096, 4 * 4096)
    assert "residual/residual" in str(described)


def test_residuals_of_other_bits_are_not_restored():
    """Neither cut to their last bits, nor taken for 1/256 of what they are."""
    params = {"w": jnp.ones(3, jnp.bfloat16)}
    eight, sixteen = (gradtx.kept(gradtx.sgd(1e-3), gradtx.residual(bits)).init(params) for bits in (8, 16))
    with pytest.raises(ValueError, match="residual/residual/w is int8, the saved one int16"):
        gradtx.restore(eight, gradtx.state_dict(sixteen))
    with pytest.raises(ValueError, match="residual/residual/w is int16, the saved one int8"):
        gradtx.restore(sixteen, gradtx.state_dict(eight))


def test_a_run_in_float32_goes_on_in_16_bits():
    params = {"w": jnp.linspace(0, 1, 10)}
    narrow = gradtx.tree_cast(params, jnp.bfloat16)
    tx = gradtx.adam(1e-3)
    _, state = gradtx.step(tx, params, tx.init(params), params)
    wrapped = gradtx.kept(tx, gradtx.residual())
    restored, _ = gradtx.restore(wrapped.init(narrow), gradtx.state_dict(state), allow_missing="**")
    chex.assert_trees_all_equal(restored.inner_state[0].mu, state[0].mu)


def test_derivatives_pass_through_the_rounding():
    p = jnp.ones(8, jnp.bfloat16)

    def end(rate, keeping):
        tx = gradtx.kept(gradtx.sgd(rate), keeping)
        q, state = p, tx.init(p)
        for _ in range(3):
            q, state = gradtx.step(tx, q, state, jnp.ones(8))
        return jnp.sum(q.astype(jnp.float32))

    for keeping in KEEPINGS.values():
        np.testing.assert_allclose(jax.grad(end)(1e-3, keeping), -24, rtol=0.02)


def test_on_several_devices_it_is_what_it_is_on_one():
    mesh = jax.make_mesh((8,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
    p, grads = draw(4, size=64 * 8)
    lay = lambda x: jax.device_put(x, jax.NamedSharding(mesh, jax.P("d")))
    step = jax.jit(gradtx.step)
    for keeping in KEEPINGS.values():
        tx = gradtx.kept(gradtx.sgd(RATE), keeping)
        whole, cut = jnp.asarray(p), lay(jnp.asarray(p))
        one, two = tx.init(whole), tx.init(cut)
        for g in jnp.asarray(grads):
            whole, one = step(tx, whole, one, g)
            cut, two = step(tx, cut, two, lay(g))
        chex.assert_trees_all_equal(jax.device_get((cut, two)), jax.device_get((whole, one)))
        assert cut.sharding.spec == jax.P("d")
