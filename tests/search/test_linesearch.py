"""Both line searches: the conditions they promise, how they fail, and what they refuse."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.search.test_lbfgs import rosenbrock

ZOOM = gradtx.scale_by_zoom_linesearch(30)
BACKTRACKING = gradtx.scale_by_backtracking_linesearch(40)
both = pytest.mark.parametrize("tx", [ZOOM, BACKTRACKING], ids=lambda tx: tx.name)


def steep(x):
    return jnp.sum(jnp.abs(x) ** 3) + jnp.prod(jnp.sin(3 * x))


def barrier(x):
    """Not finite beyond the walls."""
    return -jnp.sum(jnp.log(1 - x**2)) + jnp.sum(x)


def search(tx, loss, x, u, **more):
    value, grad = jax.value_and_grad(loss)(x)
    return tx.update(u, tx.init(x), x, value=value, grad=grad, value_fn=loss, **more)


LOSSES = pytest.mark.parametrize("loss", [rosenbrock, steep, barrier], ids=lambda f: f.__name__)


@LOSSES
def test_zoom_satisfies_the_strong_wolfe_conditions(loss):
    rng = np.random.default_rng(0)

    @jax.jit
    @partial(jax.vmap, in_axes=(None, 0, 0))
    def run(tx, x, factors):
        u = factors * jax.grad(loss)(x)
        updates, state = search(tx, loss, x, u)
        return u, updates, state, *(jax.value_and_grad(loss)(at) for at in (x, x + updates))

    with jax.enable_x64(True):
        starts = jnp.asarray(rng.uniform(-0.9, 0.9, (20, 4)))
        factors = -np.repeat([1e-3, 1e-1, 1.0, 30.0], 5)[:, None] * rng.uniform(0.5, 2, (20, 4))
        for curv_rtol in (0.9, 0.1):
            tx = gradtx.scale_by_zoom_linesearch(40, curv_rtol=curv_rtol, approx_dec_rtol=None)
            u, updates, state, (before, g), (after, slopes) = run(tx, starts, factors)
            eta, slope = state.learning_rate, np.sum(u * g, axis=1)
            assert (eta > 0).all()
            assert (state.info.decrease_error == 0).all() and (state.info.curvature_error == 0).all()
            assert (after <= before + 1e-4 * eta * slope + 1e-14).all()
            assert (abs(np.sum(u * slopes, axis=1)) <= curv_rtol * abs(slope) * (1 + 1e-9)).all()
            np.testing.assert_allclose(updates, eta[:, None] * u)
            np.testing.assert_allclose(state.value, after, rtol=1e-12)
            np.testing.assert_allclose(state.grad, slopes, rtol=1e-9, atol=1e-9)


@LOSSES
def test_backtracking_takes_the_first_step_that_falls_enough(loss):
    with jax.enable_x64(True):
        x = jnp.array([0.3, -0.5, 0.8])
        value, g = jax.jit(jax.value_and_grad(loss))(x)
        updates, state = jax.jit(lambda x, u: search(BACKTRACKING, loss, x, u))(x, -g)
        longest = min(1, 2 * abs(value) / (g @ g))
        lengths = longest * 0.8 ** np.arange(60)
        values = jax.jit(jax.vmap(loss))(x - lengths[:, None] * g)
        k = next(k for k in range(60) if values[k] <= value - 1e-4 * lengths[k] * (g @ g))
        np.testing.assert_allclose(state.learning_rate, longest * 0.8**k)
        np.testing.assert_allclose(updates, -longest * 0.8**k * g)
        assert state.info.num_linesearch_steps == k + 1 and state.grad is None


def test_approximate_decrease_where_rounding_hides_the_real_one():
    with jax.enable_x64(True):
        loss = lambda x: 1 + jnp.sum(x**2)
        x = jnp.array([1e-9])
        tx = gradtx.scale_by_zoom_linesearch(20, approx_dec_rtol=1e-6)
        updates, state = jax.jit(lambda x: search(tx, loss, x, -x))(x)
        assert state.info.decrease_error == 0
        np.testing.assert_allclose(x + updates, 0, atol=1e-20)


@both
@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf])
def test_bad_start_stays_and_says_so(tx, bad):
    x = jnp.array([1.0, bad])
    updates, state = jax.jit(lambda x: search(tx, rosenbrock, x, -x))(x)
    np.testing.assert_array_equal(updates, [0, 0])
    assert state.learning_rate == 0 and not jnp.isfinite(state.value)
    assert state.info.num_linesearch_steps == 0 and jnp.isinf(state.info.decrease_error)


@both
def test_nowhere_finite_stays_and_says_so(tx):
    loss = lambda x: jnp.where(jnp.all(x == 1), jnp.sum(x), jnp.nan)
    updates, state = jax.jit(lambda x: search(tx, loss, x, -x))(jnp.ones(2))
    np.testing.assert_array_equal(updates, [0, 0])
    assert jnp.isinf(state.info.decrease_error) and state.value == 2 and state.info.num_linesearch_steps > 0
    again = lambda state, x: tx.update(-x, state, x, value=2.0, grad=x, value_fn=jnp.sum)[1]
    after = jax.jit(again)(state, jnp.ones(2))
    assert after.learning_rate > 0  # the next search begins anew


def test_uphill_stays_and_says_so():
    x = jnp.array([0.5, 0.5])
    updates, state = jax.jit(lambda x: search(ZOOM, rosenbrock, x, jax.grad(rosenbrock)(x)))(x)
    np.testing.assert_array_equal(updates, [0, 0])
    assert state.info.decrease_error > 0 and state.value == rosenbrock(x)


def test_longest_step():
    tx = gradtx.scale_by_zoom_linesearch(20, max_learning_rate=2.0)
    _, state = jax.jit(lambda x: search(tx, jnp.sum, x, -x))(jnp.ones(2))
    assert state.learning_rate == 2 and state.info.decrease_error == 0 and state.info.curvature_error > 0


def test_keep_and_one():
    x, u = jnp.array([10.0]), jnp.array([-0.1])
    for strategy, second in (("keep", 1), ("one", 6)):
        tx = gradtx.scale_by_zoom_linesearch(30, initial_guess_strategy=strategy, curv_rtol=0.5, relative=False)
        _, state = search(tx, lambda x: jnp.sum(x**2), x, u)
        assert state.info.num_linesearch_steps > 5
        value, grad = jnp.sum(x**2), 2 * x
        again = tx.update(u, state, x, value=value, grad=grad, value_fn=lambda x: jnp.sum(x**2))[1]
        assert (again.info.num_linesearch_steps == 1) == (second == 1)


@both
@pytest.mark.parametrize("missing", ["value", "grad", "value_fn"])
def test_missing_argument_is_a_type_error_that_names_it(tx, missing):
    x = jnp.ones(2)
    extra = {"value": 1.0, "grad": x, "value_fn": rosenbrock}
    del extra[missing]
    with pytest.raises(TypeError, match=f"^{tx.name} needs {missing}: call update"):
        tx.update(x, tx.init(x), x, **extra)
    with pytest.raises(TypeError, match=f"needs {missing}"):
        whole = gradtx.chain(gradtx.sgd(1.0), tx)
        whole.update(x, whole.init(x), x, **extra)


@both
def test_data_reaches_the_loss(tx):
    x, loss = jnp.ones(2), lambda x, target: jnp.sum((x - target) ** 2)
    extra = {"value": 2.0, "grad": 2 * x, "value_fn": loss, "target": jnp.zeros(2)}
    updates, _ = tx.update(-x, tx.init(x), x, **extra, for_another_link=3)
    np.testing.assert_allclose(updates, -x)
    del extra["target"]
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'target'"):
        tx.update(-x, tx.init(x), x, **extra)
    with pytest.raises(ValueError, match=f"{tx.name} needs params"):
        tx.update(-x, tx.init(x), **extra)
    with pytest.raises(ValueError, match=r"params and grad differ at \(root\): \(2,\) != \(3,\)"):
        tx.update(-x, tx.init(x), x, **(extra | {"grad": jnp.ones(3)}))


def test_value_and_grad_from_state():
    calls = []

    def loss(x):
        jax.debug.callback(lambda: calls.append(1))
        return jnp.sum(x**2)

    x = jnp.ones(2)
    tx = gradtx.chain(gradtx.sgd(1.0), gradtx.scale_by_backtracking_linesearch(20, store_grad=True))
    from_state = gradtx.value_and_grad_from_state(loss)
    value, grad = from_state(x, state=tx.init(x))
    assert value == 2 and len(calls) == 1
    updates, state = tx.update(grad, tx.init(x), x, value=value, grad=grad, value_fn=jax.jit(lambda x: jnp.sum(x**2)))
    x = x + updates
    value, grad = from_state(x, state=state)
    jax.effects_barrier()
    assert len(calls) == 1
    np.testing.assert_allclose(value, jnp.sum(x**2))
    np.testing.assert_allclose(grad, 2 * x)
    with pytest.raises(ValueError, match="no line search in the state keeps a gradient"):
        from_state(x, state=gradtx.adam(0.1).init(x))
    with pytest.raises(KeyError, match="2 line searches"):
        from_state(x, state=(state, state))
