"""Where a step is compiled to native calls: on one CPU device."""

from typing import Any

from jax.interpreters import mlir

from gradtx.core.one_pass import plain
from gradtx.native import calls


def lowered(ctx: Any, *operands: Any, **parameters: Any) -> Any:
    """On one device, or on each of several that run this code on their own part; not where XLA cuts arrays."""
    module = ctx.module_context
    devices = module.axis_context
    mapped = hasattr(devices, "mesh") and devices.manual_axes == frozenset(devices.mesh.axis_names)
    alone = getattr(devices, "num_devices", None) == 1
    chosen = calls.run if (alone or mapped) and not module.lowering_parameters.for_export else plain
    return mlir.lower_fun(chosen, multiple_results=True)(ctx, *operands, **parameters)
