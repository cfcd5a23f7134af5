"""Where the slots of a state lie: along which axes of a mesh they are cut, by the user's choice."""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Annotated, Any, ParamSpec, TypeAlias, cast

import jax
import jax.core
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from gradtx.core.arguments import Accept
from gradtx.core.eager import outside
from gradtx.core.explicit import automatically, sharding_of
from gradtx.core.lying import lying_as, shielded
from gradtx.core.sharding import mesh_of, shardings_of
from gradtx.core.transformation import Inner, Pair, ours, transformation
from gradtx.core.typing import Array, PyTree
from gradtx.core.values import Value, maker
from gradtx.core.walk import map_chosen

P = ParamSpec("P")


class Placement(Value):
    """Where a slot lies, of which it is known how it lies without it: made by `over`."""

    __slots__ = ()

    def spec(self, shape: tuple[int, ...], spec: PartitionSpec, mesh: Any) -> PartitionSpec:
        """How a slot of this shape lies on the mesh, instead of by `spec`."""
        return self.build()(shape, spec, mesh)


class IsMeshAxes(Accept):
    """The name of an axis of a mesh, or a tuple of names; static."""

    dynamic = False
    wanted = "the name of an axis of the mesh, or a tuple of names"

    def convert(self, where: str, name: str, x: Any) -> Any:
        names = (x,) if isinstance(x, str) else tuple(x)
        if not names or not all(isinstance(n, str) for n in names) or len(set(names)) < len(names):
            raise self.refusal(where, name, x)
        return x if isinstance(x, str) else names


class IsPlacement(Accept):
    """A `Placement`."""

    wanted = 'a placement such as over("data")'

    def convert(self, where: str, name: str, x: Any) -> Placement:
        if not isinstance(x, Placement):
            raise self.refusal(where, name, x)
        return x


Where: TypeAlias = Annotated[Placement, IsPlacement()]
"""Where a slot lies."""


def placement(body: Callable[P, Callable[..., PartitionSpec]]) -> Callable[P, Placement]:
    """Turn a function that says where slots lie into a maker of `Placement` values."""
    return cast("Callable[P, Placement]", maker(Placement, body))


@placement
def over(axis: Annotated[str | Sequence[str], IsMeshAxes()], /) -> Callable[..., PartitionSpec]:
    """Cut slots along an axis of the mesh, over which the parameters are replicated.

    A slot is cut along the largest of its dimensions that the parameter's own sharding leaves whole and the axis
    divides, the first of equals. Where there is none, or that sharding uses the axis, the slot lies as its parameter.

    Args:
        axis: its name, or a tuple of names, whose devices are counted together.
    """
    axes = (axis,) if isinstance(axis, str) else tuple(axis)

    def cut(shape: tuple[int, ...], spec: PartitionSpec, mesh: Any) -> PartitionSpec:
        unknown = [name for name in axes if name not in mesh.axis_names]
        if unknown:
            raise ValueError(f"over: the mesh has no axis {unknown[0]!r}; it has {', '.join(mesh.axis_names)}")
        now = [*spec, *[None] * (len(shape) - len(spec))]
        unused = [name for name in axes if name not in jax.tree.leaves(now)]
        parts = prod(mesh.shape[name] for name in unused)
        fit = [k for k, n in enumerate(shape) if now[k] is None and n and n % parts == 0]
        if parts == 1 or not fit:
            return spec
        now[max(fit, key=lambda k: shape[k])] = unused[0] if len(unused) == 1 else tuple(unused)
        return PartitionSpec(*now)

    return cut


