"""Evaluating a jaxpr with its leaves left lazy: scalars and reductions are computed, elementwise equations wait."""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from jax import lax
from jax.extend import core

from gradtx.core.codecs.equations import decode_p, encode_p
from gradtx.core.each import each_p
from gradtx.native.symbols import (
    WIDTH,
    Lazy,
    Member,
    Reduced,
    Sum,
    Symbol,
    Uniform,
    at,
    is_scalar,
    is_symbolic,
    scalar_of,
)

FUNCTIONS = {"pjit", "jit"}
CALLS = {"closed_call", "core_call", "eval_jaxpr", "custom_jvp_call", "custom_vjp_call"}
OPAQUE = {
    "dot_general", "conv_general_dilated", "while", "scan", "cond", "sort", "cholesky", "qr", "svd", "eigh",
    "triangular_solve", "custom_call", "ffi_call", "shard_map", "call_hi_primitive",
}  # fmt: skip
"""A nested function with one of these is computed as it is; others stand in line."""

CODING = {decode_p, encode_p}


class Kind(NamedTuple):
    """What is known of an equation before its operands."""

    inner: Any  # the closed jaxpr of a call that can stand in line
    shape: tuple[int, ...]  # of its one output; () for a number, and for several outputs
    dtype: Any
    waits: bool  # whether it can be left lazy
    key: Any  # what makes it equal to another on the same operands


class NotAlike(Exception):
    """What was evaluated for many leaves at once cannot be."""


