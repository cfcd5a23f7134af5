"""Codes in blocks against lists of their numbers: every number, ties, edges of blocks, and what is odd."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core.codecs import coded
from gradtx.core.codecs.coded import is_coded
from tests.core.codecs import oracles

SHAPES = [(), (5,), (2, 300), (2, 2, 7), (0,), (3, 0), (0, 3)]
FLOATS = ("e3m4", "e4m3", "e4m3b11fnuz", "e4m3fn", "e4m3fnuz", "e5m2", "e5m2fnuz")


def of_float(name):
    """The numbers of a dtype over its largest, as NumPy's extension has them; NaN and infinities left out."""
    numbers = np.arange(256, dtype=np.uint8).view(jnp.dtype(f"float8_{name}")).astype(np.float64)
    numbers = numbers[np.isfinite(numbers)]
    return np.unique(numbers / numbers.max())


def squares(values):
    """What a slot that is never negative has where its roots are kept so."""
    return values[values >= 0] ** 2


CASES = {
    "int8": (gradtx.int8(256, smallest=0), oracles.dynamic(8, signed=True), oracles.dynamic(8, signed=False), 256),
    "companded": (
        gradtx.int8(32, map="companded", smallest=0),
        oracles.companded(signed=True),
        oracles.companded(signed=False),
        32,
    ),
    "int4": (gradtx.int4(128, smallest=0), oracles.dynamic(4, signed=True), oracles.linear(4), 128),
    "float8": (gradtx.float8(smallest=0), of_float("e4m3fn"), squares(of_float("e4m3fn")), 10**6),
}
int8: Any = gradtx.int8
int4: Any = gradtx.int4
every_case = pytest.mark.parametrize("case", CASES)
every_sign = pytest.mark.parametrize("positive", [False, True], ids=["signed", "positive"])


def case_of(name, positive):
    codec, signed, unsigned, block = CASES[name]
    return codec, (unsigned[unsigned >= 0] if positive else signed), block


def drawn(shape, positive, seed=0):
    """Numbers over many orders of magnitude."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape) * 10.0 ** rng.uniform(-4, 2, shape)
    return jnp.asarray(np.abs(x) if positive else x, jnp.float32)


@partial(jax.jit, static_argnums=(1, 2))
def encoded(x, codec, positive=False):
    return coded.encoded(x, codec, positive=positive)


decoded = jax.jit(coded.Coded.decoded)


def kept(codec, x, positive):
    return np.asarray(decoded(encoded(jnp.asarray(x, jnp.float32), codec, positive)))


def test_how_many_numbers_the_oracles_have():
    sizes = [len(oracles.dynamic(bits, signed=signed)) for bits in (8, 4) for signed in (True, False)]
    assert sizes == [256, 256, 16, 16]
    assert len(oracles.companded(signed=True)) == 255 and len(oracles.companded(signed=False)) == 256


@every_sign
@every_case
def test_every_number_comes_back(case, positive):
    """In one block with 1, so that the scale is 1; what has no code is no number of the grid."""
    codec, values, block = case_of(case, positive)
    for part in np.array_split(values, -(-len(values) // (block - 1))):
        found = kept(codec, [*part, 1.0], positive)
        np.testing.assert_allclose(found, [*part, 1.0], rtol=4e-7, atol=0)


@every_sign
@pytest.mark.parametrize("name", FLOATS)
def test_every_dtype_of_8_bits(name, positive):
    values = squares(of_float(name)) if positive else of_float(name)
    codec = gradtx.float8(f"float8_{name}", smallest=0)
    np.testing.assert_allclose(kept(codec, values, positive), values, rtol=4e-7, atol=0)
    x = drawn((2, 100), positive)
    close_to_oracle(kept(codec, x, positive), x, values[values > 0] if positive else values, 100)


def close_to_oracle(found, x, values, block):
    """Numbers of the grid, and no farther than the nearest: near a tie rounding of float32 decides."""
    wanted, x = oracles.kept(values, x, block), np.asarray(x, np.float64)
    assert found.shape == x.shape
    for at in oracles.in_blocks(x, block):
        scale = np.abs(np.atleast_1d(x)[at]).max()
        off, ours, theirs = (np.atleast_1d(y)[at] for y in (x, found, wanted))
        np.testing.assert_allclose(np.abs(ours - off), np.abs(theirs - off), rtol=1e-4, atol=1e-6 * scale)
        on_grid = np.abs(ours[:, None] - scale * values).min(axis=1)
        np.testing.assert_allclose(on_grid, 0, atol=1e-6 * scale)
    assert np.isclose(found, wanted, rtol=1e-6, atol=0).sum() >= 0.99 * x.size


@every_sign
@pytest.mark.parametrize("case", [name for name in CASES if name != "companded"])  # whose middles are those of codes
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_nearest_of_its_block(case, positive, shape):
    codec, values, block = case_of(case, positive)
    x = drawn(shape, positive)
    found = encoded(x, codec, positive)
    assert is_coded(found) and (found.shape, found.dtype) == (x.shape, x.dtype)
    close_to_oracle(np.asarray(decoded(found)), x, values[values > 0] if positive else values, block)


@every_sign
def test_companding_is_rounded_in_its_steps(positive):
    """FlashOptim's floor(x + 1/2), in float64, but where that is so near a whole number that float32 decides."""
    x = drawn((3, 70), positive)
    found, y = kept(gradtx.int8(32, map="companded", smallest=0), x, positive), np.asarray(x, np.float64)
    sure = 0
    for at in oracles.in_blocks(x, 32):
        scale = np.abs(y[at]).max()
        part = y[at] / scale
        steps = 255 * np.sqrt(part) if positive else 127 * 2 * part / (1 + np.abs(part))
        code = np.maximum(np.floor(steps + 0.5), 1 if positive else -127)
        z = code / (255 if positive else 127)
        wanted = scale * (z**2 if positive else z / (2 - np.abs(z)))
        clear = np.abs(steps + 0.5 - np.round(steps + 0.5)) > 1e-3
        np.testing.assert_allclose(found[at][clear], wanted[clear], rtol=1e-5, atol=1e-7 * scale)
        sure += clear.sum()
    assert sure > 0.98 * x.size


