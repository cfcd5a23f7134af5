"""COCOB: two steps by hand, bets that do not depend on the gradients' scale, errors."""

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx


def test_two_steps_by_hand():
    """L = 2, alpha = 100. Step 1: C = -2, R = 0, theta - theta_0 = -2 * 2 / (2 * 200) = -0.01.

    Step 2: R = 2 * 0.01, C = -4: theta - theta_0 = -4 * 2.02 / (2 * 200) = -0.0202.
    """
    tx, g, start = gradtx.cocob(), jnp.array([2.0]), jnp.array([5.0])
    updates, state = tx.update(g, tx.init(start), start)
    chex.assert_trees_all_close(updates, jnp.array([-0.01]))
    updates, state = tx.update(g, state, start - 0.01)
    chex.assert_trees_all_close(updates, jnp.array([-0.0102]), rtol=1e-4)
    chex.assert_trees_all_close(state[1].reward, jnp.array([0.02]), rtol=1e-4)


def test_each_element_bets_alone_and_scale_does_not_matter():
    tx, start = gradtx.cocob(), jnp.zeros(3)
    state = tx.init(start)
    params = start
    for _ in range(5):
        updates, state = tx.update(jnp.array([1.0, 1e4, 1e-3]), state, params)
        params = params + updates
    chex.assert_trees_all_close(params, jnp.full(3, params[0]), rtol=1e-4)


@pytest.mark.parametrize("distance", [0.1, 20.0])
def test_any_distance_is_found_without_tuning(distance):
    tx, target = gradtx.cocob(), jnp.array([1.0, -1.0]) * distance
    loss = lambda x: jnp.sum(jnp.abs(x - target))

    def body(carry, _):
        x, state = carry
        updates, state = tx.update(jax.grad(loss)(x), state, x)
        return (x + updates, state), None

    (last, _), _ = jax.lax.scan(body, (jnp.zeros(2), tx.init(jnp.zeros(2))), None, length=3000)
    assert loss(last) < 0.1 * loss(jnp.zeros(2))


def test_a_number_of_decay_is_coupled_and_other_kinds_are_refused():
    g, theta = jnp.array([2.0]), jnp.array([5.0])
    number, kind = gradtx.cocob(weight_decay=0.1), gradtx.cocob(weight_decay=gradtx.coupled(0.1))
    first = gradtx.cocob()
    expected, _ = first.update(g + 0.1 * theta, first.init(theta), theta)
    for tx in (number, kind):
        chex.assert_trees_all_close(tx.update(g, tx.init(theta), theta)[0], expected)
    for refused in (gradtx.decoupled(0.1), gradtx.independent(0.1, 1.0)):
        with pytest.raises(ValueError, match="cocob: weight_decay must be a number or coupled, got"):
            gradtx.cocob(weight_decay=refused)


def test_errors():
    tx = gradtx.scale_by_cocob()
    with pytest.raises(ValueError, match="scale_by_cocob needs params"):
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)))
    with pytest.raises(TypeError, match="complex"):
        tx.init({"z": jnp.ones(2, jnp.complex64)})
    with pytest.raises(ValueError, match=r"eps must be in \(0, inf\), got 0.0"):
        gradtx.scale_by_cocob(eps=0.0)
