"""One function on many leaves: traced once for all leaves of one type, and one equation for them."""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import jax
import jax.core
import jax.numpy as jnp

from gradtx.core.primitive import evaluated, opened, transparent
from gradtx.core.stacks import grouped
from gradtx.core.typing import Array


def each(function: Callable[..., Any] | Sequence[Callable[..., Any]], leaves: Sequence[Any], *shared: Any) -> list[Any]:
    """`[function(leaf, *shared) for leaf in leaves]`, with one equation for all leaves of one type.

    A traced program's size, and the time to trace it, then grow with the number of types, not of leaves. `vmap`, `grad`
    and XLA see the loop.

    Args:
        function: `(leaf, *shared) -> result`; pure, and traced once for each type of leaf. Or one for each leaf.
        leaves: arrays, or trees of arrays that belong together; of any types.
        *shared: what is the same for all leaves.

    Returns:
        The results, in the order of the leaves.
    """
    functions = [function] * len(leaves) if callable(function) else function
    results: list[Any] = [None] * len(leaves)
    if not is_traced((leaves, shared)):
        for place, leaf in enumerate(leaves):
            results[place] = functions[place](leaf, *shared)
        return results
    for places in grouped(map(_type_of, functions, leaves)):
        traced = jax.make_jaxpr(functions[places[0]], return_shape=True)(leaves[places[0]], *shared)
        bound = _bind(traced, functions[places[0]], [leaves[place] for place in places], shared, total=False)
        for place, result in zip(places, bound, strict=True):
            results[place] = result
    return results


def sum_each(function: Callable[..., Array], leaves: Sequence[Any]) -> Array | None:
    """The sum of `function(leaf)`, a scalar of one dtype, over leaves; None where there are none."""
    if not is_traced(leaves):
        parts = [function(leaf) for leaf in leaves]
    else:
        groups = [[leaves[place] for place in places] for places in grouped(_type_of(function, x) for x in leaves)]
        traced = [jax.make_jaxpr(function, return_shape=True)(group[0]) for group in groups]
        parts = [_bind(t, function, group, (), total=True)[0] for t, group in zip(traced, groups, strict=True)]
    return reduce(jnp.add, parts) if parts else None


def is_traced(tree: Any) -> bool:
    """Whether a leaf of a tree is traced."""
    return any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(tree))


def _type_of(function: Any, leaf: Any) -> Any:
    """What leaves of one equation have in common."""
    arrays, structure = jax.tree.flatten(leaf)
    return (id(function), structure, *map(jax.typeof, arrays))


def _bind(
    traced: Any, function: Callable[..., Any], leaves: list[Any], shared: tuple[Any, ...], *, total: bool
) -> list[Any]:
    """The results for leaves of one type, or their sum alone; `traced` is the function of the first."""
    jaxpr, consts, shape = opened(*traced)
    structure = jax.tree.structure(shape)
    if jaxpr.effects:
        results = [function(leaf, *shared) for leaf in leaves]
        return [reduce(jnp.add, results)] if total else results
    common, own = (*jax.tree.leaves(shared), *consts), [jax.tree.leaves(leaf) for leaf in leaves]
    operands = (*(x for arrays in own for x in arrays), *common)
    flat = each_p.bind(*operands, jaxpr=jaxpr, shared=len(common), count=len(leaves), total=total)
    width = structure.num_leaves
    return [structure.unflatten(flat[at : at + width]) for at in range(0, len(flat), width)]


def _plain(*operands: Any, jaxpr: Any, shared: int, count: int, total: bool) -> list[Any]:
    own, common = operands[: len(operands) - shared], operands[len(operands) - shared :]
    width = len(own) // count
    results = [evaluated(*own[i * width : (i + 1) * width], *common, jaxpr=jaxpr) for i in range(count)]
    if total:
        return [reduce(jnp.add, column) for column in zip(*results, strict=True)]
    return [x for row in results for x in row]


def _types(*_: Any, jaxpr: Any, shared: int, count: int, total: bool) -> list[Any]:
    del shared
    return [v.aval for v in jaxpr.outvars] * (1 if total else count)


each_p = transparent("gradtx_each", _plain, _types)
