"""Cutting a step into leaves: what each computes in one pass, and the native calls that do it."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax import lax

from gradtx.native.elementwise import WIDTH, Builder, held, known
from gradtx.native.lazy import Evaluation, Lazy, Uniform
from gradtx.native.load import TARGET
from gradtx.native.program import Formula, Program, compiled

MOST_LEAVES = 64
"""How many leaves one native call takes: XLA's compile time grows with the square of a call's operands."""


class Leaf(NamedTuple):
    """One leaf's part of a step."""

    formula: Formula
    arrays: list[Any]  # the inputs
    scalars: list[Any]
    places: list[int]  # where its outputs are among the step's


def run(jaxpr: Any, consts: Sequence[Any], operands: Sequence[Any]) -> list[Any]:
    """Evaluate a step's jaxpr, its elementwise leaves by native calls; each output is a new value of its operand."""
    evaluation = Evaluation(known, held)
    outputs = evaluation.run(jaxpr, consts, operands)
    groups: dict[Formula, list[Leaf]] = {}
    for leaf in _leaves(outputs, operands):
        groups.setdefault(leaf.formula, []).append(leaf)
    for formula, group in groups.items():
        program = compiled(formula)
        if program is None:
            continue
        for at in range(0, len(group), MOST_LEAVES):
            some = group[at : at + MOST_LEAVES]
            places = [k for leaf in some for k in leaf.places]
            for k, result in zip(places, _call(formula, program, some), strict=True):
                outputs[k] = result
    return [evaluation.force(x) for x in outputs]


def _leaves(outputs: list[Any], operands: Sequence[Any]) -> list[Leaf]:
    """The outputs that are computed from the same arrays, together; only from arrays that are the step's own."""
    own = {id(x) for x in operands}
    reads = {k: list(_arrays(x)) for k, x in enumerate(outputs) if isinstance(x, Lazy) or _moves(x, operands[k], own)}
    first: dict[int, int] = {}  # from an array to one that belongs with it
    for arrays in reads.values():
        for x in arrays[1:]:
            first[_root(first, id(x))] = _root(first, id(arrays[0]))
    together: dict[int, list[int]] = {}
    for k, arrays in reads.items():
        together.setdefault(_root(first, id(arrays[0])), []).append(k)
    leaves: list[Leaf] = []
    for places in together.values():
        arrays = list({id(x): x for k in places for x in reads[k]}.values())
        if all(id(x) in own for x in arrays) and any(isinstance(outputs[k], Lazy) for k in places):
            leaves.append(_leaf(places, outputs, arrays, [operands[k] for k in places]))
    return leaves


def _moves(output: Any, old: Any, own: set[int]) -> bool:
    """Whether an output is another operand than the one it replaces: a copy, best made before that is overwritten."""
    return id(output) in own and output is not old and bool(output.ndim) and output.dtype.name in WIDTH


def _leaf(places: list[int], outputs: list[Any], arrays: list[Any], old: list[Any]) -> Leaf:
    results = [outputs[k] for k in places]
    types = [x.dtype.name for x in (*arrays, *results)]
    wide = "float64" in types or any(np.dtype("float64") in _dtypes(x) for x in results)
    builder = Builder("float64" if wide else "float32", arrays)
    nodes = tuple(builder.output(x) for x in results)
    number = {id(x): k for k, x in enumerate(arrays)}
    pairs = zip(old, results, strict=True)
    shared = tuple(number.get(id(before)) if before.dtype == after.dtype else None for before, after in pairs)
    return Leaf(
        Formula(tuple(builder.nodes), nodes, tuple(types), shared, builder.compute), arrays, builder.scalars, places
    )


def _call(formula: Formula, program: Program, leaves: list[Leaf]) -> list[Any]:
    """One native call for leaves of one formula: the outputs of all."""
    scalars: dict[Any, int] = {}
    numbers: list[Any] = []

    def number(x: Any) -> int:
        key = id(x) if isinstance(x, jax.core.Tracer) else str(x)
        if key not in scalars:
            scalars[key] = len(numbers)
            numbers.append(lax.convert_element_type(x, formula.compute))
        return scalars[key]

    given = lambda leaf, s: s.constant if s.given is None else leaf.scalars[s.given]
    reads = [number(given(leaf, s)) for leaf in leaves for s in program.scalars] or [number(0.0)] * len(leaves)
    inputs, outputs = len(leaves[0].arrays), len(formula.outputs)
    results = [jnp.dtype(name) for name in formula.types[inputs:]]
    taken = [(j, k) for j, k in enumerate(formula.shared) if k is not None]
    call = jax.ffi.ffi_call(
        TARGET,
        [jax.ShapeDtypeStruct(leaf.arrays[0].shape, dtype) for leaf in leaves for dtype in results],
        input_output_aliases={1 + i * inputs + k: i * outputs + j for i in range(len(leaves)) for j, k in taken},
    )
    arrays = [x for leaf in leaves for x in leaf.arrays]
    attributes = dict(code=np.array(program.instructions).ravel(), reads=np.array(reads))
    attributes["sizes"] = np.array([inputs, outputs, program.registers])
    return list(call(jnp.stack(numbers), *arrays, **{name: x.astype(np.int32) for name, x in attributes.items()}))


def _root(group: dict[int, int], x: int) -> int:
    while group.get(x, x) != x:
        x = group[x]
    return x


def _arrays(value: Any) -> Iterator[Any]:
    """The arrays that a value is computed from, in the order of its formula."""
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        x = waiting.pop()
        if id(x) in seen or isinstance(x, Uniform) or not getattr(x, "shape", ()):
            continue
        seen.add(id(x))
        if isinstance(x, Lazy):
            waiting.extend(reversed(x.operands))
        else:
            yield x


def _dtypes(value: Any) -> set[Any]:
    """The dtypes of all lazy arrays behind a value."""
    found: dict[int, Any] = {}
    waiting = [value]
    while waiting:
        x = waiting.pop()
        if isinstance(x, Lazy) and id(x) not in found:
            found[id(x)] = np.dtype(x.dtype)
            waiting.extend(x.operands)
    return set(found.values())
