"""Chains: one transformation after another."""

from contextlib import nullcontext
from functools import partial
from typing import Any, cast

import jax

from gradtx.core import checks, gate
from gradtx.core.degree import of_links
from gradtx.core.eager import outside
from gradtx.core.transformation import (
    GradientTransformation,
    Inner,
    Pair,
    takes_examples,
    transformation,
)
from gradtx.core.typing import PyTree


def _run(
    links: tuple[GradientTransformation, ...], updates: PyTree, state: Any, params: PyTree = None, **extra: Any
) -> tuple[PyTree, tuple[Any, ...]]:
    states = checks.check_tuple("chain", len(links), state)
    eager = outside()  # then a link is a compiled call of its own, since the chain is none
    new_states: list[Any] = []
    # What stands before a link that averages over examples sees their axis, which the parameters have not.
    examples = max((i for i, link in enumerate(links) if takes_examples(link)), default=0)
    for i, (link, state) in enumerate(zip(links, states, strict=True)):
        with gate.EXAMPLES.turned() if i < examples else nullcontext(), jax.named_scope(link.name):
            run = link.within if eager else link.inside.update
            updates, state = run(updates, state, params, **extra)
        new_states.append(state)
    return updates, tuple(new_states)


@transformation(degree=of_links)
def chain(*links: Inner) -> Pair:
    """Apply transformations in order, each to the updates that the one before made.

    Between links updates are float32 or wider; the chain's result is rounded once, to the dtype of the updates
    given. A link from another library sees the dtype of the updates given.

    Args:
        *links: transformations, ours or any object with `init` and `update`.

    State:
        A tuple of the links' states.

    Returns:
        The chained transformation; extra arguments of `update` reach every link that takes them.
    """
    transformations = cast("tuple[GradientTransformation, ...]", links)

    def init(params: PyTree) -> tuple[Any, ...]:
        return tuple(link.init(params) for link in transformations)

    return Pair(init, partial(_run, transformations), "anything")


@transformation(degree=of_links)
def named_chain(**links: Inner) -> Pair:
    """A chain whose links, and their states, have names.

    Args:
        **links: transformations by name, applied in the order given.

    State:
        A dictionary of the links' states by name.
    """
    transformations = cast("dict[str, GradientTransformation]", links)

    def init(params: PyTree) -> dict[str, Any]:
        return {name: link.init(params) for name, link in transformations.items()}

    def update(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, Any]:
        if not isinstance(state, dict) or set(cast("dict[str, Any]", state)) != set(transformations):
            raise ValueError(
                f"named_chain: state must have the keys {list(transformations)}, got {checks.kind_of(state)}"
            )
        states = tuple(state[name] for name in transformations)
        updates, states = _run(tuple(transformations.values()), updates, states, params, **extra)
        return updates, dict(zip(transformations, states, strict=True))

    return Pair(init, update, "anything")
