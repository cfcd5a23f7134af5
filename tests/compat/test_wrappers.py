"""Wrappers of `optax.contrib`: SAM, schedule-free, Mechanic, plateaus, complex parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
import gradtx.compat.optax as optax

pytestmark = pytest.mark.slow

contrib = optax.contrib
PARAMS = {"w": jnp.array([1.0, -2.0]), "b": jnp.array(3.0)}


def loss(params):
    """A bowl with unequal curvature."""
    return jnp.sum(jnp.array([1.0, 3.0]) * params["w"] ** 2) + params["b"] ** 4 / 10


def descend(tx, steps, params=PARAMS, **extra):
    """Parameters and state after some steps."""
    state = tx.init(params)
    for _ in range(steps):
        updates, state = tx.update(jax.grad(loss)(params), state, params, **extra)
        params = optax.apply_updates(params, updates)
    return params, state


def sharp(**kwargs):
    return contrib.sam(optax.sgd(0.01), optax.chain(contrib.normalize(), optax.sgd(0.1)), **kwargs)


def test_sam_climbs_with_the_opposite_of_its_updates():
    grads = jax.grad(loss)(PARAMS)
    tx = sharp()
    updates, state = tx.update(grads, tx.init(PARAMS), PARAMS)
    np.testing.assert_allclose(updates["w"], 0.1 * grads["w"] / optax.tree.norm(grads), rtol=1e-6)
    assert int(state.steps_since_sync) == 1
    assert isinstance(state, contrib.SAMState)


@pytest.mark.parametrize("period", [1, 2, 3])
def test_both_modes_of_sam_agree(period):
    calls = []

    def grad_fn(params, climb):
        calls.append(climb)
        return jax.grad(loss)(params)

    opaque, state = descend(sharp(sync_period=period, opaque_mode=True), 2, grad_fn=grad_fn)
    assert calls == 2 * list(range(period - 1))
    assert state.cache is None
    open_mode, state = descend(sharp(sync_period=period), 2 * period)
    assert int(state.steps_since_sync) == 0
    for a, b in zip(jax.tree.leaves(opaque), jax.tree.leaves(open_mode), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_sam_averages_gradients_over_a_mapped_axis():
    tx = sharp(opaque_mode=True, batch_axis_name="batch")

    def step(scale):
        grad_fn = lambda params, climb: jax.tree.map(lambda g: scale * g, jax.grad(loss)(params))
        return tx.update(jax.grad(loss)(PARAMS), tx.init(PARAMS), PARAMS, grad_fn=grad_fn)[0]

    updates = jax.vmap(step, axis_name="batch")(jnp.array([0.0, 2.0]))
    alone = sharp(opaque_mode=True)
    wanted, _ = alone.update(jax.grad(loss)(PARAMS), alone.init(PARAMS), PARAMS, grad_fn=lambda p, i: jax.grad(loss)(p))
    np.testing.assert_allclose(updates["w"], jnp.stack([wanted["w"]] * 2), rtol=1e-5)


def test_sam_errors():
    with pytest.raises(ValueError, match="sync_period"):
        sharp(sync_period=0)
    tx = sharp(opaque_mode=True)
    with pytest.raises(ValueError, match="grad_fn"):
        tx.update(PARAMS, tx.init(PARAMS), PARAMS)


def test_normalize():
    updates, state = contrib.normalize().update({"w": jnp.array([3.0, 4.0])}, optax.EmptyState())
    np.testing.assert_allclose(updates["w"], [0.6, 0.8], rtol=1e-6)
    assert state == contrib.NormalizeState()


def test_schedule_free_by_hand():
    tx = contrib.schedule_free(optax.sgd(0.5), 0.5, b1=0.8)
    params, state = jnp.array([4.0]), tx.init(jnp.array([4.0]))
    # With gradient 2: z = 3, x = z; then z = 2, x = 2.5, y = 0.2 z + 0.8 x = 2.4.
    for z, x, y in ((3.0, 3.0, 3.0), (2.0, 2.5, 2.4)):
        updates, state = tx.update(jnp.array([2.0]), state, params)
        params = optax.apply_updates(params, updates)
        np.testing.assert_allclose([state.z, params], [[z], [y]], rtol=1e-6)
        np.testing.assert_allclose(contrib.schedule_free_eval_params(state, params), [x], rtol=1e-5)
        np.testing.assert_allclose(gradtx.evaluation_params(state, params), [x], rtol=1e-5)
    assert int(state.step_count) == 3


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_evaluation_keeps_scalars(dtype):
    params = jnp.ones((), dtype)
    tx = contrib.schedule_free_sgd(0.1, state_dtype="bfloat16")
    found = contrib.schedule_free_eval_params(tx.init(params), params)
    assert (found.shape, found.dtype) == ((), dtype)


def test_schedule_free_can_be_donated():
    tx = contrib.schedule_free_sgd()

    def step(params, state):
        updates, state = tx.update(params, state, params)
        return optax.apply_updates(params, updates), state

    params = jnp.ones(3)
    state = tx.init(params)
    assert state.z.unsafe_buffer_pointer() != params.unsafe_buffer_pointer()
    jax.jit(step, donate_argnums=(0, 1))(params, state)


@pytest.mark.parametrize("base", ["sgd", "adam", "lion"])
def test_the_first_step_of_mechanic(base):
    tx = contrib.mechanize(getattr(optax, base)(1.0), s_init=1e-2)
    inner = getattr(optax, base)(1.0)
    grads = jax.grad(loss)(PARAMS)
    updates, state = tx.update(grads, tx.init(PARAMS), PARAMS)
    wanted, _ = inner.update(grads, inner.init(PARAMS), PARAMS)
    # h is 0, so m is eps and v is 0: each of the 6 scales is s_init eps / (6 eps).
    np.testing.assert_allclose(state.s, 1e-2 / 6, rtol=1e-5)
    np.testing.assert_allclose(updates["w"], 1e-2 * wanted["w"], rtol=1e-5)
    assert isinstance(state, contrib.MechanicState)


BASES = [
    "sgd", "adam", "adamw", "adamax", "adamaxw", "adan", "amsgrad", "lamb", "lion", "noisy_sgd", "novograd",
    "optimistic_gradient_descent", "rmsprop", "adabelief", "radam", "sm3", "yogi", "nadam", "adagrad",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*key")
def test_mechanic_takes_any_optimizer():
    for name in BASES:
        tx = contrib.mechanize(getattr(optax, name)(1.0))
        params = jax.tree.map(lambda p: jax.ShapeDtypeStruct(p.shape, p.dtype), PARAMS)
        state = jax.eval_shape(tx.init, params)
        assert jax.eval_shape(tx.update, params, state, params) == (params, state), name


def test_plateau():
    tx = optax.chain(optax.sgd(1.0), contrib.reduce_on_plateau(factor=0.5, patience=2, cooldown=1))
    state, scales = tx.init(params=PARAMS), []
    for value in (1.0, 1.0, 1.0, 0.5, 0.6, 0.6, 0.7):
        updates, state = tx.update(updates=PARAMS, state=state, params=PARAMS, value=value, unknown=1)
        scales.append(-float(updates["b"]) / 3)
    assert scales == [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]
    scale, best_value, plateau_count, cooldown_count, *_ = state[-1]
    assert (float(scale), float(best_value), int(plateau_count), int(cooldown_count)) == (0.25, 0.5, 0, 0)
    assert contrib.ReduceLROnPlateauState(
        best_value=1.0, plateau_count=0, scale=0.5, cooldown_count=0, count=0, avg_value=0.0
    ) == (0.5, 1.0, 0, 0, 0, 0.0)  # fmt: skip


def test_plateau_errors():
    for kwargs in ({"factor": 0.0}, {"factor": 1.5}, {"rtol": 0.0}, {"rtol": -1.0}, {"rtol": 2.0}, {"atol": -1.0}):
        with pytest.raises(ValueError, match="reduce_on_plateau"):
            contrib.reduce_on_plateau(**kwargs)
    tx = contrib.reduce_on_plateau()
    with pytest.raises(TypeError, match="value"):
        tx.update(PARAMS, tx.init(PARAMS))


def test_split_real_and_imaginary():
    params = {"z": jnp.array([1 + 2j, -3j], jnp.complex64), "x": jnp.ones(2)}
    pairs = {"z": (params["z"].real, params["z"].imag), "x": params["x"]}
    tx, plain = contrib.split_real_and_imaginary(optax.adam(0.1)), optax.adam(0.1)
    state, pair_state = tx.init(params), plain.init(pairs)
    for _ in range(2):
        updates, state = tx.update(params, state, params)
        wanted, pair_state = plain.update(pairs, pair_state, pairs)
        np.testing.assert_array_equal(updates["z"], jax.lax.complex(*wanted["z"]))
        np.testing.assert_array_equal(updates["x"], wanted["x"])
    assert isinstance(state, contrib.SplitRealAndImaginaryState)
    assert len(optax.tree.get_all_with_path(state, "imaginary")) == 2
