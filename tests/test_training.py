"""Values at work: gradients of a whole training run, and sixty-four networks on real digits in one program."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits

import gradtx

STEPS = 10


def network(params, x):
    return jnp.tanh(x @ params["w1"] + params["b1"]) @ params["w2"]


def training_loss(params, x, y):
    return jnp.mean(jnp.square(network(params, x) - y))


def problem():
    """A small regression; no output depends on `idle`, so its gradient is exactly zero at every step."""
    rng = np.random.default_rng(0)
    shapes = {"w1": (4, 6), "b1": (6,), "w2": (6, 2), "idle": (3,)}
    params = {name: jnp.asarray(rng.standard_normal(shape)) for name, shape in shapes.items()}
    x, held_out = rng.standard_normal((2, 16, 4))
    return params, jnp.asarray(x), jnp.asarray(np.sin(x[:, :2])), jnp.asarray(held_out)


def loss_after_training(tx, params, x, y, held_out):
    def body(carry, _):
        params, state = carry
        grads = jax.grad(training_loss)(params, x, y)
        return gradtx.step(tx, params, state, grads), None

    (params, _), _ = jax.lax.scan(body, (params, tx.init(params)), length=STEPS)
    return training_loss(params, held_out, jnp.sin(held_out[:, :2])) + jnp.sum(jnp.square(params["idle"]))


def central_difference(f, x, h):
    """Of fourth order: exact to h^4 f^(5) / 30."""
    return (f(x - 2 * h) - 8 * f(x - h) + 8 * f(x + h) - f(x + 2 * h)) / (12 * h)


@pytest.mark.parametrize("eps_root", [0.0, 1e-3])
@pytest.mark.parametrize("eps", [1e-3, 1e-8])
def test_hypergradients_equal_finite_differences(eps, eps_root):
    with jax.enable_x64(True):
        data = problem()
        idle = jax.grad(training_loss)(*data[:3])["idle"]
        chex.assert_trees_all_equal(idle, jnp.zeros(3))
        loss = jax.jit(lambda tx: loss_after_training(tx, *data))
        tx = gradtx.adamw(0.05, 0.8, 0.95, eps, eps_root=eps_root, weight_decay=0.1)
        slopes = gradtx.hyperparameters(jax.jit(jax.grad(lambda tx: loss_after_training(tx, *data)))(tx))
        assert sorted(slopes) == ["b1", "b2", "eps", "eps_root", "learning_rate", "weight_decay"]
        chex.assert_tree_all_finite(slopes)
        checked = {name: x for name, x in gradtx.hyperparameters(tx).items() if x > 1e-6}  # no room below zero
        assert len(checked) == 4 + (eps > 1e-6) + (eps_root > 0)
        for name, x in checked.items():
            numeric = central_difference(lambda x, name=name: loss(gradtx.replace(tx, **{name: x})), x, 1e-3 * x)
            assert abs(numeric) > 1e-6
            chex.assert_trees_all_close(slopes[name], numeric, rtol=1e-6, custom_message=name)


def test_a_gradient_step_on_the_learning_rate_lowers_the_final_loss():
    data = problem()
    loss = jax.jit(jax.value_and_grad(lambda tx: loss_after_training(tx, *data)))
    tx = gradtx.adam(1e-3)
    before, slopes = loss(tx)
    after, _ = loss(gradtx.replace(tx, learning_rate=tx.learning_rate - 1e-3 * float(slopes.learning_rate)))
    assert slopes.learning_rate < 0
    assert after < before


def digits(examples):
    x, labels = map(np.asarray, load_digits(return_X_y=True))
    return jnp.asarray(x[:examples] / 16), jnp.asarray(labels[:examples])


def cross_entropy(params, x, labels):
    scores = jax.nn.log_softmax(network(params, x))
    return -jnp.mean(jnp.take_along_axis(scores, labels[:, None], axis=1))


def test_sixty_four_digit_networks_train_in_one_program():
    with jax.enable_x64(True):
        x, labels = digits(256)
        rng = np.random.default_rng(1)
        start = {"w1": jnp.asarray(0.2 * rng.standard_normal((64, 12))), "b1": jnp.zeros(12)}
        start["w2"] = jnp.asarray(0.2 * rng.standard_normal((12, 10)))
        traces = []

        def train(tx):
            traces.append(tx)

            def body(carry, _):
                value, grads = jax.value_and_grad(cross_entropy)(carry[0], x, labels)
                return gradtx.step(tx, carry[0], carry[1], grads), value

            (params, _), losses = jax.lax.scan(body, (start, tx.init(start)), length=30)
            return params, losses

        rates = jnp.logspace(-4, -1, 64)
        params, losses = jax.jit(jax.vmap(train))(jax.vmap(gradtx.adam)(rates))
        assert len(traces) == 1
        assert losses.shape == (64, 30)
        alone = jax.jit(train)
        for i, rate in enumerate(rates.tolist()):
            expected = alone(gradtx.adam(rate))
            chex.assert_trees_all_close(
                (jax.tree.map(lambda p, i=i: p[i], params), losses[i]), expected, rtol=1e-6, atol=1e-9
            )
        assert len(traces) == 2
        assert losses[:, -1].min() < 0.5 < 2 < losses[0, -1]
