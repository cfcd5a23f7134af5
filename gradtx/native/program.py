"""Programs of the native machine: from expressions over the elements of a leaf to instructions for its registers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, TypeAlias

OPS = (
    "load", "store", "store_held", "add", "sub", "mul", "div", "max", "min", "pow", "atan2", "and", "or", "eq",
    "ne", "lt", "le", "gt", "ge", "neg", "abs", "sign", "sqrt", "rsqrt", "cbrt", "exp", "expm1", "log", "log1p",
    "tanh", "atan", "is_finite", "not", "copy", "round_float16", "round_bfloat16", "round_float32", "select",
    "saturate", "mul_add", "blend", "blend_square", "ratio_root", "sum",
)  # fmt: skip
"""The machine's operations, in the order of its header."""

MOST_STREAMS, MOST_REGISTERS, MOST_SCALARS = 32, 24, 64
SCALAR_FIELDS = {"store_held": 1, "saturate": 1, "mul_add": 1, "blend": 2, "blend_square": 2, "ratio_root": 4}
"""How many operands at the end of a compound operation are scalars."""


class Scalar(NamedTuple):
    """A number that is the same for all elements: the k-th that the leaf is given, or a constant."""

    given: int | None
    constant: float = 0.0


Operand: TypeAlias = "int | Scalar"
"""The number of an earlier node, or a scalar."""


class Node(NamedTuple):
    """One value per element: an operation on operands; `input` on the number of an input."""

    op: str
    operands: tuple[Operand, ...]


class Formula(NamedTuple):
    """What is computed for each element of a leaf, before it is cut into instructions."""

    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]  # nodes
    types: tuple[str, ...]  # of the inputs, then of the outputs
    shared: tuple[int | None, ...]  # for each output the input whose memory it takes over
    compute: str
    total: bool = False  # whether the one output is summed instead of kept


@dataclass(frozen=True)
class Program:
    """Instructions of nine numbers each; what they read and need."""

    instructions: tuple[tuple[int, ...], ...]
    scalars: tuple[Scalar, ...]
    registers: int


@lru_cache(maxsize=1024)
def compiled(formula: Formula) -> Program | None:
    """The program of a formula, or None where it is too large for the machine."""
    program = _Assembly(formula, _fused(formula)).program()
    streams = len(formula.types)
    fits = program.registers <= MOST_REGISTERS and len(program.scalars) <= MOST_SCALARS and streams <= MOST_STREAMS
    return program if fits else None


def _fused(formula: Formula) -> list[Node]:
    """The nodes, with the few shapes that optimizers are made of each in one node; what they replace is dead."""
    nodes = list(formula.nodes)
    uses = [0] * len(nodes)
    for node in nodes:
        for x in node.operands if node.op != "input" else ():
            if isinstance(x, int):
                uses[x] += 1
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
        y, t = self.scaled(inside, "div") or (inside, Scalar(None, 1.0))
        x, s = self.scaled(over, "div") or (over, Scalar(None, 1.0))
        return Node("ratio_root", (x, y, s, t, r, e))

    def shifted(self, x: Operand) -> tuple[Operand, Scalar]:
        """The parts of `y + s`."""
        node = self.once(x, "add")
        for y, s in (node.operands, node.operands[::-1]) if node is not None else ():
            if isinstance(s, Scalar) and not isinstance(y, Scalar):
                return y, s
        return x, Scalar(None, 0.0)

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
        same = node.operands[1] in lower.operands and bottom == Scalar(None, -top.constant) and top.given is None
        return Node("saturate", (node.operands[1], top)) if same else None


