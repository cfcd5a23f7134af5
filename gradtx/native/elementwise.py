"""From lazy arrays to formulas: which equations the machine knows, and what it makes of them."""

from dataclasses import dataclass, field
from typing import Any

import jax.core
import jax.numpy as jnp
import numpy as np
from jax import lax

from gradtx.core.codecs.equations import decode_p, encode_p
from gradtx.native.codes import Table, fits, table
from gradtx.native.formula import Node, Operand, Scalar
from gradtx.native.symbols import WIDTH, Lazy, is_scalar, scalar_of

CODES = ("uint8", "int8")
HELD = {jnp.dtype(name) for name in (*WIDTH, "bool")}

ROUNDED = {
    "add": "add", "add_any": "add", "sub": "sub", "mul": "mul", "div": "div", "pow": "pow", "atan2": "atan2",
    "sqrt": "sqrt", "rsqrt": "rsqrt", "cbrt": "cbrt", "exp": "exp", "expm1": "expm1", "log": "log", "log1p": "log1p",
    "tanh": "tanh", "atan": "atan",
}  # fmt: skip
"""Equations that are one operation, whose result is rounded."""

EXACT = {
    "max": "max", "min": "min", "neg": "neg", "abs": "abs", "sign": "sign", "copy": "copy", "is_finite": "is_finite",
    "eq": "eq", "ne": "ne", "lt": "lt", "le": "le", "gt": "gt", "ge": "ge",
}  # fmt: skip
"""Equations that are one operation, whose result holds in the type of the operands."""

LOGICAL = {"and": "and", "or": "or", "not": "not"}
COMPOSED = {"square", "integer_pow", "clamp", "select_n", "convert_element_type"}


def known(equation: Any) -> bool:
    """Whether the machine knows an equation."""
    if equation.primitive in (decode_p, encode_p):
        return _is_known_coding(equation)
    name, out = equation.primitive.name, equation.outvars[0].aval.dtype
    if not (name in ROUNDED or name in EXACT or name in COMPOSED or (name in LOGICAL and out == np.bool_)):
        return False
    if name == "select_n" and len(equation.invars) != 3:
        return False
    if name == "integer_pow" and not 1 <= equation.params["y"] <= 4:
        return False
    return out in HELD and all(x.aval.dtype in HELD for x in equation.invars)


def held(x: Any) -> bool:
    """Whether the machine can hold an operand of an equation it knows; not booleans in memory."""
    return isinstance(x, Lazy) or is_scalar(x) or x.dtype != np.bool_


def _is_known_coding(equation: Any) -> bool:
    """Whether the machine knows the codec, and no more is asked for than that."""
    decodes, given = equation.primitive is decode_p, equation.params["given"]
    numbers, kept = (equation.outvars, equation.invars) if decodes else (equation.invars[:1], equation.outvars)
    whole = given in (("codes",), ("codes", "scales")) if decodes else given in (("x",), ("x", "seed", "salt"))
    if not whole or len(given) != len(equation.invars) or numbers[0].aval.dtype != np.float32:
        return False
    if any(np.dtype(v.aval.dtype).name not in CODES for v in (kept[0], *equation.invars[2:])):
        return False
    found = _table(equation)
    if found is None or not fits([found], numbers[0].aval.shape):
        return False
    scales = [v.aval.dtype for v in kept[1:]]
    return kept[0].aval.shape == numbers[0].aval.shape and scales == [np.float32] * (found.record[0] != 0)


def _table(equation: Any) -> Table | None:
    kind = equation.params["kind"]
    decodes = equation.primitive is decode_p
    random = kind.coding.rounding == "stochastic" if decodes else "seed" in equation.params["given"]
    return table(kind.codec, kind.positive, random)


