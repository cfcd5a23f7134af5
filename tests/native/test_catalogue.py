"""The native step against plain XLA, over the catalogue."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from tests.catalogue import few_transformations
from tests.native.support import assert_same_steps, needs_native, normal
from tests.support import at, make_grads, make_params

pytestmark = needs_native

SHAPES = {"vector": (17,), "matrix": (4, 3)}
TOLERANCE = {jnp.float16: 2e-3, jnp.bfloat16: 2e-2, jnp.float32: 1e-4, jnp.float64: 1e-12}
LOGIC = gradtx.stateless_leafwise(lambda g: jnp.where((g > -0.5) & (g < 1) | ~(jnp.abs(g) < 2), g, 0.5 * g))
CHAINS = [
    gradtx.chain(gradtx.clip_by_global_norm(1.0), gradtx.adamw(0.01)),
    gradtx.sgd(0.1, momentum=0.9, nesterov=True),
    gradtx.lion(0.01, mode="refined"),
    gradtx.amsgrad(gradtx.linear_schedule(0.1, 0.01, 10)),
    gradtx.chain(LOGIC, gradtx.sgd(0.1)),
]


@pytest.mark.slow
@few_transformations
def test_every_transformation_steps_alike(row):
    grads = make_grads(3, shapes=SHAPES)
    assert_same_steps(row.tx, make_params(shapes=SHAPES), [at(grads, i) for i in range(3)], 1e-4, row.extra)


@pytest.mark.parametrize("tx", CHAINS, ids=lambda tx: tx.name)
def test_elementwise_chains_are_one_call(tx):
    """And a norm to clip by one more."""
    grads = make_grads(3, shapes=SHAPES)
    calls = 2 if tx is CHAINS[0] else 1
    assert assert_same_steps(tx, make_params(shapes=SHAPES), [at(grads, i) for i in range(3)], 1e-5) == calls


@pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("tx", CHAINS[:2], ids=lambda tx: tx.name)
def test_dtypes(tx, dtype):
    with jax.enable_x64(dtype is jnp.float64):
        grads = make_grads(3, dtype, shapes=SHAPES)
        params = make_params(dtype, shapes=SHAPES)
        calls = 2 if tx is CHAINS[0] else 1
        assert assert_same_steps(tx, params, [at(grads, i) for i in range(3)], TOLERANCE[dtype]) == calls


def test_odd_sizes():
    params = {str(n): normal((n,), seed=n) for n in (0, 1, 15, 16, 17, 127, 128, 129, 2**20 + 3)}
    assert assert_same_steps(gradtx.adamw(0.01), params, [jax.tree.map(jnp.cos, params)] * 2, 1e-5) == 1


def test_dtypes_that_meet_in_one_leaf():
    params = {"low": normal((33,), jnp.bfloat16), "half": normal((65,), jnp.float16)}
    tx = gradtx.stored(gradtx.adamw(0.01), mu="bfloat16", nu="float16")
    assert assert_same_steps(tx, params, [params] * 3, 2e-2) == 2


def test_a_double_is_rounded_once_to_bfloat16():
    """Near the middle between two numbers of bfloat16, nearer than float32 sees."""
    x = np.array([1 + 2**-8 + 2**-40, 1 + 2**-8 - 2**-40])
    x, wanted = np.concatenate([x, -x]), np.array([1 + 2**-7, 1, -1 - 2**-7, -1])
    tx = gradtx.stored(gradtx.scale_by_momentum(0.0), "bfloat16")
    with jax.enable_x64(True):
        g = jnp.array(np.tile(x, 20))
        step = jax.jit(lambda state, g: gradtx.step(tx, g, state, g)[1])
        assert "custom_call" in step.lower(tx.init(g), g).as_text()
        (trace,) = jax.tree.leaves(step(tx.init(g), g))
    np.testing.assert_array_equal(np.asarray(trace, np.float64), np.tile(wanted, 20))


def test_extreme_numbers():
    x = jnp.array([0.0, -0.0, 1e-45, -1e-38, 3e38, -3e38, jnp.inf, -jnp.inf, jnp.nan, 1.0] * 4)
    for tx in (gradtx.sgd(0.5), gradtx.sign_sgd(0.5), gradtx.chain(gradtx.clip(1.0), gradtx.sgd(0.5))):
        assert_same_steps(tx, {"x": jnp.ones_like(x)}, [{"x": x}], 1e-6)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16], ids=lambda dtype: dtype.__name__)
def test_extreme_numbers_of_16_bits(dtype):
    """Held at the largest number, rounded to even, subnormal, not finite: in vectors and in what is left of them.

    The arithmetic before is exact.
    """
    most, least, eps = (float(getattr(jnp.finfo(dtype), name)) for name in ("max", "smallest_subnormal", "eps"))
    some = [most, -most, 1.0, 1 + eps, 1 + 2 * eps, 3 * eps, 0.0, -0.0, jnp.inf, -jnp.inf, jnp.nan]
    some += [least, -3 * least] if dtype == jnp.float16 else []  # XLA, too, takes float32's subnormal numbers for 0
    low = {"x": jnp.array(some * 7, dtype)}
    for rate in (0.5, 1.0, -0.25):
        tx = gradtx.chain(gradtx.scale(rate), gradtx.sgd(1.0, 0.5))
        assert assert_same_steps(tx, low, [jax.tree.map(lambda x: -x, low), low], 0) == 1


def test_more_leaves_than_one_call_takes():
    params = [normal((3, k % 5 + 1), seed=k) for k in range(70)]
    assert assert_same_steps(gradtx.adam(0.01), params, [params], 1e-5) == 2


def test_what_is_not_elementwise_stays_with_xla():
    params = {"matrix": normal((4, 3)), "vector": normal((5,))}
    tx = gradtx.muon(0.1)
    assert assert_same_steps(tx, params, [params] * 2, 1e-4) >= 1
    assert (
        assert_same_steps(gradtx.adafactor(0.1), {"matrix": normal((200, 150))}, [{"matrix": normal((200, 150))}], 1e-4)
        == 0
    )
