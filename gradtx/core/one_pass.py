"""A step as one equation, so that who compiles it sees it as a whole, and can make one pass over memory of it."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.core
from jax.interpreters import mlir

from gradtx.core.primitive import evaluated, opened, transparent


def plain(*operands: Any, jaxpr: Any, in_place: bool) -> list[Any]:
    """What a step means."""
    del in_place
    return evaluated(*operands, jaxpr=jaxpr)


step_p = transparent("gradtx_step", plain, lambda *_, jaxpr, in_place: [v.aval for v in jaxpr.outvars])

_backends: list[Callable[[], bool]] = []


def register(platform: str, lowering: Callable[..., Any], is_wanted: Callable[[], bool]) -> None:
    """Have steps compiled for a platform by a backend.

    Args:
        platform: JAX's name for it.
        lowering: a rule of JAX for `step_p`, whose results are new values of its first operands, in their order.
        is_wanted: whether the backend takes steps that are traced here and now.
    """
    mlir.register_lowering(step_p, lowering, platform=platform)
    _backends.append(is_wanted)


def wanted() -> bool:
    """Whether a backend takes steps as one equation here and now; else they are traced as they are."""
    for is_wanted in _backends:  # noqa: SIM110, a generator costs what counts in an eager call
        if is_wanted():
            return True
    return False


def in_one_pass(
    step: Callable[[Any, Any, Any], Any], params: Any, state: Any, grads: Any, *, in_place: bool = True
) -> Any:
    """`step(params, state, grads)`, which gives new params and state; under `jit` as one equation, if that is wanted.

    It means the step: `vmap`, `grad` and XLA see what is in it. Where it is to be `in_place` the new take over the
    memory of the old, which XLA copies before if it was not donated.
    """
    operands = (params, state, grads)
    if not is_one_pass(operands):
        return step(*operands)
    return as_one_pass(jax.make_jaxpr(step, return_shape=True)(*operands), operands, in_place=in_place)


def is_one_pass(operands: Any) -> bool:
    """Whether a step of these operands is to be one equation."""
    return wanted() and _traced(jax.tree.leaves(operands))


def as_one_pass(made: Any, operands: tuple[Any, Any, Any], *, in_place: bool) -> Any:
    """The results of a step of these operands as one equation, from what `jax.make_jaxpr` gives for it."""
    jaxpr, consts, shapes = opened(*made)
    structure = jax.tree.structure(shapes)
    run = plain if jaxpr.effects or structure != jax.tree.structure(operands[:2]) else step_p.bind
    return jax.tree.unflatten(structure, run(*jax.tree.leaves(operands), *consts, jaxpr=jaxpr, in_place=in_place))


def _traced(leaves: Sequence[Any]) -> bool:
    arrays = all(hasattr(x, "dtype") and x.dtype != jax.dtypes.float0 for x in leaves)
    return arrays and any(isinstance(x, jax.core.Tracer) for x in leaves)
