"""Hypergradient descent: steps by hand, the derivative it follows, its cap, its decay, errors."""

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx

ONE = jnp.array([1.0])


def rates(tx, grads):
    state, out = tx.init(ONE), []
    for g in grads:
        _, state = tx.update(g * ONE, state, ONE)
        out.append(float(state.learning_rate))
    return out


def test_three_steps_by_hand():
    """eta = 0.1; then 0.1 + 0.01 * 2 * 3; then less, for the gradient turns."""
    tx = gradtx.sgd_hd(0.1, 0.01)
    assert rates(tx, [2.0, 3.0, -1.0]) == pytest.approx([0.1, 0.16, 0.13])
    state = tx.init(ONE)
    _, state = tx.update(2 * ONE, state, ONE)
    updates, _ = tx.update(3 * ONE, state, ONE)
    chex.assert_trees_all_close(updates, -0.48 * ONE)


def test_the_multiplicative_form_by_hand():
    """Gradients of one coordinate have cosine 1 or -1, whatever their size."""
    tx = gradtx.sgd_hd(0.1, 0.5, form="multiplicative")
    assert rates(tx, [2.0, 3000.0, -1e-3]) == pytest.approx([0.1, 0.15, 0.075])


def test_adam_hd_follows_adams_direction():
    """Adam's first direction is sign(g), so eta grows by beta |g| at the second step."""
    assert rates(gradtx.adam_hd(0.1, 0.01, eps=1e-20), [5.0, 3.0]) == pytest.approx([0.1, 0.13])


@pytest.mark.parametrize("direction", [gradtx.scale_by_momentum(0.9, nesterov=True), gradtx.scale_by_adam()])
def test_the_change_of_eta_is_the_derivative_of_the_loss(direction):
    """-d f(theta - eta u) / d eta, by autodiff through the step before."""
    loss = lambda x: jnp.sum(jnp.square(x) * jnp.array([0.5, 2.0])) + jnp.prod(x)
    start = jnp.array([1.0, -2.0])
    tx = gradtx.hypergradient(direction, 0.1, 1e-2)
    updates, state = tx.update(jax.grad(loss)(start), tx.init(start), start)
    u, _ = direction.update(jax.grad(loss)(start), direction.init(start), start)
    slope = jax.grad(lambda eta: loss(start - eta * u))(0.1)
    _, after = tx.update(jax.grad(loss)(start + updates), state, start + updates)
    assert float(after.learning_rate) == pytest.approx(0.1 - 1e-2 * float(slope), rel=1e-5)


@pytest.mark.parametrize("learning_rate", [0.0, 1e-4, 0.5])
def test_a_wrong_first_learning_rate_is_corrected(learning_rate):
    """Also from zero, as the paper's code says."""
    tx = gradtx.sgd_hd(learning_rate, 1e-3)
    loss = lambda x: jnp.sum(jnp.square(x))

    def body(carry, _):
        x, state = carry
        updates, state = tx.update(jax.grad(loss)(x), state, x)
        return (x + updates, state), None

    start = jnp.array([3.0, -4.0])
    (last, _), _ = jax.lax.scan(body, (start, tx.init(start)), None, length=200)
    assert loss(last) < 1e-3


def test_the_cap_keeps_huge_gradients_finite():
    tx = gradtx.sgd_hd(0.1, 1e-3, max_learning_rate=0.2)
    state = tx.init(ONE)
    for g in (1e18, 1e18, -1e18):
        updates, state = tx.update(g * ONE, state, ONE)
        chex.assert_tree_all_finite((updates, state))
    assert abs(float(state.learning_rate)) == pytest.approx(0.2)


def test_decay_is_part_of_the_direction_or_of_the_gradient():
    """Decoupled: eta grows by beta g (g + lambda theta); coupled: by beta (g + lambda theta)^2."""
    decoupled = gradtx.sgd_hd(0.1, 0.01, weight_decay=0.5)
    coupled = gradtx.sgd_hd(0.1, 0.01, weight_decay=gradtx.coupled(0.5))
    for tx, product in ((decoupled, 1.5), (coupled, 2.25)):
        _, state = tx.update(ONE, tx.init(ONE), ONE)
        updates, _ = tx.update(ONE, state, ONE)
        chex.assert_trees_all_close(updates, -(0.1 + 0.01 * product) * 1.5 * ONE, rtol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match="sgd_hd: form must be one of 'additive', 'multiplicative', got 'geometric'"):
        gradtx.sgd_hd(0.1, 0.1, form="geometric")
    with pytest.raises(TypeError, match="hypergradient: direction must be a gradient transformation"):
        gradtx.hypergradient(0.1, 0.1, 0.1)  # pyright: ignore[reportArgumentType]
    tx = gradtx.sgd_hd(0.1, 0.1)
    state = tx.init({"a": ONE})
    with pytest.raises(ValueError, match="hypergradient: updates and state"):
        tx.update({"b": ONE}, state, {"b": ONE})
