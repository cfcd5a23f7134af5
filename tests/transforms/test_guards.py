"""Guards, normalisation and sums over steps."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx


def test_zero_nans_says_where_they_were():
    tx = gradtx.zero_nans()
    grads = {"a": jnp.array([1.0, jnp.nan, jnp.inf]), "b": jnp.ones(2)}
    updates, state = tx.update(grads, tx.init(grads))
    chex.assert_trees_all_equal(updates, {"a": jnp.array([1.0, 0.0, jnp.inf]), "b": jnp.ones(2)})
    assert {name: bool(x) for name, x in state.found_nan.items()} == {"a": True, "b": False}
    _, state = tx.update({"a": jnp.ones(3), "b": jnp.ones(2)}, state)
    assert not state.found_nan["a"]


def test_keep_params_nonnegative():
    params = jnp.array([1.0, 2.0, 0.0, -1.0])
    tx = gradtx.keep_params_nonnegative()
    updates, _ = tx.update(jnp.array([-3.0, 1.0, -1.0, 0.5]), tx.init(params), params)
    chex.assert_trees_all_equal(updates, jnp.array([-1.0, 1.0, 0.0, 1.0]))
    with pytest.raises(ValueError, match="keep_params_nonnegative needs params"):
        tx.update(params, tx.init(params))


def test_normalize():
    grads = {"a": jnp.array([3.0]), "b": jnp.array([4.0])}
    for tx, expected in (
        (gradtx.normalize(), 0.2),
        (gradtx.normalize_by_update_norm(2.0, 0.0), 0.4),
        (gradtx.normalize_by_update_norm(1.0, 5.0), 0.1),
    ):
        updates, _ = tx.update(grads, tx.init(grads))
        chex.assert_trees_all_close(updates, jax.tree.map(lambda g, k=expected: k * g, grads), rtol=1e-6)
    zero = {"a": jnp.zeros(1), "b": jnp.zeros(1)}
    for tx in (gradtx.normalize(), gradtx.normalize_by_update_norm(eps=0.0)):
        chex.assert_trees_all_equal(tx.update(zero, tx.init(zero))[0], zero)


def test_apply_every_emits_sums_and_exact_zeros():
    tx = gradtx.apply_every(3)
    state = tx.init(jnp.zeros(()))
    out = []
    for g in range(1, 8):
        update, state = tx.update(jnp.asarray(float(g)), state)
        out.append(float(update))
    np.testing.assert_array_equal(out, [0, 0, 6, 0, 0, 15, 0])


def test_agree_with_optax():
    optax = pytest.importorskip("optax")
    rng = np.random.default_rng(0)
    grads = [{"a": jnp.asarray(rng.standard_normal(3), jnp.float32)} for _ in range(8)]
    params = {"a": jnp.abs(grads[0]["a"])}
    cases = {
        "zero_nans": (),
        "keep_params_nonnegative": (),
        "normalize_by_update_norm": (0.3, 1e-3),
        "apply_every": (3,),
    }
    for name, arguments in cases.items():
        ours, theirs = getattr(gradtx, name)(*arguments), getattr(optax, name)(*arguments)
        state, other = ours.init(params), theirs.init(params)
        for g in grads:
            updates, state = ours.update(g, state, params)
            with jax.numpy_dtype_promotion("standard"):
                expected, other = theirs.update(g, other, params)
            chex.assert_trees_all_close(updates, expected, rtol=1e-6)
