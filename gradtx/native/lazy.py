"""Evaluating a jaxpr with its leaves left lazy: scalars and reductions are computed, elementwise equations wait."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import core

FUNCTIONS = {"pjit", "jit"}
CALLS = {"closed_call", "core_call", "custom_jvp_call", "custom_vjp_call"}
OPAQUE = {
    "dot_general", "conv_general_dilated", "while", "scan", "cond", "sort", "cholesky", "qr", "svd", "eigh",
    "triangular_solve", "custom_call", "ffi_call", "shard_map",
}  # fmt: skip
"""A nested function with one of these is computed as it is; others stand in line."""


class Uniform(NamedTuple):
    """An array whose elements are all the same number."""

    scalar: Any
    shape: tuple[int, ...]
    dtype: Any


@dataclass(eq=False)
class Lazy:
    """An array that is not computed yet: an elementwise equation on others of its shape."""

    equation: Any
    operands: tuple[Any, ...]
    shape: tuple[int, ...]
    dtype: Any
    computed: Any = None


def is_scalar(value: Any) -> bool:
    """Whether a value is one number: of no axes, or the same for all elements."""
    return isinstance(value, Uniform) or not getattr(value, "shape", ())


def scalar_of(value: Any) -> Any:
    """The number of such a value."""
    return value.scalar if isinstance(value, Uniform) else value


class Kind(NamedTuple):
    """What is known of an equation before its operands."""

    inner: Any  # the closed jaxpr of a call that can stand in line
    shape: tuple[int, ...]  # of its one output; () for a number, and for several outputs
    dtype: Any
    waits: bool  # whether it can be left lazy
    key: Any  # what makes it equal to another on the same operands


class Evaluation:
    """One evaluation. `waits(equation)` says which equations can be left lazy, where their operands are `held`.

    What depends on scalars alone is computed once, however often it occurs.
    """

    def __init__(self, waits: Callable[[Any], bool], held: Callable[[Any], bool]) -> None:
        self.waits, self.held = waits, held
        self.kinds: dict[int, Kind] = {}
        self.scalars: dict[Any, tuple[list[Any], list[Any]]] = {}  # operands, kept for their identity; results

    def run(self, jaxpr: Any, consts: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
        """The outputs of a jaxpr: arrays, uniform or lazy."""
        values: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *arguments], strict=True))
        read = lambda atom: atom.val if isinstance(atom, core.Literal) else values[atom]
        for equation in jaxpr.eqns:
            results = self.equation(equation, [read(atom) for atom in equation.invars])
            values.update(zip(equation.outvars, results, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def equation(self, equation: Any, operands: list[Any]) -> list[Any]:
        """The outputs of one equation."""
        kind = self.kinds.get(id(equation)) or self.kinds.setdefault(id(equation), self.kind(equation))
        alike = all(is_scalar(x) for x in operands)
        if kind.inner is not None and not (alike and equation.primitive.name in FUNCTIONS and _gives_numbers(equation)):
            return self.run(kind.inner.jaxpr, kind.inner.consts, operands)
        if kind.shape and alike and equation.primitive.name == "broadcast_in_dim":
            return [Uniform(scalar_of(operands[0]), kind.shape, kind.dtype)]
        if kind.waits and alike:
            return [Uniform(self.bind(equation, [scalar_of(x) for x in operands])[0], kind.shape, kind.dtype)]
        if (
            kind.waits
            and all(is_scalar(x) or x.shape == kind.shape for x in operands)
            and all(map(self.held, operands))
        ):
            return [Lazy(equation, tuple(operands), kind.shape, kind.dtype)]
        return self.bind(equation, [self.force(x) for x in operands])

    def kind(self, equation: Any) -> Kind:
        """What is known of an equation."""
        aval = equation.outvars[0].aval if len(equation.outvars) == 1 else None
        shape, dtype = getattr(aval, "shape", ()), getattr(aval, "dtype", None)
        key = (equation.primitive, tuple(equation.params.items()))
        waits = bool(shape) and self.waits(equation)
        return Kind(_in_line(equation), shape, dtype, waits, key if _is_hashable(key) else None)

    def bind(self, equation: Any, operands: list[Any]) -> list[Any]:
        """Let XLA compute an equation; the cast of a constant is a constant."""
        if equation.primitive.name == "convert_element_type" and not isinstance(operands[0], jax.core.Tracer):
            return [np.asarray(operands[0]).astype(equation.outvars[0].aval.dtype)]
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
        if isinstance(value, Uniform):
            return lax.broadcast(value.scalar, value.shape)
        if not isinstance(value, Lazy):
            return value
        if value.computed is None:
            (value.computed,) = self.bind(value.equation, [self.force(x) for x in value.operands])
        return value.computed


def _identity(x: Any) -> Any:
    return id(x) if isinstance(x, jax.core.Tracer) else (jnp.result_type(x), str(x))


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
    inner = core.ClosedJaxpr(inner, []) if isinstance(inner, core.Jaxpr) else inner
    return None if name in FUNCTIONS and _is_opaque(inner.jaxpr) else inner


def _is_opaque(jaxpr: Any) -> bool:
    for equation in jaxpr.eqns:
        inner = equation.params.get("jaxpr") or equation.params.get("call_jaxpr")
        nested = getattr(inner, "jaxpr", inner)
        if equation.primitive.name in OPAQUE or (nested is not None and _is_opaque(nested)):
            return True
    return False
