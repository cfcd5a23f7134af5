"""What programs rely on in Optax's transformations, beyond their numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx.compat.optax as optax
from gradtx.compat.optax import config

pytestmark = pytest.mark.slow

PARAMS = {"w": jnp.full((2, 3), 2.0), "b": jnp.zeros(3)}
GRADS = {"w": jnp.full((2, 3), 3.0), "b": jnp.array([1.0, -2.0, 0.0])}


def steps(tx, count, params=None, grads=GRADS):
    """All updates of some steps, and the last state."""
    state, all_updates = tx.init(PARAMS), []
    for _ in range(count):
        updates, state = tx.update(grads, state, params)
        all_updates.append(updates)
    return all_updates, state


def test_missing_params():
    for tx in (optax.keep_params_nonnegative(), optax.add_decayed_weights(0.1), optax.scale_by_factored_rms()):
        with pytest.raises(ValueError, match="needs params"):
            tx.update(GRADS, tx.init(PARAMS))


def test_a_tree_that_is_none():
    assert optax.add_decayed_weights(0.1).update(None, 0, PARAMS) == (None, 0)
    assert optax.apply_updates(None, PARAMS) is None
    assert optax.incremental_update(None, PARAMS, 1) is None


def test_apply_updates_casts():
    params = {"bf16": jnp.ones(2, jnp.bfloat16), "int": jnp.array([3]), "none": None}
    new = optax.apply_updates(params, {"bf16": jnp.full(2, 0.5), "int": jnp.array([-0.5]), "none": None})
    assert new["bf16"].dtype == jnp.bfloat16
    assert (new["int"].item(), new["none"]) == (2, None)
    assert optax.apply_updates(1.0, 2.0).dtype == jnp.float32


def test_incremental_and_periodic_update():
    new, old = {"w": jnp.full(2, 3.0, jnp.bfloat16)}, {"w": jnp.ones(2, jnp.bfloat16)}
    mixed = optax.incremental_update(new, old, jnp.asarray(0.25))
    assert mixed["w"].dtype == jnp.bfloat16
    np.testing.assert_array_equal(mixed["w"].astype(jnp.float32), 1.5)
    for step, wanted in [(0, 3), (1, 1), (4, 3)]:
        got = optax.periodic_update(new, old, jnp.int32(step), 4)["w"]
        np.testing.assert_array_equal(got.astype(jnp.float32), wanted)


def test_lion_looks_at_its_mode_when_it_updates():
    tx = optax.scale_by_lion(mode="loud")
    state = tx.init(PARAMS)
    with pytest.raises(ValueError, match="mode"):
        tx.update(GRADS, state)


def test_polyak_looks_at_its_variant_when_it_updates():
    tx = optax.scale_by_polyak(variant="best")
    with pytest.raises(ValueError, match="variant"):
        tx.update(GRADS, tx.init(PARAMS), PARAMS, value=1.0)
    assert optax.scale_by_polyak.__name__ == "scale_by_polyak"


def test_first_optimistic_step_is_the_gradient():
    (first, second), _ = steps(optax.scale_by_optimistic_gradient(), 2)
    assert jnp.array_equal(first["b"], GRADS["b"])
    assert jnp.array_equal(second["b"], GRADS["b"])


def test_rms_with_bias_correction_is_adam_without_momentum():
    rms, _ = steps(optax.scale_by_rms(decay=0.99, eps_in_sqrt=False, bias_correction=True), 4)
    adam, _ = steps(optax.scale_by_adam(b1=0.0, b2=0.99), 4)
    for a, b in zip(rms, adam, strict=True):
        np.testing.assert_allclose(a["b"], b["b"], rtol=1e-6)


def test_apply_every():
    updates, state = steps(optax.apply_every(3), 7)
    assert [jnp.max(u["w"]).item() for u in updates] == [0, 0, 9, 0, 0, 9, 0]
    assert state.count == 1


def test_ema_keeps_its_state_biased():
    debiased, with_debias = steps(optax.ema(0.9, debias=True), 3)
    biased, without = steps(optax.ema(0.9, debias=False), 3)
    np.testing.assert_allclose(debiased[-1]["w"], 3, rtol=1e-6)
    assert jnp.array_equal(biased[-1]["w"], without.ema["w"])
    assert jnp.array_equal(with_debias.ema["w"], without.ema["w"])


@pytest.mark.filterwarnings("ignore:no key is given")
def test_noise_keys():
    zeros = {"w": jnp.zeros((200, 50))}

    def noise(key, eta):
        tx = optax.add_noise(eta, 0.5, key)
        updates, state = tx.update(zeros, tx.init(zeros))
        return updates["w"], tx.update(zeros, state)[0]["w"]

    first, second = noise(7, 0.09)
    np.testing.assert_allclose([first.std(), second.std()], [0.3, 0.3 / 2**0.25], rtol=2e-2)
    assert jnp.array_equal(first, noise(jax.random.key(7), 0.09)[0])
    np.testing.assert_allclose(first, 3 * noise(7, 0.01)[0], rtol=1e-5)
    assert jnp.array_equal(noise(None, 1.0)[0], noise(0, 1.0)[0])


def test_noise_without_a_key_warns():
    with pytest.warns(UserWarning, match="key"):
        optax.noisy_sgd(0.1)
    with pytest.warns(DeprecationWarning, match="seed"):
        optax.add_noise(0.1, 0.5, seed=3)
    with pytest.warns(DeprecationWarning), pytest.raises(ValueError, match="not both"):
        optax.add_noise(0.1, 0.5, 1, seed=3)


def test_zero_nans_tells_which_leaves():
    tx = optax.zero_nans()
    updates, state = tx.update({"w": jnp.array([1, jnp.nan]), "b": jnp.array([jnp.inf])}, tx.init(PARAMS))
    assert isinstance(state, optax.ZeroNansState)
    assert (bool(state.found_nan["w"]), bool(state.found_nan["b"])) == (True, False)
    np.testing.assert_array_equal(updates["w"], [1, 0])


def test_clipping_does_not_drift():
    updates = {"w": jnp.array([500.0, 5.0]), "b": jnp.array([300.0, 3.0])}
    for tx, size in [
        (optax.clip_by_global_norm(0.7), lambda tree: optax.tree.norm(tree)),
        (optax.clip_by_block_rms(0.7), lambda tree: jnp.sqrt(jnp.mean(tree["w"] ** 2))),
        (optax.clip(0.7), lambda tree: jnp.max(tree["w"])),
    ]:
        clipped = updates
        for _ in range(10):
            clipped, _ = tx.update(clipped, None)
            assert abs(size(clipped) - 0.7) < 1e-7
        np.testing.assert_allclose(clipped["w"], tx.update(updates, None)[0]["w"], rtol=1e-6)


UNITS = [((2, 3), 0), ((3, 2, 4), 0), ((2, 2, 3, 4), (0, 1, 2)), ((1, 2, 2, 3, 4), (0, 1, 2, 3))]


@pytest.mark.parametrize(("shape", "axis"), UNITS)
def test_adaptive_clipping_of_units(shape, axis):
    rng = np.random.default_rng(0)
    p, g = (jnp.asarray(rng.standard_normal(shape), jnp.float32) for _ in range(2))
    norm = optax.transforms.unitwise_norm
    by_numpy = np.sqrt(np.sum(np.square(p), axis=axis, keepdims=True))
    np.testing.assert_allclose(norm(p), np.broadcast_to(by_numpy, shape), rtol=1e-6)
    np.testing.assert_array_equal(norm(p), norm(p, axis=axis))
    for tx in (optax.adaptive_grad_clip(0.01), optax.adaptive_grad_clip(0.01, axis=axis)):
        u, _ = tx.update(g, None, p)
        np.testing.assert_allclose(norm(u), jnp.minimum(norm(g), 0.01 * norm(p)), rtol=1e-5)
    by_hand = optax.transforms.unitwise_clip(norm(g), 0.01 * norm(p), g)
    np.testing.assert_allclose(by_hand, u, rtol=1e-6)


def test_units_need_an_axis_in_six_dimensions():
    x = jnp.ones((2,) * 6)
    with pytest.raises(ValueError, match="axis"):
        optax.transforms.unitwise_norm(x)
    np.testing.assert_allclose(optax.transforms.unitwise_norm(x, axis=(0, 1)), 2)
    with pytest.raises(ValueError, match="shape"):
        optax.transforms.unitwise_clip(jnp.ones(2), jnp.ones(3), jnp.ones(2))


def test_per_example_clips():
    grads = [jnp.array([[0, 0, 0], [0, 3, 4], [4, 0, 3], [3, 4, 0]])]
    for clip in (optax.per_example_global_norm_clip, optax.per_example_layer_norm_clip):
        (total,), count = clip(grads, 1.25)
        np.testing.assert_allclose(total, 1.75, rtol=1e-6)
        assert jax.tree.leaves(count) == [3]
        with pytest.raises(ValueError, match="examples"):
            clip([jnp.ones(())], 1.0)


def test_deviations_only_where_asked():
    """Rprop's first step is not 0, Adan's weight is b2, and an offset of Adafactor's does not give NaN."""

    def first(build):
        tx = build()
        return tx.update(GRADS, tx.init(PARAMS), PARAMS)[0]["w"][0, 0]

    rprop = lambda: optax.scale_by_rprop(0.1)
    offset = lambda: optax.scale_by_factored_rms(step_offset=5)
    assert first(rprop) == jnp.float32(0.1)
    np.testing.assert_allclose(first(offset), 1, rtol=1e-6)
    with config.reproducing_optax():
        assert first(rprop) == 0
        assert jnp.isnan(first(offset))


def test_scalars_of_distance_over_gradients_are_arrays_of_one():
    _, state = steps(optax.scale_by_distance_over_gradients(param_dtype=jnp.bfloat16), 2, PARAMS)
    assert state.grad_sum_of_squares["b"].shape == (1,)
    assert state.max_dist["b"].shape == ()
    assert state.init_params["w"].dtype == jnp.bfloat16


def test_global_norm_is_deprecated():
    with pytest.warns(DeprecationWarning, match="tree.norm"):
        assert optax.global_norm({"a": jnp.array([3.0]), "b": jnp.array([4.0])}) == 5
    assert optax.safe_int32_increment(jnp.int32(2**31 - 1)) == 2**31 - 1
