"""The native calls of a step: it is cut into leaves, and those of one formula go together."""

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gradtx.native.codes import fits, scales_shape, together
from gradtx.native.elementwise import CODES, Builder, held, known
from gradtx.native.formula import Formula, Role, Scalar, roles
from gradtx.native.lazy import Evaluation
from gradtx.native.load import TARGET
from gradtx.native.program import compiled
from gradtx.native.symbols import WIDTH, Lazy, Member, Sum, Symbol, at, sources

MOST_OPERANDS = 448
"""How many arrays one native call takes: XLA's compile time grows with the square of a call's operands."""

LARGE = 2**18
"""From how many elements on a call is worth a change of threads, which costs some ten microseconds."""


class LeafProgram(NamedTuple):
    """One leaf's part of a step."""

    formula: Formula
    arrays: list[Any]  # the inputs
    scalars: list[Any]
    places: list[int]  # where its outputs are among the step's
    results: list[Any]  # their types


def run(*operands: Any, jaxpr: Any, in_place: bool = True) -> list[Any]:
    """Evaluate a step's jaxpr, its elementwise leaves by native calls; outputs are new values of the first operands.

    They take over the memory of these where it is to be done in place.
    """
    evaluation = Evaluation(known, held, _summed)
    outputs = evaluation.run(jaxpr, operands)
    groups: dict[Formula, list[LeafProgram]] = {}
    for leaf in _Leaves(evaluation, outputs, operands, in_place).all():
        groups.setdefault(leaf.formula, []).append(leaf)
    for formula, group in groups.items():
        program = compiled(formula)
        for some in _portions(formula, group) if program is not None else ():
            places = [k for leaf in some for k in leaf.places]
            for k, result in zip(places, _call(formula, program, some), strict=True):
                outputs[k] = result
    return [evaluation.force(x) for x in outputs]


def _summed(evaluation: Evaluation, x: Sum) -> Any:
    """Compute a sum: by native calls, or by XLA where the machine cannot."""
    groups: dict[Formula, list[LeafProgram]] = {}
    parts: list[Any] = []
    for term in x.terms:
        inputs = sources(term)
        builder = Builder("float64" if _is_wide([term]) else "float32", inputs)
        node = builder.operand(term)
        assert isinstance(node, int)
        held_by = _roles(builder, inputs, [])
        types = tuple(y.dtype.name for y in inputs)
        formula = Formula(tuple(builder.nodes), (node,), types, (), builder.compute, True, held_by or ())
        count = next(len(y.arrays) for y in inputs if isinstance(y, Symbol))
        if held_by is None or compiled(formula) is None:
            values = [evaluation.force(evaluation.member(term, i, count)) for i in range(count)]
            parts.extend(lax.reduce(y, np.zeros((), y.dtype), lax.add, range(y.ndim)) for y in values)
        else:
            leaves = [LeafProgram(formula, [at(y, i) for y in inputs], builder.scalars, [], []) for i in range(count)]
            groups.setdefault(formula, []).extend(leaves)
    for formula, group in groups.items():
        parts.extend(_call(formula, compiled(formula), some)[0] for some in _portions(formula, group))
    return reduce(lax.add, [lax.convert_element_type(part, x.dtype) for part in parts])


