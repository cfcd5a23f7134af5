"""Malformed calls of `init` and `update`: what they are made of, and how they are run without computing anything."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import gradtx
from gradtx.core.values import Value

SHAPES = {"scalar": (), "vector": (3,), "matrix": (4, 3)}


def numbers(seed: int = 0) -> dict[str, Any]:
    """A small tree of normal numbers."""
    return dict(_drawn(seed))


@lru_cache
def _drawn(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {name: jnp.asarray(rng.standard_normal(shape), np.float32) for name, shape in SHAPES.items()}


def names_in(tx: Any) -> set[str]:
    """The names of a transformation and of all those inside it, as its `repr` and what it builds show them."""
    found, todo = set(), [tx]
    while todo:
        value = todo.pop()
        if isinstance(value, Value):
            found.add(value.name)
            todo.append(value.build())
            todo.extend(value.arguments.values())
        elif isinstance(value, list | tuple):
            todo.extend(value)
        elif isinstance(value, dict):
            todo.extend(value.values())
        elif hasattr(value, "name"):
            found.add(value.name)
            todo.extend(x.inner for x in (getattr(value, "within", None),) if x is not None)
        elif callable(value) and getattr(value, "__closure__", None):
            todo.extend(cell.cell_contents for cell in value.__closure__)
    return found


def outcome(call: Any, *trees: Any) -> Any:
    """What a call gives, as types: its arrays are traced, its other leaves are closed over; or what it raises."""
    leaves, treedef = jax.tree.flatten(trees)
    places = [i for i, x in enumerate(leaves) if isinstance(x, jax.Array)]

    def traced(arrays: list[Any]) -> Any:
        filled = list(leaves)
        for i, x in zip(places, arrays, strict=True):
            filled[i] = x
        return call(*treedef.unflatten(filled))

    try:
        return jax.eval_shape(traced, [leaves[i] for i in places])
    except Exception as error:
        return error


@dataclass(frozen=True)
class Call:
    """A call of `update`; `wrong`: it has to be refused, `right`: it must not be, neither: either, if done right."""

    updates: Any
    state: Any
    params: Any
    wrong: bool = False
    right: bool = False


def is_right(call: Call, result: Any) -> bool:
    """Whether updates and state have the types that they had before."""
    types = lambda tree: [(jnp.shape(x), jnp.result_type(x)) for x in jax.tree.leaves(tree)]
    given = call.updates, call.state
    return jax.tree.structure(result) == jax.tree.structure(given) and types(result) == types(given)


BAD_LEAVES = {
    "text": "x",
    "object": object(),
    "set": {1},
    "function": len,
    "Python integer": 3,
    "array of text": np.array(["x"]),
    "extended precision": np.ones((4, 3), np.longdouble),
    "masked array": np.ma.ones((4, 3)),
    "structure": jax.ShapeDtypeStruct((4, 3), jnp.float32),
    "container": {"x": jnp.ones((4, 3))},
}
BAD_SHAPES = {"turned": (3, 4), "row": (1, 3), "column": (4, 1), "number": (), "longer": (1, 4, 3), "flat": (12,)}
NO_STATES = {"None": None, "dictionary": {"mu": numbers()}, "number": 0, "text": "x", "tuple": (1, 2, 3, 4, 5)}


def others() -> dict[str, Any]:
    """States of other optimizers, for the same parameters."""
    params = numbers()
    makers = {
        "adam": gradtx.adam(0.1),
        "amsgrad": gradtx.scale_by_amsgrad(),
        "factored": gradtx.scale_by_factored_rms(),
    }
    makers |= {"sam": gradtx.sam(gradtx.adam(0.1)), "masked": gradtx.masked(gradtx.scale_by_adam(), True)}
    makers |= {"monitor": gradtx.monitor(gradtx.sgd(0.1)), "belief": gradtx.scale_by_belief(), "muon": gradtx.muon(0.1)}
    return {name: tx.init(params) for name, tx in makers.items()}


OTHERS = others()


def malformed_calls(tx: Any, state: Any, *, calls_a_function: bool) -> Iterator[tuple[str, Call]]:
    """Every kind of fault, one at a time, and what is unusual but right."""
    g, p = numbers(1), numbers()
    bad = BAD_LEAVES | {"key": jax.random.key(0), "integers": jnp.ones((4, 3), int), "booleans": jnp.ones((4, 3), bool)}
    for what, leaf in bad.items():
        yield f"update: {what}", Call(g | {"matrix": leaf}, state, p, wrong=True)
        yield f"parameter: {what}", Call(g, state, p | {"matrix": leaf}, wrong=True)
    for what, shape in BAD_SHAPES.items():
        other = {"matrix": jnp.ones(shape)}
        yield f"update: {what}", Call(g | other, state, p, wrong=True)
        yield f"parameter: {what}", Call(g, state, p | other, wrong=True)
        if not calls_a_function:  # which may itself refuse these
            yield f"both: {what}", Call(g | other, state, p | other)
            yield f"update alone: {what}", Call(g | other, state, None)
    for other in ({"scalar": jnp.ones(1)}, {"vector": jnp.ones(1)}):
        yield f"update: {other}", Call(g | other, state, p, wrong=True)
        yield f"parameter: {other}", Call(g, state, p | other, wrong=True)
    trees = {"more": {"more": jnp.ones(2)}, "deeper": {"matrix": [jnp.ones((4, 3))]}}
    for what, other in trees.items():
        yield f"updates: {what}", Call(g | other, state, p, wrong=True)
        yield f"parameters: {what}", Call(g, state, p | other, wrong=True)
    for what, other in {"fewer": {"matrix": g["matrix"]}, "list": list(g.values()), "one": g["matrix"]}.items():
        yield f"updates: {what}", Call(other, state, p, wrong=True)
        yield f"parameters: {what}", Call(g, state, other, wrong=True)
    yield "a parameter is missing", Call(g, state, p | {"matrix": None}, wrong=True)
    yield "an update is missing", Call(g | {"matrix": None}, state, p, right=not calls_a_function)
    yield "params are missing", Call(g, state, None)
    yield "complex updates", Call(g | {"matrix": jnp.ones((4, 3), jnp.complex64)}, state, p)
    yield "NumPy arrays", Call(jax.tree.map(np.asarray, g), state, jax.tree.map(np.asarray, p), right=True)
    yield "Python floats", Call(g | {"scalar": 1.0}, state, p | {"scalar": 2.0}, right=True)
    yield from _states(tx, state, g, p)


def _states(tx: Any, state: Any, g: Any, p: Any) -> Iterator[tuple[str, Call]]:
    """States of other transformations and of other parameters, and ones with a wrong field."""
    for what, other in (NO_STATES | OTHERS).items():
        alike = jax.tree.structure(other) == jax.tree.structure(state)
        yield f"state: {what}", Call(g, other, p, wrong=not alike)
    parameters = {"turned": p | {"matrix": p["matrix"].T}, "fewer": {"matrix": p["matrix"]}, "list": list(p.values())}
    parameters |= {"more": p | {"more": jnp.ones(2)}, "one": p["matrix"], "one missing": p | {"matrix": None}}
    shapes = lambda tree: [jnp.shape(x) for x in jax.tree.leaves(tree)]
    for what, params in parameters.items():
        try:
            other = tx.init(params)
        except (TypeError, ValueError):  # a mask that fits no others
            continue
        alike = jax.tree.structure(other) == jax.tree.structure(state) and shapes(other) == shapes(state)
        yield f"state: of parameters that are {what}", Call(g, other, p, wrong=not alike)
    leaves, treedef = jax.tree.flatten(state)
    for i, x in enumerate(leaves):
        one = lambda y, i=i: treedef.unflatten([*leaves[:i], y, *leaves[i + 1 :]])
        yield f"state: text in place of leaf {i}", Call(g, one("x"), p, wrong=True)
        yield f"state: None in place of leaf {i}", Call(g, one(None), p, wrong=True)
        if not jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            yield f"state: leaf {i} with an axis more", Call(g, one(x[None]), p, wrong=True)


def random_call(rng: np.random.Generator, state: Any) -> Call:
    """A call with a few leaves of updates, state and parameters replaced or lost, at random."""
    trees = [numbers(1), state, numbers()]
    pool = [*BAD_LEAVES.values(), None, 0.5, np.float64(2), *map(jnp.ones, [(4, 3), (3,), (), (1,), (3, 4), (0,)])]
    pool += [jnp.ones((4, 3), dtype) for dtype in ("bfloat16", "int8", "complex64")]
    for _ in range(rng.integers(1, 4)):
        k = rng.integers(len(trees))
        leaves, treedef = jax.tree.flatten(trees[k])
        if leaves:
            leaves[rng.integers(len(leaves))] = pool[rng.integers(len(pool))]
            trees[k] = treedef.unflatten(leaves)
    if rng.random() < 0.2:
        trees[rng.integers(3)] = pool[rng.integers(len(pool))]
    return Call(*trees)
