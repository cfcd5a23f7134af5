"""Kinds of weight decay that see the direction or the learning rate's peak: by hand, properties, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import optimizer_makers


def test_cautious_decay_by_hand():
    p, g = jnp.array([2.0, 2.0, -2.0, -2.0, 2.0]), jnp.array([1.0, -1.0, 1.0, -1.0, 0.0])
    tx = gradtx.add_cautious_decay(0.5)
    u, _ = tx.update(g, tx.init(p), p)
    np.testing.assert_allclose(u, [1 + 1, -1, 1, -1 - 1, 0 + 1])


def test_cautious_decay_keeps_the_minimum():
    target = jnp.array([3.0, -2.0])

    def end(kind):
        tx, x = gradtx.sgd(0.1, weight_decay=kind), jnp.zeros(2)
        state = tx.init(x)
        step = jax.jit(lambda x, state: gradtx.step(tx, x, state, x - target))
        for _ in range(200):
            x, state = step(x, state)
        return x

    np.testing.assert_allclose(end(gradtx.cautious_decay(0.5)), target, rtol=1e-4)
    np.testing.assert_allclose(end(0.5), target / 1.5, rtol=1e-4)


def test_corrected_decay_follows_the_square_of_the_rate():
    rates = gradtx.Schedule(lambda step: jnp.where(step == 0, 0.1, 0.05))
    p = jnp.ones(1)
    tx = gradtx.sgd(rates, weight_decay=gradtx.corrected(0.2, peak=0.1))
    u, state = tx.update(0 * p, tx.init(p), p)
    np.testing.assert_allclose(u, -0.1 * 0.2, rtol=1e-6)
    u, _ = tx.update(0 * p, state, p)
    np.testing.assert_allclose(u, -0.05 * 0.2 / 2, rtol=1e-6)


def test_masks():
    params = {"w": jnp.ones(2), "b": jnp.ones(2)}
    for kind in (gradtx.cautious_decay(0.5, "w"), gradtx.corrected(0.5, 1.0, "w")):
        tx = gradtx.sgd(1.0, weight_decay=kind)
        u, _ = tx.update(jax.tree.map(jnp.zeros_like, params), tx.init(params), params)
        np.testing.assert_allclose(u["w"], -0.5)
        np.testing.assert_array_equal(u["b"], 0)


def test_errors():
    with pytest.raises(ValueError, match="corrected: peak must be in"):
        gradtx.corrected(0.1, 0.0)
    with pytest.raises(ValueError, match="add_cautious_decay needs params"):
        gradtx.add_cautious_decay(0.1).update(jnp.ones(2), ())


def test_a_mask_that_fits_nothing_is_refused_by_init():
    params, refused = {"w": jnp.ones((2, 2)), "b": jnp.ones(2)}, []
    for name, maker in optimizer_makers().items():
        if "weight_decay" not in maker.parameters or name in ("cocob", "momo", "momo_adam"):  # these take no mask
            continue
        with pytest.raises(ValueError, match="mask pattern 'nope' matches no parameter"):
            maker(0.1, weight_decay=gradtx.decoupled(0.1, "nope")).init(params)
        refused.append(name)
    assert len(refused) > 40