class _Leaves:
    """The outputs of a step, cut into leaves: what is computed from the same arrays, together."""

    def __init__(
        self, evaluation: Evaluation, outputs: list[Any], operands: Sequence[Any], in_place: bool = True
    ) -> None:
        self.evaluation, self.outputs, self.operands, self.in_place = evaluation, outputs, operands, in_place
        self.own = {id(x) for x in operands}
        self.sources: dict[Any, list[Any]] = {}
        self.formulas: dict[Any, tuple[Formula | None, list[Any]]] = {}

    def all(self) -> list[LeafProgram]:
        """The leaves that a native call can compute: from arrays that are the step's own."""
        reads = {k: self.arrays(x) for k, x in enumerate(self.outputs) if self.changes(x, self.operands[k])}
        first: dict[int, int] = {}  # from an array to one that belongs with it
        for arrays in reads.values():
            for x in arrays[1:]:
                first[_root(first, id(x))] = _root(first, id(arrays[0]))
        together: dict[int, list[int]] = {}
        for k, arrays in reads.items():
            together.setdefault(_root(first, id(arrays[0])), []).append(k)
        leaves: list[LeafProgram] = []
        for places in together.values():
            waiting = any(isinstance(self.outputs[k], Lazy | Member) for k in places)
            if waiting and all(id(x) in self.own for k in places for x in reads[k]):
                leaves.extend(self.leaf(places))
        return leaves

    def changes(self, output: Any, old: Any) -> bool:
        """Whether an output waits, or is another operand than the one it replaces.

        That is a copy, best made before that other is overwritten.
        """
        if output.dtype.name not in WIDTH:  # the machine computes booleans, but has no memory for them
            return output.dtype.name in CODES and isinstance(output, Lazy | Member)
        return isinstance(output, Lazy | Member) or (id(output) in self.own and output is not old and output.ndim > 0)

    def arrays(self, output: Any) -> list[Any]:
        """The arrays that an output is computed from."""
        if not isinstance(output, Member):
            return sources(output)
        if output.value not in self.sources:
            self.sources[output.value] = sources(output.value)
        return [at(x, output.index) for x in self.sources[output.value]]

    def leaf(self, places: list[int]) -> list[LeafProgram]:
        """Outputs that belong together, if the machine can compute them; one formula for all that are alike."""
        results = [self.outputs[k] for k in places]
        values, inputs, arrays = self.symbolic(results) or self.concrete(results)
        number = {id(x): k for k, x in enumerate(arrays)}
        olds = [self.operands[k] for k in places]
        alike = [(old.dtype, old.shape) == (new.dtype, new.shape) for old, new in zip(olds, results, strict=True)]
        first = [self.in_place and all(old is not other for other in olds[:j]) for j, old in enumerate(olds)]
        # An output takes over the memory of the operand that it is the new value of, if the leaf reads that: then they
        # are of one size, and each operand is an array of its own. XLA copies what is needed after the call, or by
        # others. A leaf has all outputs that read one of its arrays, so nothing else of the step reads them.
        shared = tuple(number.get(id(old)) if a and b else None for old, a, b in zip(olds, alike, first, strict=True))
        key = (*map(id, values), shared)
        if key not in self.formulas:
            self.formulas[key] = _formula(values, inputs, shared)
        formula, scalars = self.formulas[key]
        types = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in results]
        return [LeafProgram(formula, arrays, scalars, places, types)] if formula is not None else []

    def symbolic(self, results: list[Any]) -> tuple[list[Any], list[Any], list[Any]] | None:
        """What the outputs of one of many leaves stand for, and are computed from: symbols and this leaf's arrays."""
        members = [x for x in results if isinstance(x, Member)]
        index = members[0].index if members else 0
        inputs = list(dict.fromkeys(y for x in members for y in self.sources[x.value]))
        arrays = [at(y, index) for y in inputs]
        by_array = dict(zip(map(id, arrays), inputs, strict=True))
        here = all(x.index == index if isinstance(x, Member) else id(x) in by_array for x in results)
        if not members or not here or len(by_array) < len(inputs):
            return None
        return [x.value if isinstance(x, Member) else by_array[id(x)] for x in results], inputs, arrays

    def concrete(self, results: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        """The same without symbols."""
        values = [self.evaluation.single(x) for x in results]
        arrays = list({id(y): y for x in values for y in sources(x)}.values())
        return values, arrays, arrays


def _formula(results: list[Any], inputs: list[Any], shared: tuple[int | None, ...]) -> tuple[Formula | None, list[Any]]:
    """What is computed for the elements of a leaf, if the machine can, and the scalars it is computed with."""
    types = tuple(x.dtype.name for x in (*inputs, *results))
    builder = Builder("float64" if "float64" in types or _is_wide(results) else "float32", inputs)
    nodes = tuple(builder.output(x) for x in results)
    held_by = _roles(builder, [*inputs, *results], nodes)
    if held_by is None:
        return None, []
    return Formula(tuple(builder.nodes), nodes, types, shared, builder.compute, roles=held_by), builder.scalars


def _roles(builder: Builder, streams: Sequence[Any], outputs: Sequence[int]) -> tuple[Role | None, ...] | None:
    """What each stream holds, if anything is in codes; None where they do not belong to one leaf."""
    if not any(x.dtype.name in CODES for x in streams):
        return ()
    found = roles(builder.nodes, len(streams) - len(outputs), outputs)
    if found is None:
        return None
    of = [(x.shape, role) for x, role in zip(streams, found, strict=True)]
    shape = next(shape for shape, role in of if role is None or role.what == "codes")
    wanted = [shape if role is None or role.what == "codes" else scales_shape(role.table, shape) for _, role in of]
    right = [shape for shape, _ in of] == wanted and fits([role.table for role in found if role is not None], shape)
    return found if right else None


def _portions(formula: Formula, leaves: list[LeafProgram]) -> Iterator[list[LeafProgram]]:
    """The leaves of a formula, as many at a time as one call takes."""
    many = max(1, MOST_OPERANDS // len(formula.types))
    for start in range(0, len(leaves), many):
        yield leaves[start : start + many]


def _call(formula: Formula, program: Any, leaves: list[LeafProgram]) -> list[Any]:
    """One native call for leaves of one formula: the outputs of all, or their sum."""
    scalars: dict[Any, int] = {}
    numbers: list[Any] = []

    def number(leaf: LeafProgram, s: Scalar) -> int:
        key = s if s.given is None else id(leaf.scalars[s.given])
        if key not in scalars:
            scalars[key] = len(numbers)
            x = np.asarray(s.number, formula.compute) if s.given is None else leaf.scalars[s.given]
            numbers.append(lax.convert_element_type(x, formula.compute))
        return scalars[key]

    reads = [number(leaf, s) for leaf in leaves for s in program.scalars or [Scalar.constant(0.0)]]
    inputs, outputs = len(leaves[0].arrays), len(leaves[0].results)
    shapes = [x for leaf in leaves for x in leaf.results]
    taken = [(j, k) for j, k in enumerate(formula.shared) if k is not None]
    arrays = [x for leaf in leaves for x in leaf.arrays]
    call = jax.ffi.ffi_call(
        TARGET,
        [_type_of_total(formula.compute, (*numbers, *arrays))] if formula.total else shapes,
        input_output_aliases={1 + i * inputs + k: i * outputs + j for i in range(len(leaves)) for j, k in taken},
    )
    numbered = lambda xs: np.array(xs, np.int32).ravel()
    tables = list(dict.fromkeys(role.table for role in formula.roles if role is not None))
    what = {None: 0} | {Role(x, t): 2 * k + j for k, t in enumerate(tables) for j, x in ((1, "codes"), (2, "scales"))}
    records, looked_up = together(tables)
    held_by = [what[role] for role in formula.roles] or [0] * (inputs + outputs)
    streams = numbered([*held_by, *records])
    sizes = numbered([inputs, outputs, program.registers, len(leaves), len(tables)])
    code, given_to = numbered(program.instructions), numbered(reads)
    given = [_handed_over(jnp.stack(numbers), leaves), *arrays, *([looked_up] if tables else [])]
    return list(call(*given, code=code, reads=given_to, sizes=sizes, streams=streams))


def _type_of_total(dtype: str, operands: Any) -> Any:
    """The type of a sum over operands: inside `shard_map` it varies over devices as they do."""
    if not jax.sharding.get_abstract_mesh().manual_axes:
        return jax.ShapeDtypeStruct((), dtype)
    zero = lambda x: lax.full_like(x, 0, dtype, shape=())
    return jax.eval_shape(lambda *xs: reduce(lax.add, map(zero, xs)), *operands)


def _handed_over(numbers: Any, leaves: list[LeafProgram]) -> Any:
    """The scalars of a call, with work behind them that XLA can see where the leaves are large.

    XLA counts a native call as no work, and runs a program of less than 1,000 operations in the thread that calls it,
    which then waits for the end of the step instead of going on to prepare the next.
    """
    if sum(leaf.arrays[0].size for leaf in leaves) < LARGE:
        return numbers
    return jnp.concatenate([numbers, numbers[0] * lax.iota(numbers.dtype, 1024)])


def _root(group: dict[int, int], x: int) -> int:
    while group.get(x, x) != x:
        x = group[x]
    return x


def _is_wide(values: Sequence[Any]) -> bool:
    """Whether any lazy array behind values is of float64."""
    seen: set[int] = set()
    waiting = list(values)
    while waiting:
        x = waiting.pop()
        if id(x) not in seen:
            seen.add(id(x))
            if getattr(x, "dtype", None) == np.float64 and getattr(x, "shape", ()):
                return True
            waiting.extend(x.operands if isinstance(x, Lazy) else ())
    return False
