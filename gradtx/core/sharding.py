"""Where a state lies on a mesh, without allocating it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.core
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from gradtx.core.transformation import GradientTransformation, as_transformation
from gradtx.core.typing import PyTree


def state_sharding(tx: GradientTransformation, params: PyTree) -> PyTree:
    """The sharding of every leaf of `tx.init(params)`: a slot lies as its parameter does, or as `placed` has it.

    All else is replicated. Nothing is allocated or compiled: `init` is traced on an explicit copy of the mesh, whose
    types carry shardings. Use it to restore a checkpoint, or for
    `jax.jit(tx.init, out_shardings=gradtx.state_sharding(tx, params))`.

    Args:
        tx: a transformation.
        params: arrays, or `jax.ShapeDtypeStruct`s, that carry shardings; all named ones on one mesh.

    Returns:
        The state's tree with a `jax.sharding.Sharding` for each array.

    Raises:
        ValueError: parameters on several meshes.
    """
    return shardings_of("state_sharding", as_transformation(tx).init, params)


def mesh_of(where: str, params: PyTree) -> Mesh | None:
    """The mesh of parameters that are not traced; None where they lie on none.

    Raises:
        ValueError: several.
    """
    shardings = [getattr(p, "sharding", None) for p in jax.tree.leaves(params) if not isinstance(p, jax.core.Tracer)]
    meshes: Any = {s.mesh for s in shardings if isinstance(s, NamedSharding)}
    if len(meshes) > 1:
        raise ValueError(f"{where}: params lie on {len(meshes)} meshes, wanted one: {meshes}")
    return meshes.pop() if meshes else None


def shardings_of(where: str, init: Callable[[PyTree], Any], params: PyTree) -> PyTree:
    """The sharding of every leaf of `init(params)`, for `state_sharding`."""
    mesh = mesh_of(where, params)
    if mesh is None:
        shardings = [getattr(p, "sharding", None) for p in jax.tree.leaves(params)]
        alone = next((s for s in shardings if s is not None), jax.sharding.SingleDeviceSharding(jax.devices()[0]))
        return jax.tree.map(lambda _: alone, jax.eval_shape(init, params))
    explicit = Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Explicit,) * len(mesh.axis_names))

    def typed(p: Any) -> jax.ShapeDtypeStruct:
        sharding = getattr(p, "sharding", None)
        spec = sharding.spec if isinstance(sharding, NamedSharding) else PartitionSpec()
        return jax.ShapeDtypeStruct(p.shape, p.dtype, sharding=NamedSharding(explicit, spec))

    with jax.set_mesh(explicit):
        state = jax.eval_shape(init, jax.tree.map(typed, params))
    return jax.tree.map(lambda x: NamedSharding(mesh, x.sharding.spec if x.sharding else PartitionSpec()), state)
