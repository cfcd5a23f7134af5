"""Random steps: of all operations that the native machine knows, all dtypes, and all ways of sharing memory.

A program is a list of instructions on numbered values, so that it can be run with JAX, evaluated in intervals, and
printed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gradtx.core.codecs.coded import is_coded, opened, recoded, seed_of
from gradtx.core.each import each, sum_each
from gradtx.core.precision import narrow
from tests.native import intervals as iv
from tests.native.coded import CODECS, coded, kept
from tests.native.intervals import Interval
from tests.native.operations import OFTEN, OPS, RARE, cast_held

FLOATS = ("float32", "bfloat16", "float16", "float64")
CONSTANTS = (0.0, -0.0, 1.0, -1.0, 0.5, 3.0, 0.9, 1e-8, -0.1)


class Instruction(NamedTuple):
    """A value: an operation, what it is given (values by number, "s0" a number that is computed, "c0.5" one that is
    known), and its dtype."""

    op: str
    operands: tuple[Any, ...]
    dtype: str


@dataclass
class Part:
    """Leaves of one type, and what is done to each: `types` are those of the parameter, its slots and its gradient."""

    shape: tuple[int, ...]
    types: tuple[str, ...]
    count: int
    alike: bool  # whether the leaves are one equation
    code: list[Instruction] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)  # the values that replace the parameter and its slots
    codecs: dict[int, tuple[str, bool]] = field(default_factory=dict)  # by slot, and whether it is never negative

    def values(self, arrays: list[Any], scalars: list[Any], call: Callable[..., Any]) -> list[Any]:
        """The new parameter and slots, computed by `call(instruction, operands, scalars)`."""
        found = list(arrays)
        for one in self.code:
            found.append(call(one, [found[x] if isinstance(x, int) else x for x in one.operands], scalars))
        return [found[k] for k in self.outputs]


def by_jax(one: Instruction, operands: list[Any], scalars: list[Any]) -> Any:
    if one.op in ("cast", "narrow"):
        return (narrow if one.op == "narrow" else lax.convert_element_type)(operands[0], jnp.dtype(one.dtype))
    dtype = [x.dtype for x in operands if not isinstance(x, str)][-1]
    number = lambda x: scalars[int(x[1:])] if x[0] == "s" else np.asarray(float(x[1:]))
    return OPS[one.op].jax(*(lax.convert_element_type(number(x), dtype) if isinstance(x, str) else x for x in operands))


def by_intervals(one: Instruction, operands: list[Any], scalars: list[Any]) -> Interval:
    if one.op in ("cast", "narrow"):
        found = (cast_held if one.op == "narrow" else iv.cast)(operands[0], one.dtype)
        return iv.where(operands[0].anything(), found)
    dtype = [x.dtype for x in operands if not isinstance(x, str)][-1]
    number = lambda x: (
        scalars[int(x[1:])] if x[0] == "s" else Interval.exactly(np.float64(x[1:]).astype(jnp.dtype(dtype)))
    )
    given = [iv.cast(number(x), dtype) if isinstance(x, str) else x for x in operands]
    found = OPS[one.op].interval(*given)
    chosen = one.op.startswith("select")
    return found if chosen else iv.where(reduce(np.logical_or, [x.anything() for x in given]), found)


def random_part(rng: np.random.Generator) -> Part:
    """Leaves of one type, with something random done to them."""
    pick = lambda xs: xs[rng.integers(len(xs))]
    shape = pick([(1,), (5,), (127,), (128,), (130,), (3, 47), (300,)])
    dtypes = [pick(FLOATS) for _ in range(pick([1, 1, 2, 2, 3]))]
    slots = [pick(dtypes) if rng.random() < 0.97 else "bool" for _ in range(rng.integers(5))]
    many = rng.random() < 0.4
    part = Part(shape, (pick(dtypes), *slots, pick(dtypes)), int(rng.integers(2, 4)) if many else 1, bool(many))
    types = list(part.types)

    def add(op: str, *operands: Any, dtype: str) -> int:
        part.code.append(Instruction(op, operands, dtype))
        types.append(dtype)
        return len(types) - 1

    def converted(x: int, dtype: str) -> int:
        kind = "narrow" if types[x] in FLOATS and dtype in FLOATS and rng.random() < 0.5 else "cast"
        return x if types[x] == dtype else add(kind, x, dtype=dtype)

    def value(dtype: str) -> int:
        """A value of a dtype: an array, or another, of which recent ones are likelier."""
        some = [k for k, t in enumerate(types) if t == dtype]
        arrays = [k for k in some if k < len(part.types)]
        if arrays and rng.random() < 0.3:
            return pick(arrays)
        return (
            int(some[-1 - min(int(rng.exponential(3)), len(some) - 1)])
            if some
            else converted(pick(range(len(types))), dtype)
        )

    for _ in range(rng.integers(1, 17)):
        name = pick(OFTEN) if rng.random() < 0.9 else pick(RARE)
        dtype = pick([t for t in types if t != "bool"])
        if rng.random() < 0.1:
            converted(value(dtype), pick(FLOATS))
            continue
        scalar = lambda: f"s{rng.integers(3)}" if rng.random() < 0.6 else f"c{pick(CONSTANTS)}"
        operands = [
            value("bool") if kind == "b" else value(dtype) if kind == "f" else scalar() for kind in OPS[name].operands
        ]
        gives = "bool" if OPS[name].gives == "b" else dtype
        found = add(name, *operands, dtype=gives)
        if gives == "bool" and rng.random() < 0.6:
            add("select", found, value(dtype), value(dtype), dtype=dtype)
    for k, dtype in enumerate(part.types[:-1]):
        other = pick([0, *range(len(part.types))])  # an array, perhaps of another operand
        computed = converted(value(types[-1]), dtype) if rng.random() < 0.5 else value(dtype)
        same = [x for x in part.outputs if types[x] == dtype]
        choices = [computed, computed, computed, k, other, other, other, pick(same) if same else computed]
        chosen = pick(choices) if k else computed
        part.outputs.append(converted(chosen, dtype))
    return part


def in_codes(rng: np.random.Generator, part: Part) -> None:
    """Keep some slots in codes, in a program that is whole."""
    for k, dtype in enumerate(part.types[1:-1], 1):
        if dtype in FLOATS and rng.random() < 0.15:
            positive = bool(rng.random() < 0.5)
            part.codecs[k] = (list(CODECS)[rng.integers(len(CODECS))], positive)
            if positive:
                part.code.append(Instruction("abs", (part.outputs[k],), dtype))
                part.outputs[k] = len(part.types) + len(part.code) - 1


@dataclass
class RandomStep:
    """A step on parts, with three numbers: one that is closed over, one of the state, and a sum over leaves."""

    parts: list[Part]
    measured: int  # the part whose gradients are summed up
    donate: tuple[int, ...]

    @classmethod
    def make(cls, seed: int) -> "RandomStep":
        rng = np.random.default_rng(seed)
        parts = [random_part(rng) for _ in range(rng.integers(1, 4))]
        by_itself = np.random.default_rng((seed, 1))
        for part in parts:
            in_codes(by_itself, part)
        donate = [(), (0,), (0, 1), (1,), (0, 1, 2)][rng.integers(5)]
        return cls(parts, int(rng.integers(len(parts))), donate)

    def arguments(self, seed: int) -> tuple[Any, Any, Any]:
        """Parameters, state and gradients; new arrays each time."""
        rng = np.random.default_rng(seed)

        def array(shape, dtype):
            if dtype == "bool":
                return jnp.asarray(rng.random(shape) < 0.5)
            x = rng.standard_normal(shape) * np.where(rng.random(shape) < 0.1, 10.0 ** rng.integers(-4, 4), 1.0)
            return jnp.asarray(x, dtype)

        leaves = lambda part, types: [[array(part.shape, t) for t in types] for _ in range(part.count)]
        params = [[x for (x,) in leaves(part, part.types[:1])] for part in self.parts]
        slots: list[list[list[Any]]] = [leaves(part, part.types[1:-1]) for part in self.parts]
        for part, several in zip(self.parts, slots, strict=True):
            for k, (name, positive) in part.codecs.items():
                for one in several:
                    one[k - 1] = kept(jnp.abs(one[k - 1]) if positive else one[k - 1], name, positive)
        grads = [[x for (x,) in leaves(part, part.types[-1:])] for part in self.parts]
        return params, {"number": jnp.float32(rng.uniform(0.2, 2.0)), "count": jnp.int32(seed), "slots": slots}, grads

    def step(self, closed: Any) -> Callable[[Any, Any, Any], Any]:
        """The step as JAX computes it."""

        def step(params, state, grads):
            size = np.prod(self.parts[self.measured].shape)
            mean = lambda g: jnp.sum(g.astype(jnp.float32) * jnp.asarray(1 / size, jnp.float32))
            scalars = [closed, state["number"], sum_each(mean, grads[self.measured])]
            seed = seed_of(state["count"], "slots")
            new_params, new_slots = [], []
            for part, ps, ss, gs in zip(self.parts, params, state["slots"], grads, strict=True):
                leaves = [(p, *s, g) for p, s, g in zip(ps, ss, gs, strict=True)]

                def one(leaf, seed, *scalars, part=part):
                    return recoded(part.values(opened(list(leaf)), list(scalars), by_jax), list(leaf[:-1]), seed)

                given = (seed, *scalars)
                found = each(one, leaves, *given) if part.alike else [one(leaf, *given) for leaf in leaves]
                new_params.append([x[0] for x in found])
                new_slots.append([x[1:] for x in found])
            return new_params, state | {"slots": new_slots}

        return step

    def intervals(self, closed: Any, params: Any, state: Any, grads: Any) -> Any:
        """What it may give."""
        exactly = lambda tree: jax.tree.map(Interval.exactly, tree)
        some = [iv.cast(Interval.exactly(g), "float32") for g in grads[self.measured]]
        size = np.float32(1 / np.prod(self.parts[self.measured].shape))
        means = [iv.total(iv.times(x, Interval.exactly(size))) for x in some]
        scalars = [Interval.exactly(closed), Interval.exactly(state["number"])]
        scalars.append(iv.hull([np.sum([x.low for x in means]), np.sum([x.high for x in means])], "float32", 4.0))
        new_params, new_slots = [], []
        for part, ps, ss, gs in zip(self.parts, params, state["slots"], grads, strict=True):
            with np.errstate(all="ignore"):
                found = [
                    part.values([exactly(p), *map(Interval.exactly, opened(s)), exactly(g)], scalars, by_intervals)
                    for p, s, g in zip(ps, ss, gs, strict=True)
                ]
                for x, s in zip(found, ss, strict=True):
                    x[1:] = [coded(y, like) if is_coded(like) else y for y, like in zip(x[1:], s, strict=True)]
            new_params.append([x[0] for x in found])
            new_slots.append([x[1:] for x in found])
        same = {name: Interval.exactly(state[name]) for name in ("number", "count")}
        return new_params, same | {"slots": new_slots}
