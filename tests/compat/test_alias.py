"""What programs rely on in Optax's optimizers, beyond their numbers."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import gradtx.compat.optax as optax
from gradtx.compat.optax import base
from tests.compat.rows import OPTIMIZERS

pytestmark = pytest.mark.slow

BUILT = [row for row in OPTIMIZERS if row.numbers]
PARAMS = {"w": jnp.ones((4, 3)), "b": jnp.zeros(4)}
REAL_ONLY = ("rprop",)


def by_name(row):
    return row.name


def abstract(**dtypes):
    return {name: jax.ShapeDtypeStruct((4, 3), dtype) for name, dtype in dtypes.items()}


def next_types(tx, params, **extra):
    """The types of the updates and of the state after one step."""
    state = jax.eval_shape(tx.init, params)
    return state, jax.eval_shape(lambda g, s, p, extra: tx.update(g, s, p, **extra), params, state, params, extra)


def test_state_of_adam():
    state = optax.adam(1e-4).init(PARAMS)
    zeros = jax.tree.map(jnp.zeros_like, PARAMS)
    wanted = (optax.ScaleByAdamState(count=jnp.zeros((), jnp.int32), mu=zeros, nu=zeros), optax.EmptyState())
    assert jax.tree.structure(state) == jax.tree.structure(wanted)
    assert all(jnp.array_equal(x, y) for x, y in zip(jax.tree.leaves(state), jax.tree.leaves(wanted), strict=True))
    count, mu, nu = state[0]
    assert (count, mu["b"].shape, nu["w"].shape) == (0, (4,), (4, 3))


def test_states_of_schedules_and_adagrad():
    assert optax.adam(lambda count: 0.1).init(PARAMS)[1] == optax.ScaleByScheduleState(count=0)
    squares, empty = optax.adagrad(0.1).init(PARAMS)
    assert empty == optax.EmptyState()
    np.testing.assert_allclose(squares.sum_of_squares["b"], 0.1)


@pytest.mark.parametrize("row", BUILT, ids=by_name)
def test_unknown_arguments_are_ignored(row):
    next_types(row.build(optax), PARAMS, value=jnp.ones(()), unknown=jnp.ones(3))


@pytest.mark.parametrize("row", BUILT, ids=by_name)
def test_first_state_compiles_like_the_next(row):
    """Made outside of `jit`, it has the types that `update` returns, and is bound to no device."""
    tx = row.build(optax)
    state = tx.init(PARAMS)
    _, (_, new_state) = next_types(tx, PARAMS, value=jnp.ones(()))
    assert jax.tree.map(jax.typeof, state) == jax.tree.map(lambda x: jax.core.ShapedArray(x.shape, x.dtype), new_state)
    assert not any(x.committed for x in jax.tree.leaves(state))


@pytest.mark.parametrize("row", BUILT, ids=by_name)
def test_types_are_stable_in_every_dtype(row):
    """As `lax.cond` needs them, with a loss of another dtype, and leaf by leaf in a tree of several."""
    with jax.enable_x64(True):
        trees = [abstract(a=jnp.float16), abstract(a=jnp.bfloat16), abstract(a=jnp.float32, b=jnp.float64)]
        if row.name not in REAL_ONLY:
            trees += [abstract(a=jnp.complex64), abstract(a=jnp.complex128)]
        for params in trees:
            value = jax.ShapeDtypeStruct((), jnp.float16)
            state, (updates, new_state) = next_types(row.build(optax), params, value=value)
            assert (updates, new_state) == (params, state)


@pytest.mark.parametrize("row", OPTIMIZERS, ids=by_name)
def test_init_of_abstract_parameters(row):
    state = row.build(optax).init(abstract(w=jnp.float32))
    assert all(isinstance(x, jax.Array) for x in jax.tree.leaves(state))


@pytest.mark.parametrize("dtype", ["bfloat16", jnp.float32, "complex64", None])
def test_dtypes_of_slots(dtype):
    params = {"w": jnp.ones(3, jnp.float16)}
    for tx, name in [
        (optax.adam(0.1, mu_dtype=dtype), "mu"),
        (optax.lion(0.1, mu_dtype=dtype), "mu"),
        (optax.sgd(0.1, momentum=0.9, accumulator_dtype=dtype), "trace"),
    ]:
        state = tx.init(params)
        updates, new_state = tx.update(params, state, params)
        assert getattr(state[0], name)["w"].dtype == jnp.dtype(dtype or jnp.float16)
        assert jax.tree.map(jnp.result_type, new_state) == jax.tree.map(jnp.result_type, state)
        assert updates["w"].dtype == jnp.float16
    assert optax.adam(0.1, mu_dtype=dtype).init(params)[0].nu["w"].dtype == jnp.float16


def test_updates_without_params():
    for tx in (optax.adam(0.1), optax.sgd(0.1, 0.9), optax.rmsprop(0.1), optax.yogi(0.1), optax.radam(0.1)):
        _, state = tx.update(PARAMS, tx.init(PARAMS), PARAMS)
        assert jax.tree.structure(tx.update(PARAMS, state)[1]) == jax.tree.structure(state)


def test_annotations_are_objects():
    schedules = [optax.adam, optax.adamw, optax.sgd, optax.lion, optax.rmsprop, optax.lamb, optax.nadam]
    for factory in schedules:
        annotation = inspect.signature(factory).parameters["learning_rate"].annotation
        assert annotation in (base.ScalarOrSchedule, base.Schedule)


def test_optimistic_adam_is_deprecated():
    for _ in range(2):
        with pytest.warns(DeprecationWarning, match="use `optimistic_adam_v2` instead"):
            old = optax.optimistic_adam(0.1, 0.05)
    with pytest.warns(DeprecationWarning), pytest.raises(ValueError, match="optimistic_adam_v2"):
        optax.optimistic_adam(lambda count: 0.1)
    new = optax.optimistic_adam_v2(0.1, beta=0.5)
    old_state, new_state = old.init(PARAMS), new.init(PARAMS)
    for scale in (1.0, 2.0, 0.5):
        grads = {"w": jnp.full((4, 3), scale), "b": jnp.zeros(4)}
        old_updates, old_state = old.update(grads, old_state)
        new_updates, new_state = new.update(grads, new_state)
        np.testing.assert_allclose(old_updates["w"], new_updates["w"], rtol=1e-6)


def test_complex_updates_are_conjugated_gradients():
    """Real and imaginary parts of a complex parameter move as two real ones, where squares are not shared."""
    z = {"w": jnp.array([1 + 2j, -3j], jnp.complex64)}
    pair = {"re": z["w"].real, "im": z["w"].imag}
    for tx in (optax.sgd(0.1, 0.9), optax.lbfgs(0.1, linesearch=None)):
        u, _ = tx.update(z, tx.init(z), z)
        v, _ = tx.update(pair, tx.init(pair), pair)
        np.testing.assert_allclose(u["w"], np.asarray(v["re"]) + 1j * np.asarray(v["im"]), rtol=1e-6)
    nu = optax.scale_by_rms().update(z, optax.scale_by_rms().init(z))[1].nu["w"]
    np.testing.assert_allclose(nu, [0.5, 0.9], rtol=1e-6)


def test_lbfgs_finds_no_memory():
    with pytest.raises(ValueError, match="memory_size"):
        optax.scale_by_lbfgs(0)


@pytest.mark.parametrize("scale_init_precond", [True, False])
def test_lbfgs_makes_the_steps_of_optax(scale_init_precond):
    """Also of pairs with negative curvature, which this start on a double well has."""
    theirs = pytest.importorskip("optax")

    def path(module):
        tx = module.lbfgs(0.05, 3, scale_init_precond, linesearch=None)

        @jax.jit
        def step(carry, _):
            params, state = carry
            grads = jax.grad(lambda x: jnp.sum(x**4 / 4 - x**2 / 2 + x[0] * x[1]))(params)
            updates, state = tx.update(grads, state, params)
            return (module.apply_updates(params, updates), state), params

        params = jnp.array([0.1, 0.3, -0.2])
        return jax.lax.scan(step, (params, tx.init(params)), length=30)

    with jax.numpy_dtype_promotion("standard"):
        (_, wanted_state), wanted = path(theirs)
    (_, state), got = path(optax)
    assert jnp.any(wanted_state.weights_memory < 0 if hasattr(wanted_state, "weights_memory") else True)
    np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(state[0].count, 30)


SHARDED = {
    "adam": lambda: optax.adam(1.0),
    "adafactor": lambda: optax.adafactor(min_dim_size_to_factor=1),
    "lamb": lambda: optax.lamb(1.0),
    "lbfgs": lambda: optax.lbfgs(1.0, linesearch=None),
    "novograd": lambda: optax.novograd(1.0),
    "sm3": lambda: optax.sm3(1.0),
}


@pytest.mark.parametrize("build", SHARDED.values(), ids=SHARDED)
def test_shardings_in_types(build):
    """The state that `init` makes has the shardings that `update` gives, with and without `jit`."""
    mesh = jax.make_mesh((8,), ("x",), axis_types=(AxisType.Explicit,))
    with jax.set_mesh(mesh):
        params = jnp.zeros((2, 8, 4), jnp.float16, out_sharding=NamedSharding(mesh, PartitionSpec(None, "x")))
        tx = build()
        types = lambda tree: jax.tree.map(jax.typeof, tree)
        state = tx.init(params)
        assert types(tx.update(params, state, params)[1]) == types(state)
        assert jax.tree.map(lambda x: x.aval if hasattr(x, "aval") else x, jax.jit(tx.init)(params)) is not None
        assert types(jax.jit(tx.init)(params)) == types(state)


LEARNS = {
    "adabelief": lambda: optax.adabelief(1e-2),
    "adafactor": lambda: optax.adafactor(5e-3),
    "adagrad": lambda: optax.adagrad(1.0),
    "adam": lambda: optax.adam(1e-1),
    "adamax": lambda: optax.adamax(1e-1),
    "adamw": lambda: optax.adamw(1e-1),
    "adan": lambda: optax.adan(1e-1),
    "amsgrad": lambda: optax.amsgrad(1e-1),
    "fromage": lambda: optax.fromage(5e-3),
    "lamb": lambda: optax.lamb(1e-3),
    "lars": lambda: optax.lars(1.0),
    "lion": lambda: optax.lion(1e-2, weight_decay=1e-4),
    "nadam": lambda: optax.nadam(1e-2),
    "noisy_sgd": lambda: optax.noisy_sgd(1e-3, eta=1e-4, key=0),
    "novograd": lambda: optax.novograd(1e-3),
    "optimistic_adam_v2": lambda: optax.optimistic_adam_v2(2e-3),
    "optimistic_gradient_descent": lambda: optax.optimistic_gradient_descent(2e-3, 0.7, 0.1),
    "polyak_sgd": lambda: optax.polyak_sgd(1.0),
    "radam": lambda: optax.radam(5e-3),
    "rmsprop": lambda: optax.rmsprop(5e-3),
    "rprop": lambda: optax.rprop(1e-1),
    "sgd": lambda: optax.sgd(1e-3, 0.9),
    "sm3": lambda: optax.sm3(1.0),
    "yogi": lambda: optax.yogi(1e-1),
}


@pytest.mark.slow
@pytest.mark.parametrize("build", LEARNS.values(), ids=LEARNS)
def test_defaults_learn(build):
    """Rosenbrock's valley, 10 000 steps with the hyperparameters that Optax has by default."""
    tx = build()
    loss = lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2

    def step(_, carry):
        params, state = carry
        value, grads = jax.value_and_grad(loss)(params)
        updates, state = tx.update(grads, state, params, value=value)
        return optax.apply_updates(params, updates), state

    start = jnp.zeros(2)
    params, _ = jax.jit(lambda p: jax.lax.fori_loop(0, 10_000, step, (p, tx.init(p))))(start)
    np.testing.assert_allclose(params, [1, 1], rtol=3e-2, atol=3e-2)
