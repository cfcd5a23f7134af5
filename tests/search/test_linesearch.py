"""Both line searches: the conditions they promise, how they fail, and what they refuse."""

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
@pytest.mark.parametrize("curv_rtol", [0.9, 0.1])
def test_zoom_satisfies_the_strong_wolfe_conditions(loss, curv_rtol):
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        tx = gradtx.scale_by_zoom_linesearch(40, curv_rtol=curv_rtol, approx_dec_rtol=None)
        run = jax.jit(lambda x, u: search(tx, loss, x, u))
        for scale in (1e-3, 1e-1, 1.0, 30.0):
            for _ in range(5):
                x = jnp.asarray(rng.uniform(-0.9, 0.9, 4))
                g = jax.grad(loss)(x)
                u = -scale * g * jnp.asarray(rng.uniform(0.5, 2, 4))
                updates, state = run(x, u)
                eta, end = state.learning_rate, x + updates
                assert eta > 0 and state.info.decrease_error == state.info.curvature_error == 0
                assert loss(end) <= loss(x) + 1e-4 * eta * (u @ g) + 1e-14
                assert abs(u @ jax.grad(loss)(end)) <= curv_rtol * abs(u @ g) * (1 + 1e-9)
                np.testing.assert_allclose(updates, eta * u)
                np.testing.assert_allclose(state.value, loss(end), rtol=1e-12)
                np.testing.assert_allclose(state.grad, jax.grad(loss)(end), rtol=1e-9, atol=1e-9)


@LOSSES
def test_backtracking_takes_the_first_step_that_falls_enough(loss):
    with jax.enable_x64(True):
        x = jnp.array([0.3, -0.5, 0.8])
        g = jax.grad(loss)(x)
        updates, state = search(BACKTRACKING, loss, x, -g)
        falls = lambda eta: loss(x - eta * g) <= loss(x) - 1e-4 * eta * (g @ g)
        longest = min(1, 2 * abs(loss(x)) / (g @ g))
        k = next(k for k in range(60) if falls(longest * 0.8**k))
        np.testing.assert_allclose(state.learning_rate, longest * 0.8**k)
        np.testing.assert_allclose(updates, -longest * 0.8**k * g)
        assert state.info.num_linesearch_steps == k + 1 and state.grad is None


def test_approximate_decrease_where_rounding_hides_the_real_one():
    with jax.enable_x64(True):
        loss = lambda x: 1 + jnp.sum(x**2)
        x = jnp.array([1e-9])
        find = lambda approx: search(gradtx.scale_by_zoom_linesearch(20, approx_dec_rtol=approx), loss, x, -x)
        assert find(1e-6)[1].info.decrease_error == 0
        np.testing.assert_allclose(x + find(1e-6)[0], 0, atol=1e-20)


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
    updates, state = search(tx, loss, jnp.ones(2), -jnp.ones(2))
    np.testing.assert_array_equal(updates, [0, 0])
    assert jnp.isinf(state.info.decrease_error) and state.value == 2 and state.info.num_linesearch_steps > 0
    after = tx.update(-jnp.ones(2), state, jnp.ones(2), value=2.0, grad=jnp.ones(2), value_fn=jnp.sum)[1]
    assert after.learning_rate > 0  # the next search begins anew


def test_uphill_stays_and_says_so():
    x = jnp.array([0.5, 0.5])
    updates, state = search(ZOOM, rosenbrock, x, jax.grad(rosenbrock)(x))
    np.testing.assert_array_equal(updates, [0, 0])
    assert state.info.decrease_error > 0 and state.value == rosenbrock(x)


def test_longest_step():
    tx = gradtx.scale_by_zoom_linesearch(20, max_learning_rate=2.0)
    _, state = search(tx, lambda x: jnp.sum(x), jnp.ones(2), -jnp.ones(2))
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
