"""Slots in codes: native steps keep them to the bit as the plain ones do, and leave to XLA what they cannot."""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core.codecs.coded import is_coded
from gradtx.core.fields import Count
from gradtx.core.slots import PositiveSlot, Slot
from gradtx.native import load
from gradtx.native.codes import fits, table, together
from gradtx.native.operations import CODES
from tests.native.frames import Call, Pool, buffer, buffer_of, numbers
from tests.native.support import calls, compiled, needs_native, normal

pytestmark = needs_native


class KeepsState(NamedTuple):
    """What came last, and its square."""

    count: Count
    mu: Slot
    nu: PositiveSlot


def keeps_rule(g, s):
    """Nothing is rounded but by the codec."""
    return jnp.where(g > 0, s.mu, s.nu), s._replace(mu=g, nu=g * g)


@gradtx.transformation
def keeps():
    """What it was given before."""
    return gradtx.leafwise(keeps_rule, KeepsState)


CODECS = {
    "int8": gradtx.int8(smallest=0),
    "stochastic": gradtx.int8(rounding="stochastic", smallest=0),
    "companded": gradtx.int8(32, map="companded", smallest=0),
    "both": gradtx.int8(64, map="companded", rounding="stochastic", smallest=0),
    "log8": gradtx.log8(smallest=0),
    "log8 nearest": gradtx.log8(rounding="nearest", smallest=0),
    "log8 small": gradtx.log8(1e-3, smallest=0),
    "float8": gradtx.float8(smallest=0),
    "float8 stochastic": gradtx.float8("float8_e5m2", rounding="stochastic", smallest=0),
}
SHAPES = [(4096,), (3, 47), (2, 300), (5, 2, 512), (600, 3)]


