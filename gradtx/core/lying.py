"""How arrays lie on a mesh, and how one comes to lie as another.

On explicit axes their types say so. On automatic ones XLA decides, from what an array is computed from and what is
computed from it: there, walls keep what it may not decide from, and data ties an array to another.
"""

from typing import Any

import jax
import jax.core
import jax.numpy as jnp
from jax.extend.mlir import ir
from jax.extend.mlir.dialects import sdy
from jax.interpreters import batching, mlir
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from gradtx.core.primitive import transparent
from gradtx.core.typing import Array, PyTree

FORWARD, BACKWARD = 1, 2  # from what an array is computed from, to it; and from what is computed from it


def zeros_of(x: Array) -> Array:
    """Real zeros that XLA takes to depend on `x`, and so to lie as it does.

    It removes a tie that it can see through. It cannot see through x - x, which is not zero where x is not finite, as a
    whole number never is: it is made a float first.
    """
    x = x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(jnp.float32)
    return jnp.where(jnp.isfinite(x), x - x, 0).real


def is_automatic(x: Any) -> bool:
    """Whether XLA decides how an array that is traced here lies, on several devices."""
    mesh: Any = jax.typeof(x).sharding.mesh
    return isinstance(x, jax.core.Tracer) and mesh.size > 1 and AxisType.Auto in mesh.axis_types


def shielded(tree: PyTree) -> PyTree:
    """The arrays of a tree, such that how they lie does not follow from what is computed from the result."""
    arrays, structure = jax.tree.flatten(tree)
    places = [k for k, x in enumerate(arrays) if isinstance(x, jax.Array) and x.ndim and is_automatic(x)]
    if places:
        for k, x in zip(places, wall_p.bind(*(arrays[k] for k in places), way=FORWARD), strict=True):
            arrays[k] = x
    return structure.unflatten(arrays)


def lying_as(new: PyTree, old: PyTree) -> PyTree:
    """The arrays of a tree, lying as those of another do, where the trees and the shapes are the same."""
    (arrays, structure), (likes, other) = jax.tree.flatten(new), jax.tree.flatten(old)
    if structure != other:
        return new
    tied: list[int] = []
    for k, (x, y) in enumerate(zip(arrays, likes, strict=True)):
        if isinstance(x, jax.Array) and isinstance(y, jax.Array) and x.shape == y.shape:
            arrays[k] = _moved_to(x, y)
            if x.ndim and is_automatic(y):
                tied.append(k)
    if tied:
        operands = [tree[k] for tree in (arrays, likes) for k in tied]
        for k, x in zip(tied, tie_p.bind(*operands), strict=True):
            arrays[k] = _settled(x, jax.typeof(likes[k]).sharding.mesh)
    return structure.unflatten(arrays)


def _moved_to(x: Array, y: Array) -> Array:
    """`x` lying as `y` does, as far as that is known here."""
    traced: Any = jax.core.Tracer
    if isinstance(x, traced) or isinstance(y, traced):
        wanted: Any = jax.typeof(y).sharding
        same = tuple(jax.typeof(x).sharding.spec) == tuple(wanted.spec)
        return x if same else jax.sharding.reshard(x, wanted)
    known = y.sharding.num_devices == 1 or x.sharding.is_equivalent_to(y.sharding, x.ndim)
    return x if known else jax.device_put(x, y.sharding)


def _settled(x: Array, mesh: Any) -> Array:
    """`x`, of which XLA decides how it lies on a mesh; else a program's only result lies as what it is computed from.

    The mesh is that of the array to which `x` is tied: what is computed from constants alone has none of its own.
    """
    if AxisType.Explicit in mesh.axis_types:
        return x
    anyhow = NamedSharding(mesh, PartitionSpec(*[PartitionSpec.UNCONSTRAINED] * x.ndim))
    return jax.lax.with_sharding_constraint(x, anyhow)


def _halves(arrays: Any) -> tuple[Any, Any]:
    return arrays[: len(arrays) // 2], arrays[len(arrays) // 2 :]


def _by_data(*arrays: Array) -> list[Array]:
    """Arrays, each lying as another: by what it is computed from, as it holds wherever that runs."""
    new, old = _halves(arrays)
    return [x + zeros_of(y).astype(x.dtype) for x, y in zip(wall_p.bind(*new, way=BACKWARD), old, strict=True)]


def _wall_lowered(ctx: Any, *arrays: Any, way: int) -> list[Any]:
    del ctx
    return [sdy.PropagationBarrierOp(x, way).result for x in arrays] if _has_walls() else list(arrays)


def _tie_lowered(ctx: Any, *arrays: Any) -> list[Any]:
    """By a group, which costs nothing. Its number is the program's: a function that may run twice does without."""
    new, old = _halves(arrays)
    if not (_has_walls() and _in_main()):
        return mlir.lower_fun(_by_data, multiple_results=True)(ctx, *arrays)
    found = _wall_lowered(ctx, *new, way=0)
    for pair in zip(found, old, strict=True):
        group = ctx.module_context.new_channel()
        for x in pair:
            sdy.sharding_group(x, group)
    return found


def _has_walls() -> bool:
    """Whether arrays are partitioned by Shardy; what was before it knows no walls."""
    return getattr(jax.config, "jax_use_shardy_partitioner", True)


def _in_main() -> bool:
    """Whether what is lowered here is part of a program's main function, and no loop's nor that of a call."""
    here: Any = ir.InsertionPoint.current
    op = here.block.owner.operation
    while op.name != "func.func":
        op = op.parent.operation
    return ir.StringAttr(op.attributes["sym_name"]).value == "main"


def _wall_batched(_: Any, arrays: Any, axes: Any, *, way: int) -> tuple[list[Any], list[Any]]:
    return wall_p.bind(*arrays, way=way), list(axes)


def _tie_batched(axis: Any, arrays: Any, axes: Any) -> tuple[list[Any], list[Any]]:
    """Each pair along a first axis, where the array to be tied has one for each of a batch."""
    (new, old), (axes, others) = _halves(list(arrays)), _halves(axes)
    for k, (x, y, at, other) in enumerate(zip(new, old, axes, others, strict=True)):
        if at is None and other is None:
            continue
        new[k] = jnp.broadcast_to(x, (axis.size, *x.shape)) if at is None else jnp.moveaxis(x, at, 0)
        old[k] = jnp.broadcast_to(y, (axis.size, *y.shape)) if other is None else jnp.moveaxis(y, other, 0)
    found = zip(axes, others, strict=True)
    return tie_p.bind(*new, *old), [None if at is None and other is None else 0 for at, other in found]


wall_p = transparent("gradtx_wall", lambda *arrays, way: list(arrays), lambda *arrays, way: list(arrays))
"""Arrays as they are; across it, how they lie follows in one way alone."""

tie_p = transparent("gradtx_tie", lambda *arrays: list(_halves(arrays)[0]), lambda *types: list(_halves(types)[0]))
"""The first half of some arrays, each lying as its pendant in the second half does."""

batching.fancy_primitive_batchers[wall_p] = _wall_batched
batching.fancy_primitive_batchers[tie_p] = _tie_batched
mlir.register_lowering(wall_p, _wall_lowered)
mlir.register_lowering(tie_p, _tie_lowered, cacheable=False)
