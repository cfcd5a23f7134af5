"""Optax's protocol, as its programs use it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
import gradtx.compat.optax as optax
from gradtx.compat.optax import base, config

PARAMS = {"w": jnp.ones((2, 3)), "b": jnp.zeros(3)}
GRADS = jax.tree.map(jnp.ones_like, PARAMS)


def test_pairs_are_tuples():
    init, update = opt = optax.sgd(0.5)
    assert (opt[0], opt[1]) == (init, update) == (opt.init, opt.update)
    updates, state = update(GRADS, init(PARAMS))
    assert state == (optax.EmptyState(), optax.EmptyState())
    np.testing.assert_array_equal(updates["b"], [-0.5, -0.5, -0.5])


def test_a_plain_pair_takes_no_extra_arguments():
    plain = optax.GradientTransformation(optax.init_empty_state, lambda g, s, p=None: (g, s))
    assert not isinstance(plain, optax.GradientTransformationExtraArgs)
    assert isinstance(optax.adam(1.0), optax.GradientTransformation)
    with pytest.raises(TypeError):
        plain.update(1.0, optax.EmptyState(), None, value=1.0)
    extra = optax.with_extra_args_support(plain)
    assert isinstance(extra, optax.GradientTransformationExtraArgs)
    assert optax.with_extra_args_support(extra) is extra
    assert extra.update(1.0, optax.EmptyState(), None, value=1.0) == (1.0, optax.EmptyState())


def test_arguments_by_name():
    opt = optax.chain(optax.scale_by_adam(), optax.scale_by_polyak())
    state = opt.init(params=PARAMS)
    updates, _ = opt.update(updates=GRADS, state=state, params=PARAMS, value=jnp.asarray(2.0))
    assert jax.tree.structure(updates) == jax.tree.structure(PARAMS)


def test_a_missing_extra_argument():
    opt = optax.polyak_sgd()
    with pytest.raises(TypeError, match="value"):
        opt.update(GRADS, opt.init(PARAMS), PARAMS)


def test_extra_arguments_may_be_functions():
    seen = []
    opt = optax.chain(optax.adam(1e-3), optax.scale_by_polyak())
    logger = lambda **metrics: seen.append(metrics)

    @jax.jit
    def step(state):
        return opt.update(GRADS, state, PARAMS, value=jnp.ones(()), metrics_logger=logger, step=3)

    updates, _ = step(opt.init(PARAMS))
    assert jnp.all(jnp.isfinite(updates["w"]))


@pytest.mark.parametrize("state", [{}, None, 0, optax.EmptyState()], ids=str)
def test_transformations_without_state_take_any(state):
    for tx in (optax.clip(0.5), optax.scale(2.0), optax.identity(), optax.centralize(), optax.clip_by_global_norm(1.0)):
        assert tx.update(GRADS, state)[1] is state
    np.testing.assert_array_equal(optax.zero_nans().update({"w": jnp.array([jnp.nan, 1])}, state)[0]["w"], [0, 1])
    doubled, new_state = optax.stateless(lambda g, p: jax.tree.map(lambda x: 2 * x, g)).update(GRADS, state)
    assert new_state == optax.EmptyState()
    np.testing.assert_array_equal(doubled["b"], [2, 2, 2])


def test_stateless_with_tree_map():
    shrink = optax.stateless_with_tree_map(lambda g, p: g if p is None else g * p)
    np.testing.assert_array_equal(shrink.update(GRADS, None)[0]["b"], [1, 1, 1])
    np.testing.assert_array_equal(shrink.update(GRADS, None, PARAMS)[0]["b"], [0, 0, 0])


def test_inits_without_state_accept_none_under_jit():
    for tx in (optax.set_to_zero(), optax.stateless(lambda g, p: g), optax.identity(), optax.scale(1.0)):
        assert jax.jit(tx.init)(None) == optax.EmptyState()


def test_whole_numbers_are_taken_as_floats():
    updates, _ = optax.scale(0.5).update({"w": jnp.arange(3), "b": 3, "none": None}, None)
    assert updates["none"] is None
    np.testing.assert_array_equal(updates["w"], [0, 0.5, 1])
    np.testing.assert_array_equal(updates["b"], 1.5)
    counted = {"w": jnp.ones(2), "calls": jnp.zeros((), jnp.int32), "flag": True}
    opt = optax.adam(0.1)
    state = opt.init(counted)
    abstract = opt.init({**counted, "calls": jax.ShapeDtypeStruct((), jnp.int32)})
    assert jax.tree.structure(state) == jax.tree.structure(abstract)
    # What `equinox.filter_grad` gives for what has no gradient.
    updates, _ = opt.update({"w": jnp.ones(2), "calls": None, "flag": None}, state, counted)
    assert updates["calls"] is None
    np.testing.assert_allclose(updates["w"], -0.1, rtol=1e-6)


def test_numbers_of_any_range_are_accepted():
    """Optax refuses none; gradtx itself still does."""
    updates, _ = optax.sgd(-0.5).update(GRADS, optax.sgd(-0.5).init(PARAMS))
    np.testing.assert_array_equal(updates["b"], [0.5, 0.5, 0.5])
    sign = optax.scale_by_adam(b1=0.0, b2=0.0, eps=0.0)
    np.testing.assert_array_equal(sign.update(GRADS, sign.init(PARAMS))[0]["b"], [1, 1, 1])
    optax.scale_by_rms(decay=1.0, initial_scale=1.0)
    with pytest.raises(ValueError, match="learning_rate"):
        gradtx.sgd(-0.5)
    with pytest.raises(ValueError, match="must not both be 0"):
        gradtx.scale_by_adam(eps=0.0)


def test_types_are_still_checked():
    with pytest.raises(TypeError, match="b1"):
        optax.scale_by_adam(b1="0.9")


def test_state_follows_16_bit_parameters():
    params = {"w": jnp.ones((2, 3), jnp.bfloat16)}
    state = optax.scale_by_adam().init(params)
    assert state.mu["w"].dtype == state.nu["w"].dtype == jnp.bfloat16
    assert optax.scale_by_adam(mu_dtype="float32").init(params).mu["w"].dtype == jnp.float32
    assert gradtx.scale_by_adam().init(params).mu["w"].dtype == jnp.float32
    b2 = 0.999  # rounds to 1 in bfloat16, but the arithmetic is float32
    updates, state = optax.adam(0.1, b2=b2).update(params, optax.adam(0.1, b2=b2).init(params))
    np.testing.assert_allclose(updates["w"].astype(jnp.float32), -0.1, rtol=1e-2)


def test_translated_states():
    class Mine:
        def __init__(self, count):
            self.count = count

    ours = base.expose(gradtx.scale_by_schedule, lambda count: count)
    tx = base.translated(ours, lambda s: Mine(s.count), lambda s: type(ours.init(None))(s.count))
    updates, state = tx.update(GRADS, tx.init(PARAMS))
    updates, state = tx.update(updates, state)
    assert isinstance(state, Mine)
    assert state.count == 2


def test_the_flag_has_a_scope():
    assert not config.reproduces_optax()
    with config.reproducing_optax():
        assert config.reproduces_optax()
        with config.reproducing_optax(False):
            assert not config.reproduces_optax()
    config.reproduce_optax()
    try:
        assert config.reproduces_optax()
    finally:
        config.reproduce_optax(False)
    assert not config.reproduces_optax()
