"""Chains: one transformation after another, in wide dtypes between."""

from typing import Any, cast

from gradtx.core import precision
from gradtx.core.transformation import GradientTransformation, Inner, Pair, is_foreign, transformation
from gradtx.core.typing import PyTree


def _run(
    links: tuple[GradientTransformation, ...], updates: PyTree, states: Any, params: PyTree, extra: dict[str, Any]
) -> tuple[PyTree, tuple[Any, ...]]:
    wide = precision.widen(updates)
    new_states: list[Any] = []
    for link, state in zip(links, states, strict=True):
        if is_foreign(link):
            narrow, state = link.update(precision.round_like(wide, updates), state, params, **extra)
            wide = precision.widen(narrow)
        else:
            wide, state = link.update(wide, state, params, **extra)
        new_states.append(state)
    return precision.round_like(wide, updates), tuple(new_states)


@transformation
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

    def update(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, Any]:
        if not isinstance(state, tuple) or len(cast("tuple[Any, ...]", state)) != len(transformations):
            raise ValueError(f"chain: state must be the tuple of {len(transformations)} from init, got {_kind(state)}")
        return _run(transformations, updates, cast("tuple[Any, ...]", state), params, extra)

    return Pair(init, update)


@transformation
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
            raise ValueError(f"named_chain: state must have the keys {list(transformations)}, got {_kind(state)}")
        states = tuple(state[name] for name in transformations)
        updates, states = _run(tuple(transformations.values()), updates, states, params, extra)
        return updates, dict(zip(transformations, states, strict=True))

    return Pair(init, update)


def _kind(state: Any) -> str:
    if isinstance(state, tuple | dict):
        return f"{type(state).__name__} of {len(cast('tuple[Any, ...]', state))}"
    return type(state).__name__
