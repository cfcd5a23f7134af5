"""`solve`, Newton-CG, and second derivatives."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.search.test_lbfgs import rosenbrock

START = (-1.2, 1.0)


def bowl(x, curvature):
    return jnp.sum(curvature * (x - 1) ** 2) / 2


@pytest.mark.parametrize(
    "n", [2, 10, pytest.param(100, marks=pytest.mark.slow), pytest.param(1000, marks=pytest.mark.slow)]
)
def test_rosenbrock(n):
    with jax.enable_x64(True):
        end = gradtx.solve(rosenbrock, jnp.tile(jnp.asarray(START), n // 2), tol=1e-7, max_iterations=10_000)
        assert end.converged and end.gradient_norm <= 1e-7 and end.evaluations >= end.iterations
        np.testing.assert_allclose(end.value, rosenbrock(end.params), atol=1e-25)
        np.testing.assert_allclose(end.params, np.ones(n), atol=1e-6)


@pytest.mark.parametrize(
    "tx",
    [
        gradtx.newton_cg(),
        gradtx.chain(gradtx.sgd(1.0), gradtx.scale_by_backtracking_linesearch(20)),
        gradtx.chain(gradtx.scale_by_adam(), gradtx.scale(-1.0), gradtx.scale_by_zoom_linesearch(20)),
        gradtx.sgd(0.1),
    ],
    ids=["newton_cg", "backtracking", "adam with zoom", "sgd"],
)
def test_other_optimizers(tx):
    end = gradtx.solve(bowl, jnp.zeros(3), tx, tol=1e-4, args=(jnp.array([1.0, 2.0, 3.0]),))
    assert end.converged
    np.testing.assert_allclose(end.params, np.ones(3), atol=1e-4)


def test_evaluations_are_counted():
    calls = []

    def counted(x):
        jax.debug.callback(lambda: calls.append(1))
        return rosenbrock(x)

    with jax.enable_x64(True):
        for tx in (gradtx.lbfgs(), gradtx.chain(gradtx.sgd(1.0), gradtx.scale_by_backtracking_linesearch(30))):
            calls.clear()
            end = gradtx.solve(counted, jnp.asarray(START), tx, max_iterations=12)
            jax.effects_barrier()
            assert end.iterations == 12 and end.evaluations == len(calls)


def test_stops():
    at_minimum = gradtx.solve(rosenbrock, jnp.ones(2))
    assert at_minimum.converged and at_minimum.iterations == 0 and at_minimum.evaluations == 1
    short = gradtx.solve(rosenbrock, jnp.asarray(START), max_iterations=3)
    assert not short.converged and short.iterations == 3
    bad = gradtx.solve(rosenbrock, jnp.array([1.0, jnp.nan]))
    assert not bad.converged and bad.iterations == 0 and jnp.isnan(bad.value)
    stuck = gradtx.solve(rosenbrock, jnp.asarray(START), tol=0.0)  # float32 cannot
    assert stuck.iterations < 1000


@pytest.mark.parametrize(("dtype", "n"), [("float32", 2), ("float32", 20), ("float64", 5)])
def test_the_default_tolerance_can_be_met(dtype, n):
    with jax.enable_x64(dtype == "float64"):
        end = gradtx.solve(rosenbrock, jnp.asarray(np.resize(START, n), dtype))
        assert end.converged and end.value < (1e-10 if dtype == "float32" else 1e-18), end.message
        again = gradtx.solve(rosenbrock, end.params)
        assert again.converged and again.iterations <= 5, again.message


def test_the_reason():
    start, reason = jnp.asarray(START), gradtx.StopReason
    never = gradtx.scale(0.0)
    near = jnp.array([1.0, 1.001])  # 100 does not see what is left
    offset = lambda x: 100 + bowl(x, jnp.array([1.0, 1e-3]))
    ends = {
        reason.GRADIENT: gradtx.solve(rosenbrock, start),
        reason.PRECISION: gradtx.solve(offset, near, never, tol=0.0),
        reason.STUCK: gradtx.solve(rosenbrock, start, never),
        reason.ITERATIONS: gradtx.solve(rosenbrock, start, max_iterations=3),
        reason.NOT_FINITE: gradtx.solve(rosenbrock, jnp.array([1.0, jnp.nan])),
    }
    for why, end in ends.items():
        assert end.reason.dtype == jnp.int32 and reason(int(end.reason)) is why, (why, end.message)
        assert bool(end.converged) == (why is reason.GRADIENT)
    assert "max_iterations" in ends[reason.ITERATIONS].message
    assert len({end.message for end in ends.values()}) == len(reason)
    resting = gradtx.solve(offset, near, never)
    assert resting.converged and resting.reason == reason.PRECISION


def test_under_jit_and_vmap():
    starts = jnp.array([START, (0.0, 0.0), (2.0, 2.0), (1.0, jnp.inf)])
    run = lambda x: gradtx.solve(rosenbrock, x, tol=1e-3)._replace(state=())
    together, apart = jax.jit(jax.vmap(run))(starts), [run(x) for x in starts]
    assert together.reason.tolist() == [*[gradtx.StopReason.GRADIENT] * 3, gradtx.StopReason.NOT_FINITE]
    assert together.converged.tolist() == [bool(x.converged) for x in apart] == [True] * 3 + [False]
    chex.assert_trees_all_close(together.params[:3], jnp.stack([x.params for x in apart[:3]]), atol=5e-3)


def test_trees_and_complex_parameters():
    target = {"a": jnp.array([1 + 2j, -3j], jnp.complex64), "b": jnp.float32(4.0)}
    weights = jnp.array([1.0, 5.0])

    def loss(p):
        return jnp.sum(weights * jnp.abs(p["a"] - target["a"]) ** 2) + (p["b"] - target["b"]) ** 2

    end = gradtx.solve(loss, jax.tree.map(jnp.zeros_like, target), tol=1e-4)
    assert end.converged
    chex.assert_trees_all_close(end.params, target, atol=1e-4)


def test_progress(capsys):
    pytest.importorskip("tqdm")
    plain = gradtx.solve(rosenbrock, jnp.asarray(START), tol=1e-3)
    shown = gradtx.solve(rosenbrock, jnp.asarray(START), tol=1e-3, progress=True)
    chex.assert_trees_all_close(plain, shown, rtol=1e-6)
    assert "solve" in capsys.readouterr().err


def test_errors():
    with pytest.raises(TypeError, match="solve: fun must be a function"):
        gradtx.solve(3, jnp.ones(2))  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match=r"solve: the parameter at \['i'\] is int32"):
        gradtx.solve(lambda p: 0.0, {"i": jnp.arange(2)})
    tx = gradtx.scale_by_newton_cg()
    with pytest.raises(TypeError, match="scale_by_newton_cg needs value_fn"):
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)), jnp.ones(2))


def test_newton_cg_solves_newtons_equations():
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        a = rng.standard_normal((6, 6))
        hessian = jnp.asarray(a @ a.T + np.eye(6))
        loss = lambda x: x @ hessian @ x / 2
        g, x = jnp.asarray(rng.standard_normal(6)), jnp.ones(6)
        tx = gradtx.scale_by_newton_cg(rtol=1e-10)
        step = jax.jit(lambda tx, state: tx.update(g, state, x, value_fn=loss))
        u, state = step(tx, tx.init(x))
        np.testing.assert_allclose(u, np.linalg.solve(hessian, g), rtol=1e-8)
        assert 1 <= state.num_cg_steps <= 8 and state.residual < 1e-9
        rough, state = step(gradtx.scale_by_newton_cg(2), state)
        assert state.num_cg_steps <= 2 and rough @ g > 0


def test_newton_cg_without_curvature_is_along_the_gradient():
    g, x = jnp.array([3.0, -4.0]), jnp.zeros(2)
    tx = gradtx.scale_by_newton_cg()
    step = jax.jit(lambda loss, value=None: tx.update(g, tx.init(x), x, value_fn=loss, value=value), static_argnums=0)
    u, state = step(lambda x: -jnp.sum(x**2))
    np.testing.assert_allclose(u, g / 2, rtol=1e-6)
    assert state.num_cg_steps == 1 and state.gradient_norm == 5
    np.testing.assert_allclose(step(jnp.sum, 5.0)[0], g / 5 * 2, rtol=1e-6)
    np.testing.assert_allclose(step(jnp.sum, 0.0)[0], g / 5, rtol=1e-6)


def test_second_order():
    params = {"w": jnp.array([0.5, -1.0, 2.0]), "b": jnp.float32(0.3)}
    x, y = jnp.arange(12.0).reshape(4, 3) / 10, jnp.array([0.0, 1.0, 1.0, 0.0])

    def loss(p, x, y):
        z = x @ p["w"] + p["b"]
        return jnp.mean(jnp.log1p(jnp.exp(z)) - y * z)

    p = 1 / (1 + np.exp(-(np.asarray(x) @ np.asarray(params["w"]) + 0.3)))
    rows = np.concatenate([np.asarray(x), np.ones((4, 1))], axis=1)
    hessian = rows.T @ (rows * (p * (1 - p))[:, None]) / 4
    v = {"w": jnp.array([1.0, 2.0, -1.0]), "b": jnp.float32(0.5)}
    joined = lambda tree: np.concatenate([np.asarray(tree["w"]), [tree["b"]]])
    product, *diagonals = jax.jit(
        lambda *of: (gradtx.hvp(loss, v, *of), gradtx.hessian_diag(loss, *of), gradtx.fisher_diag(loss, *of))
    )(params, x, y)
    np.testing.assert_allclose(joined(product), hessian @ joined(v), rtol=1e-4)
    fisher = np.mean((rows * (p - np.asarray(y))[:, None]) ** 2, axis=0)
    for got, wanted in zip(diagonals, (np.diag(hessian), fisher), strict=True):
        np.testing.assert_allclose(joined(got), wanted, rtol=1e-4)
