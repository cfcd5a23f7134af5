"""The learning rates that were applied: those of an optimizer's links, at the steps that each of them has taken."""

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp

from gradtx.core import precision
from gradtx.core.fields import inner_fields
from gradtx.core.leafwise import Leafwise
from gradtx.core.restart import of_run
from gradtx.core.schedule import Schedule
from gradtx.core.transformation import GradientTransformation
from gradtx.core.typing import Array
from gradtx.core.values import Value
from gradtx.transforms.scale import scale_rule
from gradtx.wrappers.mechanic import MechanicState


class Placed(NamedTuple):
    """A transformation somewhere in an optimizer."""

    value: GradientTransformation
    state: Any  # after the step; None where it is not known
    factor: Any  # what its updates are multiplied by, further on


def applied_rates(tx: GradientTransformation, state: Any, count: Array) -> dict[str, Array]:
    """The learning rate of the last step that was taken, for every argument `learning_rate`, by path.

    A schedule is evaluated at the count of the link that follows it, which a transformation around it may have left out
    of some updates; before the first step it is 0. What multiplies a whole step further on (`scale`,
    `scale_by_schedule`, `reduce_on_plateau`, a line search, `mechanize`) counts. Inside a wrapper that does not say
    where its inner state is, schedules are evaluated at `count`.

    Args:
        tx: the optimizer.
        state: its state after the step.
        count: its updates before the step.
    """
    everything = list(_placed(Placed(tx, state, 1)))
    found: dict[str, Any] = {}
    for path, h in jax.tree_util.tree_leaves_with_path(tx, is_leaf=lambda x: isinstance(x, Schedule)):
        if getattr(path[-1], "name", None) != "learning_rate":
            continue
        owners = [_at(tx, path[:end]) for end in range(len(path))]
        rate = _injected(path, owners, everything)
        if rate is None:
            here = [x for x in everything if x.value is owners[-1]]
            rate = _applied(here[0], h) if here else None
        found[jax.tree_util.keystr(path).lstrip(".")] = _number(h, count) if rate is None else rate
    return {name: precision.cast(rate, jnp.result_type(float)) for name, rate in found.items()}


def _at(x: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        x = x.arguments[key.name] if isinstance(x, Value) else x[key.key if hasattr(key, "key") else key.idx]
    return x


def _injected(path: tuple[Any, ...], owners: list[Any], everything: list[Placed]) -> Any:
    """The rate that `inject_hyperparams` around its owner has in its state."""
    for end, owner in enumerate(owners):
        for x in everything if isinstance(owner, GradientTransformation) else ():
            held = getattr(x.state, "hyperparams", {}) if x.value is owner else {}
            name = jax.tree_util.keystr(path[end + 1 :]).lstrip(".")
            if name in held:
                return x.factor * held[name]
    return None


def _applied(owner: Placed, h: Any) -> Any:
    """What the links that a transformation is made of applied: first of those that have the very argument `h`."""
    rates = [(hyper is h, rate) for x in _placed(owner) for hyper, rate in _own(x)]
    return next((rate for _, rate in sorted(rates, key=lambda pair: not pair[0])), None)


def _own(x: Placed) -> Iterator[tuple[Any, Any]]:
    """The learning rate of one link, and the argument that it comes from."""
    pair, state = x.value.build(), x.state
    if isinstance(getattr(state, "_fields", None), tuple) and "learning_rate" in state._fields:
        yield None, x.factor * state.learning_rate
    elif isinstance(pair, Leafwise) and "learning_rate" in pair.hyper:
        h = pair.hyper["learning_rate"]
        if not isinstance(h, Schedule):
            yield h, x.factor * h
        elif "count" in getattr(state, "_fields", ()):
            yield h, x.factor * _last(h, state)


def _last(h: Schedule, state: Any) -> Any:
    """What a schedule gave at the last step that a link has taken; 0 before the first, 1 where that is not known."""
    if "count" not in getattr(state, "_fields", ()):
        return 1
    taken = of_run(state.count)
    return jnp.where(taken > 0, h(jnp.maximum(taken - 1, 0)), 0)


def _number(h: Any, count: Array) -> Any:
    return h(count) if isinstance(h, Schedule) else h


def _placed(x: Placed) -> Iterator[Placed]:
    """A transformation, what it is built as, and all that is in it."""
    yield x
    pair = x.value.build()
    if isinstance(pair, GradientTransformation):
        yield from _placed(x._replace(value=pair))
    elif not isinstance(pair, Leafwise):
        for inner in _inside(x):
            yield from _placed(inner)


def _inside(x: Placed) -> Iterator[Placed]:
    """The transformations that one is made of, with their states."""
    arguments, state = x.value.arguments, x.state
    if x.value.name in ("chain", "named_chain"):
        links = arguments["links"]
        names = list(links) if isinstance(links, dict) else range(len(links))
        known = isinstance(state, dict | tuple) and len(cast("tuple[Any, ...]", state)) == len(links)
        pairs = [(links[name], state[name] if known else None) for name in names]
        for i, (link, inner) in enumerate(pairs):
            factor = x.factor
            for later, later_state in pairs[i + 1 :]:
                factor = factor * _scale(later, later_state)
            yield Placed(link, inner, factor)
        return
    inner_states = [getattr(state, name) for name in inner_fields(type(state))]
    if x.value.name == "partition" and inner_states:
        for label, part in cast("dict[Any, Any]", inner_states[0]).items():
            yield Placed(arguments["transforms"][label], part.inner_state, x.factor)
        return
    inners = [a for a in arguments.values() if isinstance(a, GradientTransformation)]
    if len(inners) == 1 and not inner_states:
        inner_states = [state]  # a wrapper that keeps nothing of its own
    factor = x.factor * jnp.sum(state.s) if isinstance(state, MechanicState) else x.factor
    for i, inner in enumerate(inners):
        yield Placed(inner, inner_states[i] if i < len(inner_states) else None, factor)


def _scale(link: GradientTransformation, state: Any) -> Any:
    """What a later link of a chain multiplies whole steps by; 1 where it does something else."""
    pair = link.build()
    if isinstance(pair, GradientTransformation):
        return _scale(pair, state)
    if isinstance(pair, Leafwise):
        if pair.rule is not scale_rule:
            return 1
        h = pair.hyper["step_size"]
        return _last(h, state) if isinstance(h, Schedule) else h
    if link.name == "reduce_on_plateau":
        return getattr(state, "scale", 1)
    if link.name in ("scale_by_backtracking_linesearch", "scale_by_zoom_linesearch"):
        return getattr(state, "learning_rate", 1)
    factor = 1
    for inner in _inside(Placed(link, state, 1)) if link.name in ("chain", "named_chain") else ():
        factor = factor * _scale(inner.value, inner.state)
    return factor
