"""Constants are compared by their bits: 0.0 is not -0.0, and a NaN is itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core.one_pass import in_one_pass
from gradtx.native.formula import Scalar
from tests.native.support import calls, needs_native

ZEROS = [(0.0, -0.0), (-0.0, 0.0)]
NANS = [np.frombuffer(np.uint32(bits).tobytes(), np.float32)[0] for bits in (0x7FC00000, 0xFFC00000, 0x7FC00123)]


def stepped(function, *arrays):
    """What a step makes of parameter, slot and gradient; it is native."""
    step = jax.jit(lambda *xs: in_one_pass(function, *xs))
    assert calls(step.lower(*arrays).as_text()) == 1
    return [np.asarray(x) for x in step(*arrays)]


def divided_by(x):
    return lambda g: g / x


@needs_native
@pytest.mark.parametrize("zeros", ZEROS, ids=repr)
def test_zeros_in_one_program_and_in_two(zeros):
    first, second = (np.float32(x) for x in zeros)
    g = jnp.ones(3)
    wanted = [np.full(3, 1 / x if x else np.copysign(np.inf, x)) for x in zeros]
    found = stepped(lambda p, s, g: (g / first, g / second), g, g, g)
    np.testing.assert_array_equal(found, wanted)
    for x, y in zip(zeros, wanted, strict=True):
        tx = gradtx.chain(gradtx.stateless_leafwise(divided_by(x)), gradtx.scale(-1.0))
        new, _ = jax.jit(lambda p, g, tx=tx: gradtx.step(tx, p, tx.init(p), g))(g, g)
        np.testing.assert_array_equal(new, -y)


@needs_native
@pytest.mark.parametrize("zeros", ZEROS, ids=repr)
def test_zeros_as_outputs_and_as_scalars(zeros):
    """As they are chosen, added, and computed with before any array is: their sign stays."""
    first, second = (np.float32(x) for x in zeros)
    g = jnp.array([1.0, -1.0, 1.0])
    signs = lambda xs: [np.signbit(x) for x in xs]
    chosen = stepped(lambda p, s, g: (jnp.where(g > 0, first, g), jnp.where(g > 0, second, g)), g, g, g)
    wanted = [np.where(g > 0, x, g) for x in (first, second)]
    np.testing.assert_array_equal(signs(chosen), signs(wanted))
    scalars = stepped(lambda p, s, g: (g / jnp.sin(first), g / jnp.sin(second)), g, g, g)
    np.testing.assert_array_equal(scalars, [g * np.copysign(np.inf, x) for x in (first, second)])
    summed = stepped(lambda p, s, g: (p * 0 + first, p * 0 + second), -jnp.ones(3), g, g)
    np.testing.assert_array_equal(signs(summed), signs([np.float32(-0.0) + np.full(3, x) for x in (first, second)]))


@needs_native
def test_nans_keep_their_bits():
    g = jnp.array([1.0, -1.0, 1.0])
    for x, y in zip(NANS, NANS[1:] + NANS[:1], strict=True):
        found = stepped(lambda p, s, g, x=x, y=y: (jnp.where(g > 0, x, g), jnp.where(g > 0, y, g)), g, g, g)
        wanted = [np.where(g > 0, z, g) for z in (x, y)]
        assert [z.tobytes() for z in found] == [z.tobytes() for z in wanted]


def test_constants_of_a_formula():
    numbers = [0.0, -0.0, 1.0, float("inf"), float("nan"), -float("nan"), 5e-324]
    assert len({Scalar.constant(x) for x in numbers}) == len(numbers)
    assert Scalar.constant(float("nan")) == Scalar.constant(float("nan"))
    assert [np.float64(Scalar.constant(x).number).tobytes() for x in numbers] == [
        np.float64(x).tobytes() for x in numbers
    ]