@transformation
def placed(inner: Inner, /, *placements: Where, **slots: Where) -> Pair:
    """Cut the slots of a transformation, whatever is in it, over devices on which the parameters are replicated.

        tx = gradtx.placed(gradtx.adamw(1e-3), gradtx.over("data"))                 # every slot
        tx = gradtx.placed(gradtx.adamw(1e-3), nu=gradtx.over("data"))              # one slot
        tx = gradtx.placed(gradtx.adamw(1e-3), gradtx.over(("data", "fsdp")))       # over both axes together

    Each device keeps a part of the state and computes that part of the step, which is the same to rounding. Parameters
    come back as they lay: `step` gathers the new ones. Updates come back as the parameters lie (where `update` has
    none, as what it was given). How gradients lie does not follow from how slots do.

    Under `jit` nothing tells how a parameter lies on automatic axes, so there a slot is cut along the largest dimension
    that the axis divides; `jax.jit(tx.init, out_shardings=gradtx.state_sharding(tx, params))` knows more. Nothing is
    cut where parameters lie on no mesh, and in `shard_map` along the axes that it maps over.

    Args:
        inner: the transformation: a chain, a wrapper, an optimizer, or a user's own whose state declares slots.
        *placements: at most one, for every slot that `slots` does not name.
        **slots: the same for slots by name, wherever in the state they are.

    State: that of `inner`; of each slot that is cut, a device holds one part in as many as the axis has devices.

    Raises:
        ValueError: more than one placement for all; from `init`, a name that no slot has, or an axis that the mesh
            does not have.

    Source: Rajbhandari et al. 2020, arXiv:1910.02054 (ZeRO, stage 1); Xu et al. 2020, arXiv:2004.13336.
    """
    if len(placements) > 1:
        raise ValueError(f"placed: wanted one placement for all slots, got {len(placements)}; name slots: nu=over(...)")
    tx = ours(inner)

    def cut(params: PyTree) -> Any:
        lay = lambda where, _, slot: jax.tree.map(lambda x: _laid(where, x), slot)
        return map_chosen("placed", tx.name, lay, placements, slots, tx.init(params), params)

    def init(params: PyTree) -> Any:
        if not outside() or mesh_of("placed", params) is None:
            return cut(params)
        # Compiled, so that no device ever has a whole slot.
        arrays = [p for p in jax.tree.leaves(params) if isinstance(p, jax.Array)]
        start = partial(tx.init, params) if not arrays else tx.init
        return jax.jit(start, out_shardings=shardings_of("placed", cut, params))(*([params] if arrays else []))

    def free(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, Any]:
        leaves, structure = jax.tree.flatten((tx, updates, state, params, extra))
        places = [k for k, x in enumerate(leaves) if isinstance(x, jax.Array)]

        def step(*arrays: Array) -> Any:
            given = dict(zip(places, shielded(arrays), strict=True))
            tx, updates, state, params, extra = structure.unflatten([given.get(k, x) for k, x in enumerate(leaves)])
            return tx.within(updates, state, params, **extra)

        like, arrays = (_closest(updates, params), state), [leaves[k] for k in places]
        # What a function closes over may lie on explicit axes: with one, types have to fit within as they do without.
        if any(map(callable, extra.values())) or not all(isinstance(x, jax.Array) for x in jax.tree.leaves(like)):
            steps, new = step(*arrays)
        else:
            steps, new = automatically(step, arrays, jax.tree.map(sharding_of, like))
        return steps, lying_as(new, state)

    def update(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, Any]:
        steps, state = free(updates, state, params, **extra)
        return lying_as(steps, _closest(updates, params)), state

    return Pair(init, update, "anything", free=free)


def _closest(updates: PyTree, params: PyTree) -> PyTree:
    """What new updates lie as: the parameters where these are given, and in the tree of the updates."""
    return params if jax.tree.structure(params) == jax.tree.structure(updates) else updates


def _laid(where: Placement, x: Array) -> Array:
    """An array of a slot that is traced, as a placement has it."""
    now: Any = jax.typeof(x).sharding
    if not isinstance(x, jax.core.Tracer) or now.mesh.empty:
        return x
    spec = where.spec(x.shape, now.spec, now.mesh)
    kinds = dict(zip(now.mesh.axis_names, now.mesh.axis_types, strict=True))
    added = {kinds[name] for name in jax.tree.leaves([*spec]) if name not in jax.tree.leaves([*now.spec])}
    if not added or AxisType.Manual in added:
        return x
    if added == {AxisType.Explicit}:
        return jax.sharding.reshard(x, NamedSharding(now.mesh, spec))
    loose = PartitionSpec(*(PartitionSpec.UNCONSTRAINED if axis is None else axis for axis in spec))
    return jax.lax.with_sharding_constraint(x, NamedSharding(now.mesh, loose))
