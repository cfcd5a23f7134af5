"""Over which devices arrays vary inside `shard_map`, where that is part of their types and loops have to keep it.

No axis is named here: an array takes this part of its type from others, which works alike in all releases of JAX.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any

import jax
import jax.core
from jax import lax
from jax.extend import core


def vary_with(x: Any, tree: Any) -> Any:
    """The arrays of `x`, which vary over devices where any array of `tree` does; outside `shard_map` as they are."""
    flags = _kinds(tree)
    return jax.tree.map(lambda y: _tied(reduce(lax.bitwise_and, flags), y), x) if flags else x


def vary_as_all(x: Any, tree: Any) -> Any:
    """The arrays of `x`, which vary as all arrays of `tree` do; where these differ, they stay as they are.

    So start numbers that belong to all parameters. Where some of these are replicated, and others not, such a number
    is left replicated: else it would no longer let those stay so.
    """
    flags = _kinds(tree)
    return jax.tree.map(lambda y: _tied(flags[0], y), x) if len(flags) == 1 else x


def vary_like(new: Any, old: Any) -> Any:
    """The arrays of `new`, each of which varies over devices where the same array of `old` does."""
    if not _inside() or jax.tree.structure(new) != jax.tree.structure(old):
        return new
    return jax.tree.map(vary_with, new, old)


def together(tree: Any) -> Any:
    """The arrays of `tree`, which all vary over devices where any of them does."""
    return vary_with(tree, tree)


def settled(step: Callable[[Any], Any], start: Any) -> Any:
    """What a loop of `step` begins with: `start`, whose arrays vary over devices where those of `step(start)` do."""
    if not _inside():
        return start
    flags = core.jaxpr_as_fun(_needed(jax.make_jaxpr(lambda: jax.tree.map(_flag, step(start)))()))()
    arrays, structure = jax.tree.flatten(start)
    tied = list(map(_tied, flags, arrays))
    same = list(map(jax.typeof, tied)) == list(map(jax.typeof, arrays))
    return start if same else settled(step, structure.unflatten(tied))


def _inside() -> bool:
    return bool(jax.sharding.get_abstract_mesh().manual_axes)


def _kinds(tree: Any) -> list[Any]:
    """The flag of each array that is being traced, once for all that vary alike; none outside `shard_map`."""
    arrays = [x for x in jax.tree.leaves(tree) if isinstance(x, jax.core.Tracer)] if _inside() else []
    return list({jax.typeof(flag): flag for flag in map(_flag, arrays)}.values())


def _flag(x: Any) -> Any:
    """True, which varies over devices as `x` does, and is not computed from it."""
    return lax.full_like(x, True, bool, shape=())


def _tied(flag: Any, x: Any) -> Any:
    """`x`, which varies with a flag."""
    return lax.select(flag, x, x)


def _needed(closed: Any) -> Any:
    """A closed jaxpr without the equations that its outputs do not follow from."""
    variables = lambda atoms: {x for x in atoms if isinstance(x, core.Var)}
    needed, kept = variables(closed.jaxpr.outvars), []
    for equation in reversed(closed.jaxpr.eqns):
        if needed.intersection(equation.outvars):
            kept.insert(0, equation)
            needed |= variables(equation.invars)
    return core.ClosedJaxpr(closed.jaxpr.replace(eqns=kept, effects=set()), closed.consts)