class Evaluation:
    """One evaluation. `waits(equation)` says which equations can be left lazy, where their operands are `held`.

    What depends on scalars alone is computed once, however often it occurs, and what is done to each of many leaves is
    evaluated once where all of it is elementwise. `sum_up` computes a sum.
    """

    def __init__(
        self, waits: Callable[[Any], bool], held: Callable[[Any], bool], sum_up: Callable[["Evaluation", Sum], Any]
    ) -> None:
        self.waits, self.held, self.sum_up = waits, held, sum_up
        self.kinds: dict[int, Kind] = {}
        self.scalars: dict[Any, tuple[list[Any], list[Any]]] = {}  # operands, kept for their identity; results
        self.symbols: dict[tuple[int, ...], Symbol] = {}
        self.singles: dict[tuple[Any, int], Any] = {}

    def run(self, jaxpr: Any, arguments: Sequence[Any], consts: Sequence[Any] = ()) -> list[Any]:
        """The outputs of a jaxpr: computed or not."""
        values: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *arguments], strict=True))
        read = lambda atom: _constant(atom) if isinstance(atom, core.Literal) else values[atom]
        for equation in jaxpr.eqns:
            results = self.equation(equation, [read(atom) for atom in equation.invars])
            values.update(zip(equation.outvars, results, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def equation(self, equation: Any, operands: list[Any]) -> list[Any]:
        """The outputs of one equation."""
        name = equation.primitive.name
        if equation.primitive is each_p:
            return self.each(operands, **equation.params)
        kind = self.kinds.get(id(equation)) or self.kinds.setdefault(id(equation), self.kind(equation))
        if equation.primitive in CODING:
            return self.coded(equation, operands, kind.waits)
        alike = all(is_scalar(x) for x in operands)
        if kind.inner is not None and not (alike and name in FUNCTIONS and _gives_numbers(equation)):
            return self.run(kind.inner.jaxpr, operands, kind.inner.consts)
        if any(isinstance(x, Member | Reduced | Sum) for x in operands):
            pending = _pending(equation, operands)
            if pending is not None:
                return [pending]
            operands = [self.force(x) if isinstance(x, Sum | Reduced) else self.single(x) for x in operands]
        if kind.shape and alike and name == "broadcast_in_dim":
            return [Uniform(scalar_of(operands[0]), kind.shape, kind.dtype)]
        if kind.waits and alike:
            return [Uniform(self.bind(equation, [scalar_of(x) for x in operands])[0], kind.shape, kind.dtype)]
        if (
            kind.waits
            and all(is_scalar(x) or x.shape == kind.shape for x in operands)
            and all(map(self.held, operands))
        ):
            return [Lazy(equation, tuple(operands), kind.shape, kind.dtype, any(map(is_symbolic, operands)))]
        if name == "reduce_sum" and self.sums_all(equation, operands[0]):
            return [Reduced(operands[0], kind.dtype)]
        return self.bind(equation, [self.force(x) for x in operands])

    def coded(self, equation: Any, operands: list[Any], waits: bool) -> list[Any]:
        """The outputs of coding or decoding: of arrays that are there, or of numbers that may wait."""
        given = dict(zip(equation.params["given"], map(self.single, operands), strict=False))
        numbers, kept = given.get("x"), [x for name, x in given.items() if name not in ("x", "seed")]
        there = not any(is_scalar(x) or isinstance(x, Lazy | Member) for x in kept)
        held = numbers is None or (not is_scalar(numbers) and self.held(numbers))
        if not (waits and there and held and is_scalar(given.get("seed"))):
            return self.bind(equation, [self.force(x) for x in operands])
        inner = tuple(self.force(x) if isinstance(x, Sum) else x for x in given.values())
        types, symbolic = [v.aval for v in equation.outvars], any(map(is_symbolic, inner))
        return [Lazy(equation, inner, t.shape, t.dtype, symbolic, part) for part, t in enumerate(types)]

    def sums_all(self, equation: Any, operand: Any) -> bool:
        """Whether an equation sums all elements of a symbolic value."""
        whole = len(equation.params["axes"]) == len(operand.shape)
        return whole and is_symbolic(operand) and np.dtype(operand.dtype).name in WIDTH

    def each(self, operands: list[Any], *, jaxpr: Any, shared: int, count: int, total: bool) -> list[Any]:
        """The outputs of one function on many leaves, evaluated once where it is elementwise."""
        own, common = operands[: len(operands) - shared], operands[len(operands) - shared :]
        width = len(own) // count
        try:
            symbols = [self.symbol(own[k::width]) for k in range(width)]
            return self.spread(self.run(jaxpr, [*symbols, *common]), count, total)
        except NotAlike:
            rows = [self.run(jaxpr, [*own[i * width : (i + 1) * width], *common]) for i in range(count)]
        if total:
            rows = [[reduce(lax.add, map(self.force, column))] for column in zip(*rows, strict=True)]
        return [x for row in rows for x in row]

    def symbol(self, column: Sequence[Any]) -> Any:
        """What stands for one operand of all leaves."""
        first, ids = column[0], tuple(map(id, column))
        if isinstance(first, Member):
            whole = first.count == len(column) and all(
                isinstance(x, Member) and x.value is first.value and x.index == i for i, x in enumerate(column)
            )
        else:
            whole = is_scalar(first) and len(set(ids)) == 1
        if whole:
            return first.value if isinstance(first, Member) else first
        if any(is_scalar(x) or isinstance(x, Member | Lazy | Symbol) for x in column):
            raise NotAlike
        return self.symbols.setdefault(ids, Symbol(tuple(column), first.shape, first.dtype))

    def spread(self, results: list[Any], count: int, total: bool) -> list[Any]:
        """The outputs for every leaf from those of all, or their sum."""
        if total:
            (result,) = results
            if not isinstance(result, Reduced):
                raise NotAlike
            return [Sum((result.value,), result.dtype)]
        if any(isinstance(x, Reduced) for x in results):
            raise NotAlike
        return [self.member(x, i, count) for i in range(count) for x in results]

    def member(self, value: Any, index: int, count: int) -> Any:
        """What a symbolic value stands for in one leaf; anything else as it is."""
        return Member(value, index, count) if isinstance(value, Lazy) and value.symbolic else at(value, index)

    def single(self, value: Any) -> Any:
        """A value of one of many leaves as it is without the others; anything else as it is."""
        if not isinstance(value, Member):
            return value
        key = (value.value, value.index)
        if key not in self.singles:
            x, i = key
            inner = [self.single(self.member(y, i, value.count)) for y in x.operands]
            self.singles[key] = Lazy(x.equation, tuple(inner), x.shape, x.dtype, symbolic=False, part=x.part)
        return self.singles[key]

    def kind(self, equation: Any) -> Kind:
        """What is known of an equation."""
        aval = equation.outvars[0].aval if len(equation.outvars) == 1 else None
        shape, dtype = getattr(aval, "shape", ()), getattr(aval, "dtype", None)
        key = (equation.primitive, tuple(equation.params.items()))
        waits = (bool(shape) or equation.primitive in CODING) and self.waits(equation)
        return Kind(_in_line(equation), shape, dtype, waits, key if _is_hashable(key) else None)

    def bind(self, equation: Any, operands: list[Any]) -> list[Any]:
        """Let XLA compute an equation; the cast of a constant is a constant."""
        if equation.primitive is lax.convert_element_type_p and isinstance(operands[0], np.ndarray):
            dtype = equation.outvars[0].aval.dtype
            if np.dtype(dtype).name in WIDTH and operands[0].dtype.name in (*WIDTH, "bool"):
                with np.errstate(all="ignore"):
                    return [operands[0].astype(dtype)]
        same = self.kinds[id(equation)].key
        key = None if same is None or not all(map(is_scalar, operands)) else (same, tuple(map(_identity, operands)))
        if key in self.scalars:
            return self.scalars[key][1]
        results = equation.primitive.bind(*operands, **equation.params)
        results = list(results) if equation.primitive.multiple_results else [results]
        if key is not None:
            self.scalars[key] = (operands, results)
        return results

    def force(self, value: Any) -> Any:
        """Let XLA compute a value."""
        if is_symbolic(value) or isinstance(value, Reduced):
            raise NotAlike
        value = self.single(value)
        if isinstance(value, Uniform):
            return lax.broadcast(value.scalar, value.shape)
        if isinstance(value, Sum) and value.computed is None:
            value.computed = self.sum_up(self, value)
        if not isinstance(value, Lazy):
            return value.computed if isinstance(value, Sum) else value
        if value.computed is None:
            value.computed = self.bind(value.equation, [self.force(x) for x in value.operands])[value.part]
        return value.computed


def _pending(equation: Any, operands: list[Any]) -> Any:
    """What stays a sum: a cast one, and the sum of two."""
    name, dtype = equation.primitive.name, equation.outvars[0].aval.dtype
    first = operands[0]
    if name == "convert_element_type" and isinstance(first, Reduced):
        wide = first.dtype in (np.float32, np.float64) and np.dtype(dtype).name in WIDTH  # else it is rounded before
        return first._replace(dtype=dtype) if wide or dtype == first.dtype else None
    if name == "add" and all(isinstance(x, Sum) and x.computed is None for x in operands):
        return Sum(tuple(term for x in operands for term in x.terms), dtype)
    return None


def _constant(literal: Any) -> np.ndarray:
    return np.asarray(literal.val, literal.aval.dtype)


def _identity(x: Any) -> Any:
    """What a number is equal by: a constant's bits, so that 0.0 is not -0.0, and a NaN is itself."""
    return (x.dtype, x.tobytes()) if isinstance(x, np.ndarray) else id(x)


def _is_hashable(x: Any) -> bool:
    try:
        hash(x)
    except TypeError:
        return False
    return True


def _gives_numbers(equation: Any) -> bool:
    return all(getattr(x.aval, "shape", None) == () for x in equation.outvars)


def _in_line(equation: Any) -> Any:
    """The closed jaxpr of a call that can as well stand in line."""
    name = equation.primitive.name
    if name not in FUNCTIONS | CALLS:
        return None
    inner = equation.params.get("jaxpr") or equation.params.get("call_jaxpr")
    inner = inner if isinstance(inner, core.ClosedJaxpr) else core.ClosedJaxpr(inner, [])
    return None if name in FUNCTIONS and _is_opaque(inner.jaxpr) else inner


def _is_opaque(jaxpr: Any) -> bool:
    for equation in jaxpr.eqns:
        inner = equation.params.get("jaxpr") or equation.params.get("call_jaxpr")
        nested = getattr(inner, "jaxpr", inner)
        if equation.primitive.name in OPAQUE or (nested is not None and _is_opaque(nested)):
            return True
    return False
