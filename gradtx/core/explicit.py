"""Arrays on the explicit axes of a mesh, whose types say how they lie; the mesh need not be set."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from gradtx.core.stacks import Part, View
from gradtx.core.typing import Array


def sharding_of(x: Array) -> NamedSharding:
    """How `x` lies on the explicit axes of its mesh."""
    return jax.typeof(x).sharding


def is_cut(x: Array) -> bool:
    """Whether `x` is cut along an explicit axis of a mesh."""
    return any(sharding_of(x).spec)


def laid_out_like(y: Array, x: Array) -> Array:
    """`y` with the explicit sharding of `x`, of the same shape, where it has one."""
    return jax.sharding.reshard(y, sharding_of(x)) if is_cut(x) else y


def zeros_like(x: Array) -> Array:
    """Zeros of the type of `x`; newer releases of JAX give them no explicit sharding where the mesh is not set."""
    return laid_out_like(jnp.zeros_like(x), x)


def automatically(function: Callable[..., Any], operands: Any, shardings: Any) -> Any:
    """`function(*operands)`, within which XLA chooses how arrays lie, if operands or results have explicit sharding.

    Args:
        function: closes over no arrays: these may lie on the mesh, too.
        operands: trees of arrays.
        shardings: the tree of the results' explicit shardings.
    """
    known = [*map(sharding_of, jax.tree.leaves(operands)), *jax.tree.leaves(shardings)]
    cut: Any = next((sharding for sharding in known if any(sharding.spec)), None)
    if cut is None:
        return function(*operands)
    anywhere = NamedSharding(cut.mesh, PartitionSpec())
    shardings = jax.tree.map(lambda sharding: anywhere if sharding.mesh.empty else sharding, shardings)
    run: Any = jax.sharding.auto_axes(function, out_sharding=shardings)
    with jax.sharding.use_abstract_mesh(cut.mesh):
        return run(*operands)


def in_a_row(arrays: Sequence[Array]) -> NamedSharding:
    """How a vector of all elements of arrays lies: along the axes of the mesh that cut each of them, if it fits."""
    mesh = next((sharding_of(x).mesh for x in arrays if is_cut(x)), sharding_of(arrays[0]).mesh)
    each = [jax.tree.leaves(tuple(sharding_of(x).spec)) for x in arrays]
    common = tuple(name for name in each[0] if all(name in names for names in each))
    fits = sum(x.size for x in arrays) % prod(mesh.shape[name] for name in common) == 0
    return NamedSharding(mesh, PartitionSpec(common) if common and fits else PartitionSpec())


def lay_of(x: Any, view: View) -> Any:
    """How items of a leaf lie on explicit axes of a mesh, and over which devices they vary inside `shard_map`."""
    if not isinstance(x, jax.core.Tracer | jax.Array):
        return ()
    kind: Any = jax.typeof(x)
    return _specs(kind.sharding.spec, view), getattr(kind, "vma", ())


def _specs(spec: Any, view: View) -> tuple[Any, ...]:
    """How the axis of items, and the axes of an item, are cut over devices: as the outermost axis in each is."""
    known = [*spec, *[None] * (len(view.shape) - len(spec))]
    cut = lambda axes: known[axes[0]] if axes and not any(known[a] for a in axes[1:]) else None
    return (cut(view.counted), *map(cut, view.axes))


def sharding_of_stack(placed: Sequence[Any], part: Part, apart: bool = False) -> Any:
    """How a stack of items lies, of those in leaves that lie so: cut where all of them are, or `apart` nowhere."""
    if not all(isinstance(s, NamedSharding) and s.mesh == getattr(placed[0], "mesh", None) for s in placed):
        return placed[0] if all(s == placed[0] for s in placed) else None
    mesh: Any = placed[0].mesh
    specs = [_specs(s.spec, view) for s, view in zip(placed, part.views, strict=True) if view is not None]
    same = [column[0] if all(entry == column[0] for entry in column) else None for column in zip(*specs, strict=True)]
    width = prod(mesh.shape[name] for name in jax.tree.leaves(same[0]))
    same[0] = same[0] if sum(part.sizes) % width == 0 else None
    spec = same if part.stacked else same[1:]
    return NamedSharding(mesh, PartitionSpec() if apart else PartitionSpec(*spec))
