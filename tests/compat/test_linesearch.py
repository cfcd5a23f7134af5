"""Line searches and L-BFGS, as Optax's programs call them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx.compat.optax as optax
from gradtx.compat.optax import linesearch

START = jnp.array([-1.2, 1.0, 0.5])
ZOOM, BACKTRACKING = optax.scale_by_zoom_linesearch, optax.scale_by_backtracking_linesearch


def bowl(x):
    """A bowl with unequal curvature."""
    return jnp.sum(jnp.arange(1.0, 4.0) * x**2)


def search(tx, x=START, loss=bowl, direction=None, **data):
    """One update along the gradient."""
    value, grad = jax.value_and_grad(loss)(x, **data)
    direction = -grad if direction is None else direction
    return tx.update(direction, tx.init(x), x, value=value, grad=grad, value_fn=loss, **data)


SEARCHES = {
    "backtracking": lambda ox: ox.chain(ox.sgd(1.0), ox.scale_by_backtracking_linesearch(20, store_grad=True)),
    "zoom": lambda ox: ox.chain(ox.sgd(1.0), ox.scale_by_zoom_linesearch(20)),
    "lbfgs": lambda ox: ox.lbfgs(),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_equals_optax(name):
    theirs = pytest.importorskip("optax")

    def run(ox):
        tx, value_and_grad, x = SEARCHES[name](ox), ox.value_and_grad_from_state(bowl), START
        state, rates = tx.init(x), []

        @jax.jit
        def step(x, state):
            value, grad = value_and_grad(x, state=state)
            updates, state = tx.update(grad, state, x, value=value, grad=grad, value_fn=bowl)
            return ox.apply_updates(x, updates), state

        for _ in range(4):
            x, state = step(x, state)
            rates.append(float(state[-1][0]))
        return x, rates, state

    with jax.numpy_dtype_promotion("standard"):
        wanted = run(theirs)
    x, rates, state = run(optax)
    np.testing.assert_allclose(x, wanted[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(rates, wanted[1], rtol=1e-4)
    assert state[-1].info.num_linesearch_steps == wanted[2][-1].info.num_linesearch_steps


@pytest.mark.parametrize("make", [ZOOM, BACKTRACKING])
def test_what_is_in_the_state(make):
    tx = optax.chain(optax.sgd(1.0), make(10))
    state = tx.init(START)
    assert jnp.isinf(optax.tree.get(state, "value"))
    _, state = search(tx, direction=jax.grad(bowl)(START))
    names = ("learning_rate", "value", "grad", "num_linesearch_steps", "decrease_error")
    assert all(len(optax.tree.get_all_with_path(state, name)) == 1 for name in names)
    assert float(state[-1][0]) == float(optax.tree.get(state, "learning_rate")) > 0
    assert jnp.isfinite(optax.tree.get(state, "value"))
    assert len(optax.tree.get_all_with_path(state, "curvature_error")) == (make is ZOOM)


@pytest.mark.parametrize("make", [ZOOM, BACKTRACKING])
def test_the_first_guess_can_be_set(make):
    tx = make(10, increase_factor=1.5)
    value, grad = jax.value_and_grad(bowl)(START)
    state = optax.tree.set(tx.init(START), learning_rate=jnp.float32(0.125))
    _, state = tx.update(-grad, state, START, value=value, grad=grad, value_fn=bowl)
    assert float(state.learning_rate) == (0.125 if make is ZOOM else 0.125 * 1.5)
    assert int(state.info.num_linesearch_steps) == 1


@pytest.mark.parametrize("make", [ZOOM, BACKTRACKING])
def test_arguments(make):
    loss = lambda x, scale: scale * bowl(x)
    assert search(make(5), loss=loss, scale=2.0)[1].learning_rate > 0
    tx, calls = make(5), {"value": 1.0, "grad": START, "value_fn": bowl}
    with pytest.raises(TypeError, match="Unexpected keyword arguments"):
        tx.update(START, tx.init(START), START, **calls, batch=3)
    with pytest.raises(TypeError, match="Unexpected keyword arguments"):
        optax.chain(optax.scale(-1.0), tx).update(START, (optax.EmptyState(), tx.init(START)), START, **calls, batch=3)
    for missing in calls:
        with pytest.raises(TypeError, match=missing):
            tx.update(START, tx.init(START), START, **{k: v for k, v in calls.items() if k != missing})


def test_value_and_grad_from_state():
    value_and_grad = optax.value_and_grad_from_state(bowl)
    for tx in (optax.scale_by_adam(), BACKTRACKING(5)):
        with pytest.raises(ValueError, match="keeps no"):
            value_and_grad(START, state=tx.init(START))
    with pytest.raises(KeyError):
        value_and_grad(START, state=optax.chain(BACKTRACKING(5), BACKTRACKING(5)).init(START))
    tx = BACKTRACKING(20, store_grad=True)
    value, grad = value_and_grad(START, state=tx.init(START))
    np.testing.assert_allclose((value, grad[0]), (bowl(START), -2.4), rtol=1e-6)
    updates, state = tx.update(-grad, tx.init(START), START, value=value, grad=grad, value_fn=bowl)
    other = jax.jit(optax.value_and_grad_from_state(lambda x: jnp.sum(x) + 7))
    new = optax.apply_updates(START, updates)
    value, grad = other(new, state=state)
    np.testing.assert_allclose(value, bowl(new), rtol=1e-5)
    np.testing.assert_allclose(grad, jax.grad(bowl)(new), rtol=1e-5)


VERBOSE = {
    "uphill": (lambda x: x, 18, None, jnp.array([1.0]), {"NOT_A_DESCENT_DIRECTION", "NO_STEPSIZE_FOUND"}),
    "short": (lambda x: x**2, 10, 10.0, jnp.array([1.0]), {"INTERVAL_NOT_FOUND", "CURVATURE_COND_NOT_SATISFIED"}),
    "few steps": (lambda x: x**2, 5, None, jnp.array([1.0]), {"CURVATURE_COND_NOT_SATISFIED"}),
    "good": (lambda x: x**2, 20, None, jnp.array([1.0]), set()),
}


@pytest.mark.parametrize("name", VERBOSE)
def test_verbose(name, capfd):
    loss, steps, longest, direction, flags = VERBOSE[name]
    tx = ZOOM(steps, longest, curv_rtol=0.5, verbose=True)
    search(tx, jnp.array([-60.0]), lambda x: jnp.sum(loss(x)), direction)
    jax.effects_barrier()
    printed = capfd.readouterr().out
    texts = {flag: getattr(linesearch, f"FLAG_{flag}") for flag in VERBOSE_FLAGS}
    assert {flag for flag, text in texts.items() if text in printed} == flags


VERBOSE_FLAGS = (
    "NOT_A_DESCENT_DIRECTION", "NO_STEPSIZE_FOUND", "CURVATURE_COND_NOT_SATISFIED", "INTERVAL_NOT_FOUND",
    "INTERVAL_TOO_SMALL",
)  # fmt: skip


def test_verbose_on_flat_ground(capfd):
    flat = lambda x: jnp.sum(jnp.exp(-1 / x**2))
    search(ZOOM(30, verbose=True), jnp.array([-0.2]), flat)
    search(BACKTRACKING(2, verbose=True), START, bowl, jax.grad(bowl)(START))
    jax.effects_barrier()
    printed = capfd.readouterr().out
    assert linesearch.FLAG_INTERVAL_TOO_SMALL in printed
    assert linesearch.FLAG_NO_STEPSIZE_FOUND in printed


@pytest.mark.parametrize("make", [ZOOM, BACKTRACKING])
@pytest.mark.parametrize(("dtype", "other"), [("float16", "float32"), ("float64", "bfloat16")])
def test_states_keep_their_dtypes(make, dtype, other):
    with jax.enable_x64(True):
        names = (
            "slope_rtol",
            "increase_factor",
            *(("tol", "curv_rtol") if make is ZOOM else ("atol", "decrease_factor")),
        )
        tx = make(5, **{name: jnp.array(1e-5, other) for name in names})
        x = jnp.array([1.0, 2.0], dtype)
        loss = lambda x: jnp.sum(x**2).astype(other)
        step = lambda state: tx.update(-x, state, x, value=1.0, grad=2 * x, value_fn=loss)
        updates, state = jax.eval_shape(step, tx.init(x))
        assert jax.eval_shape(tx.init, x) == state
        assert updates.dtype == dtype
        assert all(not y.weak_type for y in jax.tree.leaves(state))
