"""Programs of the native machine: from expressions over the elements of a leaf to instructions for its registers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from gradtx.native.formula import Formula, Node, Operand, Role, Scalar, fused, readers, reads
from gradtx.native.operations import CODES, MOST_CODED, MOST_REGISTERS, MOST_SCALARS, MOST_STREAMS, NAMED


@dataclass(frozen=True)
class Program:
    """Instructions of nine numbers each; what they read and need."""

    instructions: tuple[tuple[int, ...], ...]
    scalars: tuple[Scalar, ...]
    registers: int


@lru_cache(maxsize=1024)
def compiled(formula: Formula) -> Program | None:
    """The program of a formula, or None where it is too large for the machine."""
    assembly = _Assembly(formula, fused(formula))
    if not assembly.codes_fit():
        return None
    program, streams = assembly.program(), len(formula.types)
    fits = program.registers <= MOST_REGISTERS and len(program.scalars) <= MOST_SCALARS and streams <= MOST_STREAMS
    return program if fits else None


class _End(NamedTuple):
    """What becomes of an output: the node that is stored, and what it is held within as it is."""

    node: int
    most: Scalar | None = None
    codes: Node | None = None  # what the node is coded by


@dataclass
class _Assembly:
    """From nodes to instructions: where each value lives, and in what order they are made.

    An output may lie in the memory of an input. A program runs on a block of elements, all of which an instruction is
    done for before the next begins. So a program is right if nothing reads an input's memory after an instruction that
    writes to it, and that holds as:

    1. An input's memory is read by the instructions that read it in place, and by its load. Loads are made before the
       first node that reads the input. So all reads are made by nodes, or for them, and none by a store: `ends` never
       ends at an input, whose value would be read when it is stored.
    2. Stores come after all nodes, so after all reads of inputs. What they read is a register, or the memory of an
       output that a node was computed into, and that no other instruction writes to: each output takes over another
       input (`Formula.shared`), and is written by one store or one node.
    3. A node that is computed into the memory of its output is not before the last node that reads the input which was
       there (`direct`). It may be that node: each instruction reads an element of its operands before it writes it.
    4. Codes are written after all else, when the program has run on all blocks of numbers that are coded together. Only
       the codes of others before are read then, which no other output lies on (`codes_fit`).
    """

    formula: Formula
    nodes: list[Node]
    scalars: list[Scalar] = field(default_factory=list[Scalar])
    code: list[tuple[int, ...]] = field(default_factory=list[tuple[int, ...]])
    homes: dict[int, int] = field(default_factory=dict[int, int])  # of nodes: a stream, or a register after them
    free: list[int] = field(default_factory=list[int])
    registers: int = 0
    scales: dict[int, int] = field(default_factory=dict[int, int])  # by output of codes, that of their scales

    def program(self) -> Program:
        ends = self.ends()
        kept = {end.node for end in ends.values()}
        order = self.order([end.node for end in ends.values()])
        last = {x: at for at, i in enumerate(order) for x in reads(self.nodes[i])}
        direct = self.direct(ends, order, last)
        for at, i in enumerate(order):
            operands = sorted(set(reads(self.nodes[i])))
            for x in operands:
                self.load(x)
            for x in operands:
                if last[x] == at and x not in kept:
                    self.release(x)
            self.homes[i] = direct[i] if i in direct else self.register()
            self.emit(self.nodes[i].op, self.homes[i], self.nodes[i].operands)
        for k in sorted(ends, key=lambda k: ends[k].codes is not None):
            self.end(k, ends[k])
        return Program(tuple(self.code), tuple(self.scalars), self.registers)

    def ends(self) -> dict[int, _End]:
        """By output: what it is stored from; scales are stored with their codes.

        In memory of a narrower type, a store rounds, and may hold within a range. So the nodes that do so are left out
        where nothing else reads them.
        """
        outputs = list(self.formula.outputs)
        if self.formula.total:
            return {k: _End(x) for k, x in enumerate(outputs)}
        read = readers(self.nodes, outputs)
        outputs = [self.behind(x, f"round_{self.type(k)}", read) for k, x in enumerate(outputs)]
        read = readers(self.nodes, outputs)
        ends: dict[int, _End] = {}
        for k, x in enumerate(outputs):
            node = self.nodes[x]
            if node.op == "encode":
                ends[k] = _End(reads(node)[0], codes=node)
            elif node.op != "scales":
                y = x if self.type(k) == self.formula.compute else self.behind(x, "saturate", read)
                most = node.operands[1] if y != x else None
                ends[k] = _End(y, most if isinstance(most, Scalar) else None)
        assert all(self.nodes[end.node].op != "input" for end in ends.values())
        return ends

    def codes_fit(self) -> bool:
        """Whether all codes have a place for their scales, and what is read last is still there then."""
        outputs, roles = self.formula.outputs, self.formula.roles
        if not roles:
            return True
        coded = [k for k, x in enumerate(outputs) if self.nodes[x].op == "encode"]
        scaled = [k for k, x in enumerate(outputs) if self.nodes[x].op == "scales"]
        for k in coded:
            own = [j for j in scaled if reads(self.nodes[outputs[j]]) == [outputs[k]]]
            table = self.nodes[outputs[k]].table
            if table is not None and table.record[0]:
                if not own:
                    return False
                scaled.remove(own[0])
                self.scales[k] = own[0]
        salts = {k: [self.number(self.nodes[x]) for x in reads(self.nodes[outputs[k]])[1:]] for k in coded}
        apart = all(j == k or s not in salt for k, salt in salts.items() for j, s in enumerate(self.formula.shared))
        return apart and not scaled and len(coded) <= MOST_CODED

    def behind(self, x: int, op: str, read: Sequence[int]) -> int:
        """What a node is made from, if it is this operation and not read; never an input (1. above)."""
        y = self.nodes[x].operands[0]
        if self.nodes[x].op != op or read[x] or not isinstance(y, int) or self.nodes[y].op == "input":
            return x
        return y

    def end(self, k: int, end: _End) -> None:
        """Sum up an output, or store it where it is not in its place already."""
        if end.codes is not None:
            self.encode(k, end.codes)
        elif self.formula.total:
            self.load(end.node)
            self.emit("sum", 0, (end.node,))
        elif end.most is not None:
            self.emit("store_held", self.inputs + k, (end.node, end.most))
        elif self.homes[end.node] != self.inputs + k:
            self.emit("store", self.inputs + k, (end.node,))

    def encode(self, k: int, node: Node) -> None:
        x, *salt = reads(node)
        scales = self.inputs + self.scales[k] if k in self.scales else 0
        seed = [self.scalar(s) for s in node.operands if isinstance(s, Scalar)] or [0, 0]
        places = [self.homes[x], scales, *map(self.number, (self.nodes[s] for s in salt or ()))]
        self.code.append((CODES["encode"], self.inputs + k, *places, *[0] * (3 - len(places)), *seed, 0, 0))

    @property
    def inputs(self) -> int:
        return len(self.formula.types) - (0 if self.formula.total else len(self.formula.outputs))

    def type(self, k: int) -> str:
        return self.formula.types[self.inputs + k]

    def order(self, ends: list[int]) -> list[int]:
        """The nodes to compute: what only moves an input first, as memory is overwritten later.

        The first outputs, parameters, come last.
        """
        order: list[int] = []
        seen: set[int] = set()

        def visit(i: int) -> None:
            if i not in seen and self.nodes[i].op != "input":
                seen.add(i)
                for x in reads(self.nodes[i]):
                    visit(x)
                order.append(i)

        for i in [x for x in ends if self.moves(x)]:
            visit(i)
        for i in reversed(ends):
            visit(i)
        return order

    def moves(self, x: int) -> bool:
        """Whether a node is an input, if rounded or held within a range."""
        y = self.nodes[x].operands[0]
        moved = self.nodes[x].op in ("copy", "saturate") or self.nodes[x].op.startswith("round")
        return moved and isinstance(y, int) and self.nodes[y].op == "input"

    def direct(self, ends: dict[int, _End], order: list[int], last: dict[int, int]) -> dict[int, int]:
        """The nodes that are computed into the memory of their output: none later reads what was there (3. above)."""
        direct: dict[int, int] = {}
        if self.formula.total:
            return direct
        place = {self.number(node): i for i, node in enumerate(self.nodes) if node.op == "input"}
        at = {i: k for k, i in enumerate(order)}
        for k, (x, most, codes) in ends.items():
            shared = self.formula.shared[k]
            there = None if shared is None else place.get(shared)
            plain = self.type(k) == self.formula.compute and most is None and codes is None and x not in direct
            if plain and (there is None or last.get(there, -1) <= at[x]):
                direct[x] = self.inputs + k
        return direct

    def role(self, stream: int) -> Role | None:
        return self.formula.roles[stream] if self.formula.roles else None

    def number(self, node: Node) -> int:
        (number,) = node.operands
        assert isinstance(number, int)
        return number

    def load(self, x: int) -> None:
        """See that a value has a home: an input's is its stream, or a register that it is converted into."""
        if x in self.homes:
            return
        stream = self.number(self.nodes[x])
        if self.formula.types[stream] == self.formula.compute or self.role(stream) is not None:
            self.homes[x] = stream
        else:
            self.homes[x] = self.register()
            self.code.append((CODES["load"], self.homes[x], stream, 0, 0, 0, 0, 0, 0))

    def register(self) -> int:
        if not self.free:
            self.free.append(len(self.formula.types) + self.registers)
            self.registers += 1
        return self.free.pop()

    def release(self, x: int) -> None:
        if self.homes[x] >= len(self.formula.types):
            self.free.append(self.homes[x])

    def emit(self, op: str, to: int, operands: Sequence[Operand]) -> None:
        fields = NAMED[op].scalars
        main, numbers = operands[: len(operands) - fields], operands[len(operands) - fields :]
        places = [self.homes[x] if isinstance(x, int) else -1 - self.scalar(x) for x in main]
        scalars = [self.scalar(s) for s in numbers if isinstance(s, Scalar)]
        pad = lambda xs, n: [*xs, *[0] * (n - len(xs))]
        self.code.append((CODES[op], to, *pad(places, 3), *pad(scalars, 4)))

    def scalar(self, s: Scalar) -> int:
        if s not in self.scalars:
            self.scalars.append(s)
        return self.scalars.index(s)