def test_ties():
    """The one of less magnitude; where it is companded, the upper one."""
    tiny = np.float32(oracles.dynamic(8, signed=True)[128])
    half = tiny / 2
    x = np.array([1.0, half, -half, np.nextafter(half, np.float32(1)), -np.nextafter(half, np.float32(1))])
    np.testing.assert_allclose(kept(gradtx.int8(8, smallest=0), x, False), np.array([1, 0, 0, tiny, -tiny]), rtol=1e-6)
    sixteenths = np.array([1, 3, 5, 7, 9, 31, 32]) / 32
    found = kept(gradtx.int4(8, smallest=0), sixteenths, True) * 16
    np.testing.assert_array_equal(found, [1, 1, 2, 3, 4, 15, 16])
    root = 2.5 / 255  # (2.5 / 255)^2 is between the codes 2 and 3
    found = kept(gradtx.int8(8, map="companded", smallest=0), [1.0, np.float32(root) ** 2], True)
    assert round(255 * float(np.sqrt(found[1]))) == 3


def test_codes_of_4_bits_lie_two_in_a_byte_the_first_above():
    codes = encoded(jnp.asarray([1 / 16, 1.0, 0.5], jnp.float32), gradtx.int4(4, smallest=0), True).arrays
    np.testing.assert_array_equal(codes["codes"], [0x0F, 0x70])


