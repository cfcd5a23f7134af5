"""The step as one primitive: native on one CPU device, plain XLA everywhere else, and plain to be transformed."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.core
from jax.interpreters import mlir

from gradtx.native import load, partition
from gradtx.native.primitive import evaluated, opened, transparent


def in_one_pass(step: Callable[[Any, Any, Any], Any], params: Any, state: Any, grads: Any) -> Any:
    """`step(params, state, grads)`, which gives new params and state; under `jit` as one primitive."""
    leaves, treedef = jax.tree.flatten((params, state, grads))
    if not (load.wanted() and _traced(leaves)):
        return step(params, state, grads)
    call = lambda *xs: step(*jax.tree.unflatten(treedef, xs))
    jaxpr, consts, shapes = opened(call, *leaves)
    structure = jax.tree.structure(shapes)
    run = evaluated if jaxpr.effects or structure != jax.tree.structure((params, state)) else step_p.bind
    return jax.tree.unflatten(structure, run(*leaves, *consts, jaxpr=jaxpr))


def _traced(leaves: Sequence[Any]) -> bool:
    arrays = all(hasattr(x, "dtype") and x.dtype != jax.dtypes.float0 for x in leaves)
    return arrays and any(isinstance(x, jax.core.Tracer) for x in leaves)


def _lower(ctx: Any, *operands: Any, **parameters: Any) -> Any:
    """On one device, or on each of several that run this code on their own part; not where XLA cuts arrays."""
    module = ctx.module_context
    devices = module.axis_context
    mapped = hasattr(devices, "mesh") and devices.manual_axes == frozenset(devices.mesh.axis_names)
    alone = getattr(devices, "num_devices", None) == 1
    chosen = partition.run if (alone or mapped) and not module.lowering_parameters.for_export else evaluated
    return mlir.lower_fun(chosen, multiple_results=True)(ctx, *operands, **parameters)


step_p = transparent("gradtx_step", evaluated, lambda *_, jaxpr: [v.aval for v in jaxpr.outvars])
mlir.register_lowering(step_p, _lower, platform="cpu")
