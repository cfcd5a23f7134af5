"""L-BFGS: its memory, its agreement with Optax, and what it refuses."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.compat.optax import deviating
from tests.support import make_params, types_of


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def path(tx, loss, params, steps, value_and_grad_from_state=gradtx.value_and_grad_from_state):
    """The parameters after each step, with value and gradient from the state."""

    def body(carry, _):
        params, state = carry
        value, grad = value_and_grad_from_state(loss)(params, state=state)
        updates, state = tx.update(grad, state, params, value=value, grad=grad, value_fn=loss)
        params = gradtx.apply_updates(params, updates)
        return (params, state), params

    return jax.lax.scan(body, (params, tx.init(params)), length=steps)[1]


def test_two_loops_equal_the_written_out_matrix():
    from tests.oracles.search import inverse_hessian_times

    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        tx = gradtx.scale_by_lbfgs(4)
        points, grads = rng.standard_normal((9, 6)), rng.standard_normal((9, 6))
        state, u = tx.init(jnp.asarray(points[0])), jnp.zeros(6)
        update = jax.jit(tx.update)
        for x, g in zip(points, grads, strict=True):
            u, state = update(jnp.asarray(g), state, jnp.asarray(x))
        pairs = list(zip(np.diff(points, axis=0), np.diff(grads, axis=0), grads[:-1], strict=True))[-4:]
        np.testing.assert_allclose(u, inverse_hessian_times(grads[-1], pairs, True), rtol=1e-10)
        assert (np.asarray(state.weights_memory) > 0).sum() == sum(s @ y > 0 for s, y, _ in pairs)


def test_exact_on_a_quadratic():
    """After as many exact steps as there are dimensions, H is the inverse Hessian (Nocedal & Wright, Theorem 6.4)."""
    with jax.enable_x64(True):
        curvature = jnp.array([1.0, 3.0, 10.0])
        tx, x = gradtx.scale_by_lbfgs(5), jnp.array([1.0, 1.0, 1.0])
        state = tx.init(x)
        for _ in range(4):
            g = curvature * x
            u, state = tx.update(g, state, x)
            x = x - (u @ g) / (u @ (curvature * u)) * u
        assert jnp.linalg.norm(x) < 1e-12


def test_agrees_with_optax():
    optax = pytest.importorskip("optax")
    with jax.enable_x64(True):
        start = jnp.tile(jnp.array([-1.2, 1.0]), 5)
        zoom = gradtx.scale_by_zoom_linesearch(20, initial_guess_strategy="one", relative=False)
        tx = gradtx.chain(deviating.scale_by_lbfgs(10, True), gradtx.scale(-1.0), zoom)
        ours = path(tx, rosenbrock, start, 25)
        with jax.numpy_dtype_promotion("standard"):
            theirs = path(optax.lbfgs(), rosenbrock, start, 25, optax.value_and_grad_from_state)
        chex.assert_trees_all_close(ours, theirs, rtol=1e-9)


def test_state_is_named_as_optax_names_it():
    optax = pytest.importorskip("optax")
    ours, theirs = (tx.init(jnp.zeros(3)) for tx in (gradtx.lbfgs(), optax.lbfgs()))
    assert len(ours) == len(theirs) == 3
    for i in (0, 2):
        assert (type(ours[i]).__name__, ours[i]._fields) == (type(theirs[i]).__name__, theirs[i]._fields)
    assert ours[2].info._fields == theirs[2].info._fields


def test_a_step_that_did_not_move_forgets():
    tx, x = gradtx.scale_by_lbfgs(3), jnp.array([1.0, 2.0])
    state = tx.init(x)
    update = jax.jit(tx.update)
    for point in (x, x / 2):
        _, state = update(point, state, point)
    assert (state.weights_memory > 0).sum() == 1
    g = jnp.array([3.0, 4.0])
    u, state = update(g, state, x / 2)
    assert (state.weights_memory == 0).all()
    chex.assert_trees_all_close(u, g / 5 * jnp.linalg.norm(x / 2) / 10, rtol=1e-6)


def test_the_first_length():
    """The smaller of ||theta|| / 10 and 2 |f| / ||g||, of those that are above 0."""
    tx, g = gradtx.scale_by_lbfgs(3), jnp.array([3.0, 4.0])
    length = lambda x, value: float(jnp.linalg.norm(tx.update(g, tx.init(x), x, value=value)[0]))
    far, near, zero = jnp.array([0.0, 70.0]), jnp.array([1.0, 0.0]), jnp.zeros(2)
    got = [
        length(far, 5.0),
        length(far, -5.0),
        length(near, 5.0),
        length(zero, 5.0),
        length(far, 0.0),
        length(zero, 0.0),
    ]
    np.testing.assert_allclose(got, [2, 2, 0.1, 2, 7, 1], rtol=1e-6)
    np.testing.assert_allclose([length(far, None), length(zero, jnp.nan)], [7, 1], rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.complex64])
def test_types_are_kept_by_the_whole_optimizer(dtype):
    params = make_params(dtype)
    loss = lambda p: sum(jnp.sum(jnp.abs(x - 1) ** 2).astype(jnp.float32) for x in jax.tree.leaves(p))
    tx = gradtx.lbfgs()
    state = tx.init(params)

    @jax.jit
    def step(params, state):
        value, grad = jax.value_and_grad(loss)(params)
        extra = {"value": value, "grad": grad, "value_fn": loss}
        updates, after = tx.update(jax.tree.map(jnp.conj, grad), state, params, **extra)
        return value, updates, after, loss(gradtx.apply_updates(params, updates))

    value, updates, after, lower = step(params, state)
    assert types_of(after) == types_of(state)
    chex.assert_trees_all_equal_shapes_and_dtypes(updates, params)
    assert lower < value


def test_errors():
    with pytest.raises(ValueError, match="lbfgs: memory_size must be in"):
        gradtx.lbfgs(memory_size=0)
    x = jnp.ones(3)
    tx = gradtx.scale_by_lbfgs()
    with pytest.raises(ValueError, match="scale_by_lbfgs needs params"):
        tx.update(x, tx.init(x))
    with pytest.raises(ValueError, match=r"scale_by_lbfgs: updates and params differ at \(root\): \(2,\) != \(3,\)"):
        tx.update(jnp.ones(2), tx.init(x), x)
    with pytest.raises(TypeError, match=r"scale_by_lbfgs: the parameter at \['i'\] is int32"):
        tx.init({"i": jnp.arange(3)})


@pytest.mark.parametrize("memory_size", [3, 4])
def test_memory_of_packed_parameters_has_their_names(memory_size):
    """Also where as many steps are remembered as leaves are packed together, and the axes are of one length."""
    params = {f"layer{i}": jnp.arange(5.0) + i for i in range(4)}
    tx, packed = gradtx.scale_by_lbfgs(memory_size), gradtx.pack(params)
    loss = lambda tree: sum((k + 1) * jnp.sum((x - 1) ** 2) for k, x in enumerate(jax.tree.leaves(tree)))

    @partial(jax.jit, static_argnums=1)
    def run(params, loss):
        def step(carry, _):
            params, state = carry
            updates, state = tx.update(jax.grad(loss)(params), state, params)
            return (gradtx.apply_updates(params, jax.tree.map(lambda u: -0.3 * u, updates)), state), None

        return jax.lax.scan(step, (params, tx.init(params)), length=3)[0][1]

    apart, together = run(params, loss), run(packed, lambda packed: loss(packed.unpack()))
    chex.assert_trees_all_close(gradtx.state_dict(apart), gradtx.state_dict(together), rtol=1e-5, atol=1e-6)
    restored, _ = gradtx.restore(tx.init(packed), gradtx.state_dict(apart))
    chex.assert_trees_all_close(restored, together, rtol=1e-5, atol=1e-6)
    restored, _ = gradtx.restore(tx.init(params), gradtx.state_dict(together))
    chex.assert_trees_all_close(restored, apart, rtol=1e-5, atol=1e-6)
