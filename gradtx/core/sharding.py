"""Where a state lies on a mesh, without allocating it."""

from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from gradtx.core.transformation import GradientTransformation, as_transformation
from gradtx.core.typing import PyTree


def state_sharding(tx: GradientTransformation, params: PyTree) -> PyTree:
    """The sharding of every leaf of `tx.init(params)`: a slot lies as its parameter does, all else is replicated.

    Nothing is allocated or compiled: `init` is traced on an explicit copy of the mesh, whose types carry shardings.
    Use it to restore a checkpoint, or for `jax.jit(tx.init, out_shardings=gradtx.state_sharding(tx, params))`.

    Args:
        tx: a transformation.
        params: arrays, or `jax.ShapeDtypeStruct`s, that carry shardings; all named ones on one mesh.

    Returns:
        The state's tree with a `jax.sharding.Sharding` for each array.

    Raises:
        ValueError: parameters on several meshes.
    """
    shardings = [getattr(p, "sharding", None) for p in jax.tree.leaves(params)]
    named = [s for s in shardings if isinstance(s, NamedSharding)]
    meshes = {s.mesh for s in named}
    if len(meshes) > 1:
        raise ValueError(f"state_sharding: params lie on {len(meshes)} meshes, wanted one: {meshes}")
    init = as_transformation(tx).init
    if not meshes:
        alone = next((s for s in shardings if s is not None), jax.sharding.SingleDeviceSharding(jax.devices()[0]))
        return jax.tree.map(lambda _: alone, jax.eval_shape(init, params))
    mesh: Any = meshes.pop()
    explicit = Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Explicit,) * len(mesh.axis_names))

    def typed(p: Any) -> jax.ShapeDtypeStruct:
        sharding = getattr(p, "sharding", None)
        spec = sharding.spec if isinstance(sharding, NamedSharding) else PartitionSpec()
        return jax.ShapeDtypeStruct(p.shape, p.dtype, sharding=NamedSharding(explicit, spec))

    with jax.set_mesh(explicit):
        state = jax.eval_shape(init, jax.tree.map(typed, params))
    return jax.tree.map(lambda x: NamedSharding(mesh, x.sharding.spec if x.sharding else PartitionSpec()), state)
