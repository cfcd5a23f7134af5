"""Complex parameters as in Optax: what the searches take for a gradient, and real dtypes that are asked for."""

import warnings

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx.compat.optax as ours

theirs = pytest.importorskip("optax")

RNG = np.random.default_rng(0)
A = RNG.standard_normal((6, 4)) + 1j * RNG.standard_normal((6, 4))
B = RNG.standard_normal(6) + 1j * RNG.standard_normal(6)


def loss(x):
    return jnp.sum(jnp.abs(A.astype(x.dtype) @ x - B.astype(x.dtype)) ** 2) + jnp.sum(jnp.abs(x) ** 4)


SEARCHES = {
    "lbfgs": lambda ox: ox.lbfgs(),
    "lbfgs(3)": lambda ox: ox.lbfgs(memory_size=3),
    "lbfgs(None)": lambda ox: ox.lbfgs(0.05, linesearch=None),
    "lbfgs(backtracking)": lambda ox: ox.lbfgs(linesearch=ox.scale_by_backtracking_linesearch(20)),
    "zoom": lambda ox: ox.chain(ox.sgd(0.1), ox.scale_by_zoom_linesearch(15)),
    "backtracking": lambda ox: ox.chain(ox.sgd(1.0), ox.scale_by_backtracking_linesearch(20)),
}


def losses(ox, tx, dtype, steps=6):
    """Train as Optax's programs do: the conjugate of the gradient is both `updates` and `grad`."""
    x = jnp.ones(4, dtype)
    state, seen = tx.init(x), []

    @jax.jit
    def step(x, state):
        value, grad = jax.value_and_grad(loss)(x)
        grad = jnp.conj(grad)
        updates, state = ox.with_extra_args_support(tx).update(grad, state, x, value=value, grad=grad, value_fn=loss)
        return ox.apply_updates(x, updates), state

    for _ in range(steps):
        x, state = step(x, state)
        seen.append(loss(x))
    return jnp.stack(seen)


@pytest.mark.parametrize("name", SEARCHES)
def test_searches(name):
    with jax.numpy_dtype_promotion("standard"):
        mine, other = (losses(ox, SEARCHES[name](ox), jnp.complex64) for ox in (ours, theirs))
    assert mine[-1] < mine[0]
    chex.assert_trees_all_close(mine, other, rtol=1e-4)


DTYPES = {
    "trace": lambda ox, d: ox.trace(0.9, accumulator_dtype=d),
    "ema": lambda ox, d: ox.ema(0.9, accumulator_dtype=d),
    "scale_by_adam": lambda ox, d: ox.scale_by_adam(mu_dtype=d),
    "scale_by_amsgrad": lambda ox, d: ox.scale_by_amsgrad(mu_dtype=d),
    "scale_by_lion": lambda ox, d: ox.scale_by_lion(mu_dtype=d),
    "nadam": lambda ox, d: ox.nadam(0.1, mu_dtype=d),
    "adamw": lambda ox, d: ox.adamw(0.1, mu_dtype=d),
    "sgd": lambda ox, d: ox.sgd(0.1, 0.9, accumulator_dtype=d),
    "signum": lambda ox, d: ox.signum(0.1, accumulator_dtype=d),
    "adafactor": lambda ox, d: ox.adafactor(0.1, momentum=0.9, dtype_momentum=d),
    "optimistic_adam_v2": lambda ox, d: ox.optimistic_adam_v2(0.1, mu_dtype=d),
    "ademamix": lambda ox, d: ox.contrib.scale_by_ademamix(mu_dtype=d),
}
KEPT = {"trace": "trace", "ema": "ema", "scale_by_adam": "mu", "scale_by_amsgrad": "mu", "scale_by_lion": "mu"}


def updates_and_state(ox, name, dtype, grads):
    """All updates, and the last state."""
    tx = DTYPES[name](ox, dtype)
    params = jnp.asarray(A[:4, :3], jnp.complex64)
    state, updates = tx.init(params), []
    for g in grads:
        u, state = tx.update(jax.lax.complex(g[..., 0], g[..., 1]), state, params)
        updates.append(u)
    return jnp.stack(updates), state


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", DTYPES)
def test_real_dtypes_are_kept_as_they_are_asked_for(name, dtype):
    grads = np.random.default_rng(1).standard_normal((5, 4, 3, 2)).astype(np.float32)
    mine, state = updates_and_state(ours, name, dtype, grads)
    if name in KEPT:
        assert getattr(state, KEPT[name]).dtype == dtype
    with jax.numpy_dtype_promotion("standard"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX warns of the casts from complex to real, which newer ones refuse
        try:
            other, _ = updates_and_state(theirs, name, dtype, grads)
        except ValueError as error:
            pytest.skip(f"Optax fails: {error}")
    tolerance = 1e-4 if dtype == "float32" else 2e-2
    if name == "signum":  # bfloat16 may round to another sign
        assert jnp.mean(jnp.abs(mine - other) > 1e-3) < 0.1
    else:
        chex.assert_trees_all_close(mine, other, rtol=tolerance, atol=tolerance * float(jnp.max(jnp.abs(mine))))


def test_gradients_are_gathered_whole():
    """Optax's default, float32, keeps the real parts only of all gradients but the last."""
    tx = ours.MultiSteps(ours.scale(1.0), 2)
    state = tx.init(jnp.zeros((), jnp.complex64))
    _, state = tx.update(jnp.complex64(1 + 2j), state)
    updates, _ = tx.update(jnp.complex64(3 + 4j), state)
    chex.assert_trees_all_close(updates, jnp.complex64(2 + 3j))
