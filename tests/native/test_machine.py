"""The machine's operations, each against XLA's, through rules that are made of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.native.formula import Formula, Node, Scalar
from gradtx.native.operations import MOST_REGISTERS, OPERATIONS
from gradtx.native.program import compiled
from tests.native.support import assert_same_steps, needs_native, normal

SPECIAL = [0.0, -0.0, 0.5, -0.5, 2.0, -3.0, 1e-30, 1e30, jnp.inf, -jnp.inf, jnp.nan]
UNARY = {
    "sign": jnp.sign, "abs": jnp.abs, "sqrt": lambda x: jnp.sqrt(jnp.abs(x)), "rsqrt": lambda x: jax.lax.rsqrt(x * x),
    "cbrt": jnp.cbrt, "exp": jnp.exp, "expm1": jnp.expm1, "log": lambda x: jnp.log(jnp.abs(x)), "tanh": jnp.tanh,
    "log1p": lambda x: jnp.log1p(jnp.abs(x)), "atan": jnp.arctan, "cube": lambda x: x**3, "square": jnp.square,
    "round": lambda x: x.astype(jnp.bfloat16).astype(jnp.float32) + x.astype(jnp.float16).astype(jnp.float32),
    "finite": lambda x: jnp.where(jnp.isfinite(x), x, 7), "clip": lambda x: jnp.clip(x, -1, 1),
    "saturate": lambda x: jnp.where(jnp.isfinite(x), jnp.clip(x, -9.0, 9.0), x),
    "not": lambda x: jnp.where(~(x > 0), x, -x), "inverse": lambda x: 1 / x, "minus": lambda x: 1 - x,
}  # fmt: skip
BINARY = {
    "max": jnp.maximum, "min": jnp.minimum, "pow": lambda x, y: jnp.abs(x) ** y, "atan2": jnp.arctan2,
    "divide": lambda x, y: x / y, "subtract": lambda x, y: x - y, "blend": lambda x, y: 0.3 * x + 0.7 * y,
    "blend_square": lambda x, y: 0.3 * x + 0.7 * (y * y), "mul_add": lambda x, y: 0.3 * x + y,
    "ratio_root": lambda x, y: (x / 0.1) / (jnp.sqrt(jnp.abs(y) / 0.2 + 1e-3) + 1e-8),
    "and_or": lambda x, y: jnp.where((x > 0) & (y > 0) | (x == y), x, y),
    "compare": lambda x, y: jnp.where(x >= y, 1.0, 2.0) + jnp.where(x <= y, 4.0, 8.0) + jnp.where(x != y, 16.0, 32.0),
    "less": lambda x, y: jnp.where(x < y, x, 0.0),
}  # fmt: skip


def step_of(formula):
    """A transformation whose update is a function of gradient and parameter."""
    return gradtx.stateless_leafwise(formula)


@needs_native
@pytest.mark.parametrize("name", UNARY)
def test_operations_of_one(name):
    x = jnp.concatenate([jnp.array(SPECIAL, jnp.float32), normal((130,))])
    tx = step_of(lambda g, p: UNARY[name](g))
    assert assert_same_steps(tx, {"x": jnp.zeros_like(x)}, [{"x": x}], 2e-6) == 1


@needs_native
@pytest.mark.parametrize("name", BINARY)
def test_operations_of_two(name):
    x, y = (jnp.asarray(z.ravel(), jnp.float32) for z in np.meshgrid(SPECIAL, SPECIAL))
    x, y = jnp.concatenate([x, normal((130,))]), jnp.concatenate([y, normal((130,), seed=1)])
    tx = step_of(lambda g, p: BINARY[name](g, p))
    assert assert_same_steps(tx, {"x": y}, [{"x": x}], 3e-6) == 1


@needs_native
def test_divisors_near_the_ends_of_the_range():
    g = normal((50,))
    for divisor in (1e-33, 1e-20, 1e33):
        tx = step_of(lambda g, p, d=divisor: (g * d) / d)
        assert assert_same_steps(tx, {"x": jnp.zeros(50)}, [{"x": g}], 1e-4) == 1


def test_compound_operations_are_found():
    """An RMSProp of four streams is two instructions."""
    nodes = [Node("input", (0,)), Node("input", (1,)), Node("mul", (0, 0)), Node("mul", (2, Scalar(0)))]
    nodes += [Node("mul", (1, Scalar(1))), Node("add", (3, 4)), Node("div", (5, Scalar(2))), Node("sqrt", (6,))]
    nodes += [Node("add", (7, Scalar(3))), Node("div", (0, 8))]
    program = compiled(Formula(tuple(nodes), (5, 9), ("float32",) * 4, (1, None), "float32"))
    assert program is not None
    assert [OPERATIONS[code[0]].name for code in program.instructions] == ["blend_square", "ratio_root"]
    assert program.registers == 0


def test_what_is_rounded_is_held_as_it_is_stored():
    nodes = [Node("input", (0,)), Node("mul", (0, 0)), Node("is_finite", (1,)), Node("max", (1, Scalar.constant(-9.0)))]
    nodes += [Node("min", (3, Scalar.constant(9.0))), Node("select", (2, 1, 4))]
    ops = lambda types: [
        OPERATIONS[c[0]].name for c in compiled(Formula(tuple(nodes), (5,), types, (None,), "float32")).instructions
    ]
    assert ops(("bfloat16", "bfloat16")) == ["load", "mul", "store_held"]
    assert ops(("float32", "float32")) == ["mul", "saturate"]


def test_a_formula_that_is_too_large_is_left_to_xla():
    inputs = [Node("input", (k,)) for k in range(2)]
    tower = [Node("mul", (0, Scalar(k))) for k in range(MOST_REGISTERS + 8)]
    sums = [Node("max", (2, 3))]
    for k in range(4, 2 + len(tower)):
        sums.append(Node("max", (2 + len(tower) + len(sums) - 1, k)))
    nodes = (*inputs, *tower, *sums)
    formula = Formula(nodes, (len(nodes) - 1,), ("float32",) * 3, (None,), "float32")
    assert compiled(formula) is not None  # each term is made when it is needed
    many = Formula(nodes, tuple(range(2, 2 + 20)), ("float32",) * 40, (None,) * 20, "float32")
    assert compiled(many) is None