@every_case
def test_a_block_ends_with_its_row_and_knows_no_other(case):
    codec, _, block = case_of(case, False)
    block = min(block, 300)
    x = drawn((3, 2 * block + 5), False)
    other = x.at[1, block + 1].mul(1e4)  # in the second block of the second row
    one, two = (kept(codec, y, False) for y in (x, other))
    changed = {(i, j // block) for i, j in zip(*np.nonzero(one != two), strict=True)}
    assert changed == ({(1, 0), (1, 1), (1, 2)} if case == "float8" else {(1, 1)})


def test_bytes():
    size = lambda codec, n: sum(x.nbytes for x in jax.tree.leaves(encoded(jnp.ones((2, n)), codec)))
    assert size(gradtx.int8(), 4096) == 2 * (4096 + 16 * 4)
    assert size(gradtx.int4(), 4096) == 2 * (2048 + 32 * 4)
    assert size(gradtx.float8(), 4096) == 2 * (4096 + 4)
    assert size(gradtx.log8(rounding="nearest"), 4096) == 2 * 4096
    assert size(gradtx.int4(2, smallest=0), 5) == 2 * (3 + 3 * 4)


@every_sign
@every_case
def test_powers_of_two_change_the_scale_alone(case, positive):
    """So blocks that are huge or tiny lose nothing, as long as float32 holds their numbers in full."""
    codec, x = CASES[case][0], drawn((2, 100), positive)
    one = encoded(x, codec, positive)
    for power in (-96, 100):
        other = encoded(x * 2.0**power, codec, positive)
        np.testing.assert_array_equal(other.arrays["codes"], one.arrays["codes"])
        np.testing.assert_array_equal(other.arrays["scales"], one.arrays["scales"] * 2.0**power)


@every_sign
@every_case
def test_zeros_are_zeros(case, positive):
    codec = CASES[case][0]
    assert not kept(codec, jnp.zeros((2, 300)), positive).any()


def test_a_small_number_beside_a_large_one():
    """0 in a signed slot; of what is divided by its root the smallest number, in 4 bits a sixteenth of the largest."""
    x = [1.0, 1e-12, 0.0]
    np.testing.assert_array_equal(kept(gradtx.int8(smallest=0), x, False), [1, 0, 0])
    np.testing.assert_array_equal(kept(gradtx.int8(smallest=0), x, True), np.array([1, 3.25e-7, 0], np.float32))
    np.testing.assert_array_equal(kept(gradtx.int4(smallest=0), x, True), [1, 1 / 16, 1 / 16])


@every_sign
@every_case
@pytest.mark.parametrize("odd", [np.inf, np.nan])
def test_what_is_not_finite_makes_so_its_block_and_no_other(case, positive, odd):
    codec, _, block = case_of(case, positive)
    block = min(block, 300)
    x = np.asarray(drawn((2, block + 5), positive)).copy()
    clean = kept(codec, x, positive).copy()
    x[0, 3] = odd
    found = kept(codec, x, positive)
    part = slice(None) if case == "float8" else slice(0, block)
    assert not np.isfinite(found[0, part]).any()
    clean[0, part] = found[0, part]
    np.testing.assert_array_equal(found, clean)


@every_sign
@every_case
def test_what_was_kept_is_kept_again_as_it_is(case, positive):
    """But for the signed dynamic map, which has no -1: a block whose largest number is negative shrinks."""
    x = drawn((4, 300), positive)
    once = encoded(x if positive else x.at[:, ::25].set(2e3), CASES[case][0], positive)
    twice = jax.jit(lambda x: x.again(x.decoded()))(once)
    jax.tree.map(np.testing.assert_array_equal, dict(twice.arrays), dict(once.arrays))


def test_small_arrays_stay_as_they_are():
    x = jnp.ones((2, 8))
    for make in (gradtx.int8, gradtx.int4, gradtx.float8, gradtx.log8):
        assert not is_coded(encoded(x, make(smallest=17)))
        assert is_coded(encoded(x, make(smallest=16)))
        assert encoded(jnp.ones(4095), make()).shape == (4095,) and not is_coded(encoded(jnp.ones(4095), make()))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: gradtx.int8(0), r"int8: block must be in \[1, inf\), got 0"),
        (lambda: gradtx.int4(-1), r"int4: block must be in \[1, inf\), got -1"),
        (lambda: int8(2.5), "int8: block must be"),
        (lambda: gradtx.int8(smallest=-1), r"int8: smallest must be in \[0, inf\), got -1"),
        (lambda: gradtx.log8(smallest=-1), r"log8: smallest must be in \[0, inf\), got -1"),
        (lambda: gradtx.log8(0.0), "log8: largest must be in"),
        (lambda: int8(map="linear"), "int8: map must be"),
        (lambda: int4(rounding="up"), "int4: rounding must be"),
        (lambda: gradtx.float8("float16"), "float8: dtype must be a floating-point dtype of 8 bits"),
        (lambda: gradtx.float8("int8"), "float8: dtype must be a floating-point dtype of 8 bits"),
        (lambda: gradtx.float8("float8_e8m0fnu"), "float8: dtype must be a floating-point dtype of 8 bits"),
        (lambda: gradtx.float8("float9"), "float8: dtype must be a floating-point dtype of 8 bits"),
    ],
)  # fmt: skip
def test_what_is_refused(call, match):
    with pytest.raises((TypeError, ValueError), match=match):
        call()


@pytest.mark.parametrize("make", [gradtx.int8, gradtx.int4, gradtx.float8, gradtx.log8])
def test_a_codec_is_a_value(make):
    codec = make(smallest=3, rounding="stochastic")
    assert codec == make(smallest=3, rounding="stochastic") != make(smallest=4, rounding="stochastic")
    assert hash(codec) == hash(make(smallest=3, rounding="stochastic"))
    assert eval(repr(codec), dict(vars(gradtx))) == codec


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
@pytest.mark.parametrize("make", [int8, partial(int8, map="companded"), int4, gradtx.float8, gradtx.log8])
def test_what_is_positive_stays_so(make, rounding):
    """What divides by the root of a slot would be thrown far by a 0."""
    x = jnp.array([1.0, 1e-8, 1e-12, 1e-30])
    first = encoded(x, make(smallest=0, rounding=rounding), True)
    for step in range(3):
        assert (np.asarray(decoded(first.again(x, coded.seed_of(step, "nu")))) > 0).all()


def test_an_average_of_squares_does_not_vanish_beside_larger_ones():
    """A small gradient, and then none, would be divided by eps alone: the step was 4,000 times the learning rate."""
    tx = gradtx.stored(gradtx.scale_by_adam(), int8(smallest=0))
    first, then = jnp.array([1.0, 1e-4]), jnp.array([1.0, 0.0])
    _, state = tx.update(first, tx.init(first))
    for _ in range(3):
        updates, state = tx.update(then, state)
        assert np.abs(updates).max() < 1.1
