"""Primitives that mean a function: differentiated, batched and compiled as that, unless a platform knows better."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend import core
from jax.interpreters import ad, batching, mlir


def opened(closed: Any, shapes: Any) -> tuple[Any, list[Any], Any]:
    """Of a function's jaxpr and its results' types: a jaxpr whose last operands are its constants, these, the types.

    A jaxpr that is a parameter of an equation must hold no arrays: they would be no operands to whoever transforms it.
    """
    consts, jaxpr = list(closed.consts), closed.jaxpr
    if consts:
        jaxpr = jaxpr.replace(constvars=[], invars=[*jaxpr.invars, *jaxpr.constvars])
    return jaxpr, consts, shapes


def evaluated(*operands: Any, jaxpr: Any) -> list[Any]:
    """What an opened jaxpr computes."""
    return core.jaxpr_as_fun(core.ClosedJaxpr(jaxpr, ()))(*operands)


def transparent(name: str, plain: Callable[..., list[Any]], types: Callable[..., list[Any]]) -> Any:
    """A primitive of several results that stands for `plain(*operands, **parameters)`; `types` are its results'.

    It keeps in one equation what `plain` would trace to many. Equations inside that JAX expands before it lowers a
    program (newer releases have such, in `jnp.interp` for one) are expanded as `plain` is traced for that.
    """
    primitive = core.Primitive(name)
    primitive.multiple_results = True
    primitive.is_high = lambda *_, **__: False

    def batch(
        axis: Any, operands: Sequence[Any], axes: Sequence[Any], **parameters: Any
    ) -> tuple[list[Any], list[Any]]:
        """As `vmap` of `plain` under the same axis: what is inside may permute along it, or cut it over a mesh."""
        if all(a is None for a in axes):
            results = primitive.bind(*operands, **parameters)
            return results, [None] * len(results)
        same = {"axis_name": axis.name, "axis_size": axis.size, "spmd_axis_name": axis.spmd_name}
        results = jax.vmap(lambda *xs: plain(*xs, **parameters), in_axes=tuple(axes), **same)(*operands)
        return results, [0] * len(results)

    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **parameters: Any) -> tuple[list[Any], list[Any]]:
        live = [k for k, t in enumerate(tangents) if type(t) is not ad.Zero]

        def call(*xs: Any) -> list[Any]:
            operands = list(primals)
            for k, x in zip(live, xs, strict=True):
                operands[k] = x
            return plain(*operands, **parameters)

        results, changes = jax.jvp(call, [primals[k] for k in live], [tangents[k] for k in live])
        zero = lambda x: ad.Zero(jax.typeof(x).to_tangent_aval())
        return results, [zero(x) if t.dtype == jax.dtypes.float0 else t for x, t in zip(results, changes, strict=True)]

    primitive.def_impl(plain)
    primitive.def_abstract_eval(types)
    batching.fancy_primitive_batchers[primitive] = batch
    ad.primitive_jvps[primitive] = jvp
    mlir.register_lowering(primitive, mlir.lower_fun(plain, multiple_results=True))
    return primitive