@dataclass
class Builder:
    """The nodes of one leaf. Equal nodes are one; the same builder on leaves of one kind gives equal nodes."""

    compute: str
    arrays: list[Any]  # the inputs
    nodes: list[Node] = field(default_factory=list[Node])
    scalars: list[Any] = field(default_factory=list[Any])
    numbers: dict[Any, int] = field(default_factory=dict[Any, int])
    done: dict[int, Operand] = field(default_factory=dict[int, Operand])
    seeds: dict[int, list[Any]] = field(default_factory=dict[int, list[Any]])

    def node(self, op: str, *operands: Operand, table: Table | None = None) -> int:
        node = Node(op, operands, table)
        if node not in self.numbers:
            self.numbers[node] = len(self.nodes)
            self.nodes.append(node)
        return self.numbers[node]

    def operand(self, x: Any) -> Operand:
        """The node, or the scalar, of a value."""
        if is_scalar(x):
            return self.scalar(scalar_of(x))
        if id(x) not in self.done:
            if isinstance(x, Lazy):
                self.done[id(x)] = self.equation(x)
            else:
                self.done[id(x)] = self.node("input", next(k for k, y in enumerate(self.arrays) if y is x))
        return self.done[id(x)]

    def scalar(self, x: Any) -> Scalar:
        if not isinstance(x, jax.core.Tracer):
            return Scalar.constant(float(x))
        at = next((k for k, y in enumerate(self.scalars) if y is x), len(self.scalars))
        if at == len(self.scalars):
            self.scalars.append(x)
        return Scalar(at)

    def equation(self, x: Lazy) -> Operand:
        name = x.equation.primitive.name
        if x.equation.primitive in (decode_p, encode_p):
            return self.coded(x)
        operands = [self.operand(y) for y in x.operands]
        if name in EXACT | LOGICAL:
            return self.node((EXACT | LOGICAL)[name], *operands)
        if name in ROUNDED:
            return self.rounded(self.node(ROUNDED[name], *operands), x.dtype)
        first = operands[0]
        if name == "clamp":
            return self.clamped(*operands)
        if name == "select_n":
            return self.node("select", *operands)
        if name == "convert_element_type":
            return self.converted(first, x)
        power = first
        for _ in range(1, x.equation.params.get("y", 2)):
            power = self.rounded(self.node("mul", power, first), x.dtype)
        return power

    def coded(self, x: Lazy) -> int:
        """The numbers of codes and scales; or codes, or the scales that belong to them."""
        found = _table(x.equation)
        if x.equation.primitive is decode_p:
            return self.node("decode", *map(self.operand, x.operands), table=found)
        given = dict(zip(x.equation.params["given"], x.operands, strict=True))
        operands: list[Operand] = [self.output(given["x"])]
        if "seed" in given:
            operands += [self.operand(given["salt"]), *map(self.scalar, self.halves(given["seed"]))]
        codes = self.node("encode", *operands, table=found)
        return self.node("scales", codes) if x.part else codes

    def halves(self, seed: Any) -> list[Any]:
        """The upper and the lower 16 bits of a number of 32, which are numbers in any of the machine's types."""
        x = scalar_of(seed)
        if id(x) not in self.seeds:
            of = lambda bits: lax.convert_element_type(lax.bitwise_and(bits, np.uint32(0xFFFF)), self.compute)
            self.seeds[id(x)] = [of(lax.shift_right_logical(x, np.uint32(16))), of(x)]
        return self.seeds[id(x)]

    def clamped(self, least: Operand, x: Operand, most: Operand) -> Operand:
        """The lesser of `most` and the greater of x and `least`; no operation is on scalars alone."""
        if isinstance(x, Scalar) and isinstance(least, Scalar):
            return self.node("max", self.node("min", x, most), self.node("min", least, most))
        return self.node("min", self.node("max", x, least), most)

    def converted(self, first: Operand, x: Lazy) -> Operand:
        (source,) = x.operands
        if x.dtype == np.bool_:
            return self.node("ne", first, Scalar.constant(0.0))
        exact = source.dtype == np.bool_ or WIDTH[np.dtype(source.dtype).name] < WIDTH[np.dtype(x.dtype).name]
        return first if exact else self.rounded(first, x.dtype)

    def rounded(self, x: Operand, dtype: Any) -> Operand:
        """A value that is computed in the machine's type, rounded to its own where that holds less."""
        name = np.dtype(dtype).name
        return self.node(f"round_{name}", x) if WIDTH[name] < WIDTH[self.compute] else x

    def output(self, x: Any) -> int:
        """The node of an output; a copy where it is an input."""
        i = self.operand(x)
        assert isinstance(i, int)
        return i if self.nodes[i].op != "input" else self.node("copy", i)