def odd(shape, seed):
    """Numbers of many sizes, some of them on the edges between codes, and zeros."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape) * 10.0 ** rng.uniform(-9, 3, shape)
    octaves = np.ldexp(rng.integers(4, 16, shape) / 8.0, rng.integers(-30, 9, shape))
    x = np.where(rng.random(shape) < 0.3, octaves * rng.choice([-1, 1], shape), x)
    x = np.where(rng.random(shape) < 0.1, rng.choice([0.0, -0.0], shape), x)
    x = x.reshape(-1)
    if seed % 2:
        x[: x.size // 8] = 0
    return jnp.asarray(x.reshape(shape), jnp.float32)


def native_and_plain(tx, params, grads):
    """The states of both after each step, and how many native calls there are."""
    state = tx.init(params)
    ours = compiled(tx, params, state, grads[0])
    with gradtx.native.off():
        plain = compiled(tx, params, state, grads[0])
    a = b = (params, state)
    found = []
    for g in grads:
        a, b = ours(*a, g), plain(*b, g)
        found.append((a, b))
    assert calls(plain.as_text()) == 0
    return found, calls(ours.as_text())


@pytest.mark.parametrize("name", CODECS)
def test_codes_are_those_of_the_plain_step_to_the_bit(name):
    tx = gradtx.stored(keeps(), CODECS[name])
    params = {str(shape): jnp.zeros(shape) for shape in SHAPES}
    grads = [{str(shape): odd(shape, k) for shape in SHAPES} for k in range(3)]
    found, count = native_and_plain(tx, params, grads)
    assert count == 1
    for (_, ours), (_, plain) in found:
        chex.assert_trees_all_equal(ours, plain)


@pytest.mark.parametrize("name", CODECS)
def test_what_is_not_finite_stays_so(name):
    """In codes with scales the whole block: which codes it has then does not matter."""
    tx, params = gradtx.stored(keeps(), CODECS[name]), {"w": jnp.zeros((3, 512))}
    grads = [{"w": odd((3, 512), 1).at[1, jnp.array([3, 200, 300])].set(jnp.array([jnp.nan, jnp.inf, -jnp.inf]))}]
    (_, ours), (_, plain) = native_and_plain(tx, params, grads)[0][0]
    x, y = (np.asarray(state.mu["w"].decoded()) for state in (ours, plain))
    assert not np.isfinite(x[1, [3, 200, 300]]).any()
    np.testing.assert_array_equal(np.isfinite(x), np.isfinite(y))
    np.testing.assert_array_equal(x[[0, 2]], y[[0, 2]])


def adamw_in(codec):
    return gradtx.stored(gradtx.adamw(0.01), codec)


def slots_close(ours, plain, rtol):
    """Slots agree to a few codes, wherever the maths before was rounded otherwise."""
    for x, y in zip(jax.tree.leaves(ours, is_leaf=is_coded), jax.tree.leaves(plain, is_leaf=is_coded), strict=True):
        x, y = (np.asarray(z.decoded() if is_coded(z) else z, np.float64) for z in (x, y))
        apart = np.abs(x - y) > rtol * np.maximum(np.abs(x), np.abs(y)) + 1e-12
        assert apart.mean() < 0.01, apart.mean()


@pytest.mark.parametrize("name", CODECS)
def test_adamw_in_codes_is_one_call(name):
    tx = adamw_in(CODECS[name])
    params = {str(shape): normal(shape, seed=1) for shape in SHAPES}
    found, count = native_and_plain(tx, params, [jax.tree.map(jnp.cos, params), jax.tree.map(jnp.sin, params)])
    assert count == 1
    ours, plain = found[0]
    chex.assert_trees_all_equal_shapes_and_dtypes(ours, plain)
    chex.assert_trees_all_close(ours[0], plain[0], rtol=1e-5, atol=1e-6)
    slots_close(ours[1], plain[1], 1e-5)


def test_leaves_of_one_type_share_a_call():
    params = [normal((4, 64), seed=k) for k in range(30)]
    found, count = native_and_plain(adamw_in(CODECS["stochastic"]), params, [params])
    assert count == 1
    (_, ours), (_, plain) = found[0]
    slots_close(ours, plain, 1e-5)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float64], ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("name", ["int8", "log8"])
def test_parameters_of_other_dtypes(name, dtype):
    with jax.enable_x64(dtype is jnp.float64):
        params = {"w": normal((3, 300), dtype)}
        tx = gradtx.stored(keeps(), CODECS[name])
        found, count = native_and_plain(tx, params, [params, jax.tree.map(jnp.cos, params)])
        assert count == 1
        chex.assert_trees_all_equal(*(jax.tree.leaves(state) for _, state in found[1]))


def test_slots_of_several_codecs_in_one_leaf():
    tx = gradtx.stored(keeps(), mu=gradtx.int8(32, smallest=0), nu=gradtx.log8(smallest=0))
    params = {"w": jnp.zeros((3, 513))}
    grads = [{"w": odd((3, 513), k)} for k in range(2)]
    found, count = native_and_plain(tx, params, grads)
    assert count == 1
    chex.assert_trees_all_equal(*(state for _, state in found[1]))


LEFT = {
    "two codes to a byte": (gradtx.int4(smallest=0), (3, 64)),
    "a row that is too long": (gradtx.float8(smallest=0), (1, 5000)),
    "blocks that are too long": (gradtx.int8(8192, smallest=0), (9000,)),
    "numbers below what is normal": (gradtx.log8(1e-20, smallest=0), (64,)),
    "nothing": (gradtx.int8(smallest=0), (0, 3)),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_the_machine_does_not_know_stays_with_xla(name):
    codec, shape = LEFT[name]
    tx, params = gradtx.stored(keeps(), codec), {"w": jnp.zeros(shape)}
    assert "codes" in str(jax.tree_util.tree_structure(tx.init(params)))
    ours, plain = native_and_plain(tx, params, [{"w": normal(shape)}] * 2)[0][1]
    chex.assert_trees_all_close(ours, plain, rtol=1e-6)


def test_blocks_that_do_not_lie_within_each_other():
    tx = gradtx.stored(keeps(), mu=gradtx.int8(300, smallest=0), nu=gradtx.int8(256, smallest=0))
    found, count = native_and_plain(tx, {"w": jnp.zeros((2, 1000))}, [{"w": normal((2, 1000))}])
    assert count == 0
    chex.assert_trees_all_close(*found[0], rtol=1e-6)


def test_rows_that_32_bits_do_not_count_are_left_and_refused():
    """No array is so large: what the call says of its arrays is looked at first."""
    log8 = table(CODECS["log8"], False, True)
    assert log8 is not None and fits([log8], (2**32 - 1,)) and not fits([log8], (2**32,))
    records, tables = together([log8])
    scalars, codes, out = np.zeros(2, np.float32), np.zeros(64, np.int8), np.ones(64, np.int8)
    code = [[CODES["decode"], 2, *[0] * 7], [CODES["encode"], 1, 2, 0, 0, 0, 1, 0, 0]]
    attributes = dict(code=code, reads=[0, 1], sizes=[1, 1, 1, 1, 1], streams=[1, 1, *records])
    attributes = {name: numbers(x) for name, x in attributes.items()}
    for row, told in ((64, None), (2**32, "rows that are too long")):
        arrays = [buffer("int8", x.ctypes.data, [row]) for x in (codes, out)]
        call = Call([buffer_of(scalars), arrays[0], buffer_of(tables)], arrays[1:], attributes)
        found, _ = call.make(load.library(), Pool())
        assert found == (told and f"gradtx: a program that the native step cannot run: {told}")
    np.testing.assert_array_equal(out, 0)


def test_a_donated_state_is_written_in_place():
    tx = adamw_in(gradtx.int8())
    params = {"w": normal((64, 1024))}
    state = tx.init(params)
    step: Any = jax.jit(gradtx.step, donate_argnums=(1, 2)).lower(tx, params, state, params).compile()
    assert calls(step.as_text()) == 1
    memory = step.memory_analysis()
    assert memory.temp_size_in_bytes < params["w"].nbytes // 4
    assert memory.alias_size_in_bytes >= params["w"].nbytes + sum(x.nbytes for x in jax.tree.leaves(state[0].mu))


def test_a_norm_of_slots_in_codes_is_summed_natively():
    tx = gradtx.chain(gradtx.stored(gradtx.scale_by_adam(), CODECS["int8"]), gradtx.clip_by_global_norm(0.1))
    params = {"w": normal((4, 512))}
    found, count = native_and_plain(tx, params, [params])
    assert count == 2
    chex.assert_trees_all_close(found[0][0][0], found[0][1][0], rtol=1e-5)