@dataclass
class _Assembly:
    """From nodes to instructions: where each value lives, and in what order they are made."""

    formula: Formula
    nodes: list[Node]
    scalars: list[Scalar] = field(default_factory=list[Scalar])
    code: list[tuple[int, ...]] = field(default_factory=list[tuple[int, ...]])
    homes: dict[int, int] = field(default_factory=dict[int, int])  # of nodes: a stream, or a register after them
    free: list[int] = field(default_factory=list[int])
    outputs: list[int] = field(default_factory=list[int])  # nodes
    most: dict[int, Scalar] = field(default_factory=dict[int, Scalar])  # what an output is held within as it is stored
    registers: int = 0

    def program(self) -> Program:
        self.hold()
        order = self.order()
        last = {x: at for at, i in enumerate(order) for x in self.reads(i)}
        direct = self.direct(order, last)
        for at, i in enumerate(order):
            reads = set(self.reads(i))
            for x in sorted(reads):
                self.load(x)
            for x in sorted(reads):
                if last[x] == at and x not in self.outputs:
                    self.release(x)
            self.homes[i] = direct[i] if i in direct else self.register()
            self.emit(self.nodes[i].op, self.homes[i], self.nodes[i].operands)
        for k, x in enumerate(self.outputs):
            self.end(k, x)
        return Program(tuple(self.code), tuple(self.scalars), self.registers)

    def hold(self) -> None:
        """Let an output that is held within a range be held as it is stored, where it is rounded anyway."""
        read = {x for i in range(len(self.nodes)) for x in self.reads(i)}
        self.outputs = list(self.formula.outputs)
        for k, x in enumerate(self.formula.outputs):
            rounds = not self.formula.total and self.formula.types[self.inputs + k] != self.formula.compute
            if rounds and self.nodes[x].op == "saturate" and x not in read and self.formula.outputs.count(x) == 1:
                value, most = self.nodes[x].operands
                assert isinstance(value, int) and isinstance(most, Scalar)
                self.outputs[k], self.most[k] = value, most

    def end(self, k: int, x: int) -> None:
        """Sum up an output, or store it where it is not in its place already."""
        if self.formula.total:
            self.load(x)
            self.emit("sum", 0, (x,))
        elif k in self.most:
            self.load(x)
            self.emit("store_held", self.inputs + k, (x, self.most[k]))
        elif self.homes.get(x) != self.inputs + k:
            self.load(x)
            self.emit("store", self.inputs + k, (x,))

    @property
    def inputs(self) -> int:
        return len(self.formula.types) - (0 if self.formula.total else len(self.formula.outputs))

    def order(self) -> list[int]:
        """The nodes to compute: copies first, as memory is overwritten later; the first outputs, parameters, last."""
        order: list[int] = []
        seen: set[int] = set()

        def visit(i: int) -> None:
            if i not in seen and self.nodes[i].op != "input":
                seen.add(i)
                for x in self.reads(i):
                    visit(x)
                order.append(i)

        for i in [x for x in self.outputs if self.nodes[x].op == "copy"]:
            visit(i)
        for i in reversed(self.outputs):
            visit(i)
        return order

    def reads(self, i: int) -> list[int]:
        node = self.nodes[i]
        return [] if node.op == "input" else [x for x in node.operands if isinstance(x, int)]

    def direct(self, order: list[int], last: dict[int, int]) -> dict[int, int]:
        """The nodes that are computed into the memory of their output: none later reads what was there."""
        direct: dict[int, int] = {}
        if self.formula.total:
            return direct
        place = {self.number(node): i for i, node in enumerate(self.nodes) if node.op == "input"}
        for k, x in enumerate(self.outputs):
            stream = self.inputs + k
            shared = self.formula.shared[k]
            there = None if shared is None else place.get(shared)
            plain = self.formula.types[stream] == self.formula.compute and self.nodes[x].op != "input"
            if plain and x not in direct and (there is None or last.get(there, -1) <= order.index(x)):
                direct[x] = stream
        return direct

    def number(self, node: Node) -> int:
        (number,) = node.operands
        assert isinstance(number, int)
        return number

    def load(self, x: int) -> None:
        """See that a value has a home: an input's is its stream, or a register that it is converted into."""
        if x in self.homes:
            return
        stream = self.number(self.nodes[x])
        if self.formula.types[stream] == self.formula.compute:
            self.homes[x] = stream
        else:
            self.homes[x] = self.register()
            self.code.append((OPS.index("load"), self.homes[x], stream, 0, 0, 0, 0, 0, 0))

    def register(self) -> int:
        if not self.free:
            self.free.append(len(self.formula.types) + self.registers)
            self.registers += 1
        return self.free.pop()

    def release(self, x: int) -> None:
        if self.homes[x] >= len(self.formula.types):
            self.free.append(self.homes[x])

    def emit(self, op: str, to: int, operands: Sequence[Operand]) -> None:
        fields = SCALAR_FIELDS.get(op, 0)
        main, numbers = operands[: len(operands) - fields], operands[len(operands) - fields :]
        places = [self.homes[x] if isinstance(x, int) else -1 - self.scalar(x) for x in main]
        scalars = [self.scalar(s) for s in numbers if isinstance(s, Scalar)]
        pad = lambda xs, n: [*xs, *[0] * (n - len(xs))]
        self.code.append((OPS.index(op), to, *pad(places, 3), *pad(scalars, 4)))

    def scalar(self, s: Scalar) -> int:
        if s not in self.scalars:
            self.scalars.append(s)
        return self.scalars.index(s)
