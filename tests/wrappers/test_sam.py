"""SAM and ASAM: the climb, the two protocols, and Optax."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.support import make_params


def loss(params):
    """A bowl with unequal curvature."""
    return sum((i + 1) * jnp.sum(jnp.cosh(x)) for i, x in enumerate(jax.tree.leaves(params)))


def descend(tx, params, steps, **extra):
    @jax.jit
    def run(params):
        def step(carry, _):
            params, state = carry
            updates, state = tx.update(jax.grad(loss)(params), state, params, **extra)
            return (gradtx.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, tx.init(params)), length=steps)[0]

    return run(params)


def test_by_hand():
    tx = gradtx.sam(gradtx.sgd(0.1), rho=0.5)
    params = jnp.array([3.0, 4.0])
    # L = |theta|^2 / 2: the climb is 0.5 theta / 5, the gradient there 1.1 theta.
    updates, _ = tx.update(params, tx.init(params), params, grad_fn=lambda p: p)
    np.testing.assert_allclose(updates, -0.11 * params, rtol=1e-6)


def test_asam_by_hand():
    tx = gradtx.asam(gradtx.sgd(1.0), rho=0.5, eta=1.0)
    params, g = jnp.array([1.0, -3.0]), jnp.array([2.0, 1.0])
    # T = (2, 4), |T g| = |(4, 4)|, eps = 0.5 (8, 16) / sqrt(32).
    updates, _ = tx.update(g, tx.init(params), params, grad_fn=lambda p: p)
    np.testing.assert_allclose(updates, -(params + 0.5 * jnp.array([8.0, 16.0]) / np.sqrt(32)), rtol=1e-6)


def test_asam_follows_a_rescaling_of_the_parameters():
    climb = gradtx.scale_to_adaptive_norm(0.5, eta=0.0)
    params, g = make_params(seed=1), make_params(seed=2)
    factors = {"scalar": 10.0, "vector": 0.3, "matrix": 1.0, "kernel": 100.0}
    times = lambda tree, power: {k: factors[k] ** power * x for k, x in tree.items()}
    climbed = jax.jit(lambda g, params: climb.update(g, climb.init(params), params)[0])
    eps, other = climbed(g, params), climbed(times(g, -1), times(params, 1))
    chex.assert_trees_all_close(other, times(eps, 1), rtol=1e-5)


def test_rho_may_follow_a_schedule():
    tx = gradtx.sam(gradtx.sgd(1.0), rho=gradtx.linear_schedule(0.0, 2.0, 2))
    params = jnp.array([3.0, 4.0])
    state = tx.init(params)
    for rho in (0.0, 1.0, 2.0):
        updates, state = tx.update(params, state, params, grad_fn=lambda p: p)
        np.testing.assert_allclose(updates, -(1 + rho / 5) * params, rtol=1e-6)


@pytest.mark.parametrize("maker", [gradtx.sam, gradtx.asam])
def test_alternating_calls_make_the_same_steps(maker):
    params = make_params()
    once, _ = descend(maker(gradtx.adam(0.1), 0.3), params, 5, grad_fn=jax.grad(loss))
    twice, state = descend(maker(gradtx.adam(0.1), 0.3, alternate=True), params, 10)
    chex.assert_trees_all_close(twice, once, rtol=1e-5, atol=1e-5)
    chex.assert_trees_all_equal(gradtx.evaluation_params(state, twice), twice)


@pytest.mark.parametrize("climbs", [0, 1, 3])
def test_several_climbs_by_hand(climbs):
    params = jnp.array([3.0, 4.0])
    # L = |theta|^2 / 2: each climb is 0.5 along theta.
    wanted = -0.1 * (1 + 0.1 * climbs) * params
    make = lambda **kwargs: gradtx.sharpness_aware(gradtx.sgd(0.1), gradtx.scale_to_norm(0.5), climbs=climbs, **kwargs)
    updates, _ = make().update(params, make().init(params), params, grad_fn=lambda p: p)
    np.testing.assert_allclose(updates, wanted, rtol=1e-6)
    tx, p = make(alternate=True), params
    state = tx.init(params)
    for climb in range(climbs + 1):
        assert int(state.steps_since_sync) == climb
        updates, state = tx.update(p, state, p)
        p = gradtx.apply_updates(p, updates)
    np.testing.assert_allclose(p, params + wanted, rtol=1e-6)
    assert int(state.steps_since_sync) == 0


@pytest.mark.parametrize("alternate", [False, True])
def test_a_climb_may_start_anew_after_each_step(alternate):
    climb, params = gradtx.chain(gradtx.scale_by_adam(), gradtx.scale(0.1)), make_params()
    for reset, count in ((True, 0), (False, 6)):
        tx = gradtx.sharpness_aware(gradtx.sgd(0.1), climb, climbs=2, reset_climb=reset, alternate=alternate)
        _, state = descend(tx, params, 9 if alternate else 3, grad_fn=jax.grad(loss))
        assert int(state.adv_state[0].count) == count


def test_evaluation_params_leave_out_the_climb():
    params = make_params()
    climbed, state = descend(gradtx.sam(gradtx.sgd(0.1), 0.3, alternate=True), params, 1)
    assert float(loss(climbed)) > float(loss(params))
    chex.assert_trees_all_equal(gradtx.evaluation_params(state, climbed), params)


def test_zero_gradient_does_not_climb():
    tx = gradtx.sam(gradtx.sgd(0.1))
    params = jnp.ones(3)
    updates, _ = tx.update(jnp.zeros(3), tx.init(params), params, grad_fn=lambda p: p - 1)
    np.testing.assert_array_equal(updates, jnp.zeros(3))


def test_the_climb_is_the_steepest_of_its_length():
    climb, g = gradtx.scale_to_norm(0.3), make_params()
    eps, _ = climb.update(g, climb.init(g))
    norm = lambda tree: np.sqrt(sum(np.sum(np.square(x)) for x in jax.tree.leaves(tree)))
    along = sum(float(jnp.vdot(a, b)) for a, b in zip(jax.tree.leaves(g), jax.tree.leaves(eps), strict=True))
    np.testing.assert_allclose(norm(eps), 0.3, rtol=1e-5)
    np.testing.assert_allclose(along, 0.3 * norm(g), rtol=1e-5)


def test_agrees_with_optax():
    optax = pytest.importorskip("optax")
    contrib = pytest.importorskip("optax.contrib")
    params, rho = make_params(), 0.3
    climb = optax.chain(contrib.normalize(), optax.sgd(rho))
    theirs = contrib.sam(optax.adam(0.1), climb, opaque_mode=True)
    with jax.numpy_dtype_promotion("standard"):
        end, _ = descend(theirs, params, 20, grad_fn=lambda p, _: jax.grad(loss)(p))
    ours, _ = descend(gradtx.sam(gradtx.adam(0.1), rho), params, 20, grad_fn=jax.grad(loss))
    chex.assert_trees_all_close(ours, end, rtol=1e-5, atol=1e-5)


def test_errors():
    tx = gradtx.sam(gradtx.sgd(0.1))
    params = {"w": jnp.ones(3)}
    with pytest.raises(TypeError, match="needs grad_fn: call update"):
        tx.update(params, tx.init(params), params)
    with pytest.raises(ValueError, match="needs params"):
        tx.update(params, tx.init(params), grad_fn=lambda p: p)
    with pytest.raises(ValueError, match=r"grad_fn\(params\) have different trees"):
        tx.update(params, tx.init(params), params, grad_fn=lambda p: p["w"])
    with pytest.raises(ValueError, match=r"sam: rho must be in \[0, inf\), got -1"):
        gradtx.sam(gradtx.sgd(0.1), -1)
