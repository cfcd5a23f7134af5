"""Formulas: what is computed for each element of a leaf, with the shapes that are one operation of the machine."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from gradtx.native.codes import Table


class Scalar(NamedTuple):
    """A number that is the same for all elements: the k-th that the leaf is given, or a constant.

    A constant is kept as the bits of a float64. So equal means the same number: 0.0 and -0.0 are two, and a NaN is one.
    """

    given: int | None
    bits: int = 0

    @classmethod
    def constant(cls, number: float) -> "Scalar":
        """A number that is known when the step is traced."""
        return cls(None, int.from_bytes(struct.pack("<d", number), "little"))

    @property
    def number(self) -> float:
        """The constant."""
        return struct.unpack("<d", self.bits.to_bytes(8, "little"))[0]


Operand: TypeAlias = "int | Scalar"
"""The number of an earlier node, or a scalar."""


class Node(NamedTuple):
    """One value per element: an operation on operands; `input` on the number of an input.

    `decode` reads codes and scales as they lie in memory, and what `encode` gives can only be kept: codes, and behind
    `scales` those that belong to them.
    """

    op: str
    operands: tuple[Operand, ...]
    table: Table | None = None  # of the codec


class Role(NamedTuple):
    """What a stream holds that holds no numbers of a leaf: codes, or scales, of a codec."""

    what: str
    table: Table


class Formula(NamedTuple):
    """What is computed for each element of a leaf, before it is cut into instructions."""

    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]  # nodes
    types: tuple[str, ...]  # of the inputs, then of the outputs
    shared: tuple[int | None, ...]  # for each output the input whose memory it takes over
    compute: str
    total: bool = False  # whether the one output is summed instead of kept
    roles: tuple[Role | None, ...] = ()  # of the inputs, then of the outputs; none where nothing is in codes


def reads(node: Node) -> list[int]:
    """The nodes that a node reads, in the order of its operands."""
    return [] if node.op == "input" else [x for x in node.operands if isinstance(x, int)]


def roles(nodes: Sequence[Node], inputs: int, outputs: Sequence[int]) -> tuple[Role | None, ...] | None:
    """What each stream holds, or None where one would hold two things, or codes are computed with."""
    found: dict[int, set[Role | None]] = {k: set() for k in range(inputs + len(outputs))}
    place = {i: k for i, node in enumerate(nodes) for k in node.operands if node.op == "input" and isinstance(k, int)}
    for node in nodes:
        for at, x in enumerate(reads(node)):
            role = None
            if node.op == "decode" and node.table is not None:
                role = Role("scales" if at else "codes", node.table)
            elif node.op == "encode" and node.table is not None and at:
                role = Role("codes", node.table)
            elif nodes[x].op in ("encode", "scales") and node.op != "scales":
                return None
            if x in place and not (node.op == "encode" and at and found[place[x]]):
                found[place[x]].add(role)
    for k, x in enumerate(outputs):
        coded = nodes[reads(nodes[x])[0]] if nodes[x].op == "scales" else nodes[x]
        what = "scales" if nodes[x].op == "scales" else "codes"
        found[inputs + k] = {Role(what, coded.table) if coded.op == "encode" and coded.table is not None else None}
    if any(len(x) > 1 for x in found.values()):
        return None
    return tuple(next(iter(x), None) for x in found.values())


def readers(nodes: Sequence[Node], wanted: Iterable[int]) -> list[int]:
    """How often each node is read on the way to those that are wanted; what leads to none of them reads nothing."""
    count, live = [0] * len(nodes), set(wanted)
    for i in reversed(range(len(nodes))):
        for x in reads(nodes[i]) if i in live else ():
            count[x] += 1
            live.add(x)
    return count


def fused(formula: Formula) -> list[Node]:
    """The nodes, with the few shapes that optimizers are made of each in one node; what they replace is dead."""
    nodes = list(formula.nodes)
    uses = readers(nodes, formula.outputs)
    for x in formula.outputs:
        uses[x] += 1
    match = _Match(nodes, uses)
    for i, node in enumerate(nodes):
        nodes[i] = match.ratio_root(node) or match.saturate(node) or match.blend(node) or node
    return nodes


@dataclass
class _Match:
    """Patterns over nodes; only what is used once is taken into another node."""

    nodes: list[Node]
    uses: list[int]

    def once(self, x: Operand, *ops: str) -> Node | None:
        """The node behind an operand, if it is one of these operations and used nowhere else."""
        node = self.nodes[x] if isinstance(x, int) else None
        return node if node is not None and node.op in ops and self.uses[int(str(x))] == 1 else None

    def scaled(self, x: Operand, op: str = "mul") -> tuple[Operand, Scalar] | None:
        """The parts of `y * s`, or of `y / s`."""
        node = self.once(x, op)
        if node is None:
            return None
        y, s = node.operands
        if op == "mul" and isinstance(y, Scalar):
            y, s = s, y
        return (y, s) if isinstance(s, Scalar) else None

    def blend(self, node: Node) -> Node | None:
        """S x + t y, s x + t y^2 and s x + y."""
        if node.op != "add" or any(isinstance(x, Scalar) for x in node.operands):
            return None
        for x, y in (node.operands, node.operands[::-1]):
            left, right = self.scaled(x), self.scaled(y)
            if left is None:
                continue
            if right is None:
                return Node("mul_add", (left[0], y, left[1]))
            square = self.once(right[0], "mul")
            if square is not None and square.operands[0] == square.operands[1]:
                return Node("blend_square", (left[0], square.operands[0], left[1], right[1]))
        pair = [self.scaled(x) for x in node.operands]
        (x, s), (y, t) = (part for part in pair if part is not None) if all(pair) else ((0, None), (0, None))
        return None if s is None or t is None else Node("blend", (x, y, s, t))

    def ratio_root(self, node: Node) -> Node | None:
        """(x / s) / (sqrt(y / t + r) + e), where s, t, r and e may be missing."""
        if node.op != "div" or any(isinstance(x, Scalar) for x in node.operands):
            return None
        over, under = node.operands
        under, e = self.shifted(under)
        root = self.once(under, "sqrt")
        if root is None:
            return None
        inside, r = self.shifted(root.operands[0])
        y, t = self.scaled(inside, "div") or (inside, Scalar.constant(1.0))
        x, s = self.scaled(over, "div") or (over, Scalar.constant(1.0))
        return Node("ratio_root", (x, y, s, t, r, e))

    def shifted(self, x: Operand) -> tuple[Operand, Scalar]:
        """The parts of `y + s`."""
        node = self.once(x, "add")
        for y, s in (node.operands, node.operands[::-1]) if node is not None else ():
            if isinstance(s, Scalar) and not isinstance(y, Scalar):
                return y, s
        return x, Scalar.constant(-0.0)  # which alone changes no number, 0.0 and -0.0 included

    def saturate(self, node: Node) -> Node | None:
        """X, held within -s and s where it is finite."""
        if node.op != "select":
            return None
        finite, x, held = (self.nodes[y] if isinstance(y, int) else None for y in node.operands)
        if finite is None or x is None or held is None or finite.op != "is_finite" or held.op != "min":
            return None
        inner = [y for y in held.operands if isinstance(y, int)]
        lower = self.nodes[inner[0]] if len(inner) == 1 else None
        if lower is None or lower.op != "max" or finite.operands[0] != node.operands[1]:
            return None
        top = next(y for y in held.operands if isinstance(y, Scalar))
        bottom = next((y for y in lower.operands if isinstance(y, Scalar)), top)
        same = node.operands[1] in lower.operands and bottom == Scalar.constant(-top.number) and top.given is None
        return Node("saturate", (node.operands[1], top)) if same else None
