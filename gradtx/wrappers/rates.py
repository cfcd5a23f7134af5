"""The learning rates that were applied: those of an optimizer's links, at the steps that each of them has taken."""

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp

from gradtx.combine.chain import chain, named_chain
from gradtx.combine.partition import partition
from gradtx.core import precision
from gradtx.core.degree import LINEAR, SCALE_FREE, Degrees, degrees_of, in_turn
from gradtx.core.fields import inner_fields
from gradtx.core.leafwise import Leafwise
from gradtx.core.restart import of_run
from gradtx.core.schedule import Schedule, at_step
from gradtx.core.transformation import GradientTransformation, Pair
from gradtx.core.typing import Array
from gradtx.core.values import Value
from gradtx.transforms.scale import scale_rule
from gradtx.wrappers.mechanic import MechanicState
from gradtx.wrappers.plateau import reduce_on_plateau

CHAINS: tuple[Any, ...] = (chain, named_chain)


class Effect(NamedTuple):
    """What one link does to what has been multiplied before it."""

    degrees: Degrees
    factor: Any = None  # what it multiplies whole updates by, where it does


class Located(NamedTuple):
    """A transformation somewhere in an optimizer."""

    value: GradientTransformation
    state: Any  # after the step; None where it is not known
    before: tuple[Effect, ...] = ()  # what its updates have gone through
    after: tuple[Effect, ...] = ()  # and go through further on


def applied_rates(tx: GradientTransformation, state: Any, count: Array) -> dict[str, Array]:
    """The learning rate of the last step that was taken, for every argument `learning_rate`, by path.

    A schedule is evaluated at the count of the link that follows it, which a transformation around it may have left out
    of some updates; before the first step it is 0. Inside a wrapper that does not say where its inner state is,
    schedules are evaluated at `count`.

    What multiplies whole updates (`scale`, `scale_by_schedule`, `reduce_on_plateau`, a line search, `mechanize`) counts
    behind the rate and before it, as far as it reaches the step: through links that are linear it does; of what stands
    before a scale-free one, such as Adam's direction, the sign is left, and the rate itself is 1 before such a link.
    Where a factor stands before a link that is known to be neither, the product is NaN; a link behind the rate that is
    neither does not count. What has memory counts as if its factors had always been as they are.

    Args:
        tx: the optimizer.
        state: its state after the step.
        count: its updates before the step.
    """
    everything = list(_located(Located(tx, state)))
    found: dict[str, Any] = {}
    for path, h in jax.tree_util.tree_leaves_with_path(tx, is_leaf=lambda x: isinstance(x, Schedule)):
        if getattr(path[-1], "name", None) != "learning_rate":
            continue
        owners = [_at(tx, path[:end]) for end in range(len(path))]
        here = [x for x in everything if x.value is owners[-1]]
        rate = _applied(here[0], h, _injected(path, owners, everything)) if here else None
        found[jax.tree_util.keystr(path).lstrip(".")] = at_step(h, count) if rate is None else rate
    return {name: precision.cast(rate, jnp.result_type(float)) for name, rate in found.items()}


def _at(x: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        x = x.arguments[key.name] if isinstance(x, Value) else x[key.key if hasattr(key, "key") else key.idx]
    return x


def _injected(path: tuple[Any, ...], owners: list[Any], everything: list[Located]) -> Any:
    """The rate that `inject_hyperparams` around its owner has in its state."""
    for end, owner in enumerate(owners):
        for x in everything if isinstance(owner, GradientTransformation) else ():
            held = getattr(x.state, "hyperparams", {}) if x.value is owner else {}
            name = jax.tree_util.keystr(path[end + 1 :]).lstrip(".")
            if name in held:
                return held[name]
    return None


def _applied(owner: Located, h: Any, held: Any) -> Any:
    """What the links that a transformation is made of applied: first of those that have the very argument `h`."""
    rates = [(hyper is h, rate) for x in _located(owner) for hyper, rate in _own(x, held)]
    return next((rate for _, rate in sorted(rates, key=lambda pair: not pair[0])), held)


def _own(x: Located, held: Any) -> Iterator[tuple[Any, Any]]:
    """The learning rate of one link, or that which is `held` for it, and the argument that it comes from."""
    pair, state = x.value.build(), x.state
    if isinstance(getattr(state, "_fields", None), tuple) and "learning_rate" in state._fields:
        yield None, _reaching(x, state.learning_rate)
    elif isinstance(pair, Leafwise) and "learning_rate" in pair.hyper:
        h = pair.hyper["learning_rate"]
        if held is not None:
            yield h, _reaching(x, held)
        elif not isinstance(h, Schedule):
            yield h, _reaching(x, h)
        elif "count" in getattr(state, "_fields", ()):
            yield h, _reaching(x, _last(h, state))


def _reaching(x: Located, rate: Any) -> Any:
    """What is left of the rate of a link, and of the factors before and behind it, where updates come out."""
    behind = [s if s.degrees in (LINEAR, SCALE_FREE) else s._replace(degrees=LINEAR) for s in x.after]
    total, passing = 1, cast(Degrees, LINEAR)
    for effect in reversed([*x.before, Effect(degrees_of(x.value), rate), *behind]):
        if effect.factor is not None:
            sign = jnp.sign(effect.factor) if passing == SCALE_FREE else jnp.nan
            total = total * (effect.factor if passing == LINEAR else sign)
        passing = in_turn(effect.degrees, passing)
    return total


def _last(h: Schedule, state: Any) -> Any:
    """What a schedule gave at the last step that a link has taken; 0 before the first, 1 where that is not known."""
    if "count" not in getattr(state, "_fields", ()):
        return 1
    taken = of_run(state.count)
    return jnp.where(taken > 0, h(jnp.maximum(taken - 1, 0)), 0)


def _located(x: Located) -> Iterator[Located]:
    """A transformation, what it is built as, and all that is in it."""
    yield x
    pair = x.value.build()
    if isinstance(pair, Pair) and pair.through is not None:
        pair = pair.through
    if isinstance(pair, GradientTransformation):
        yield from _located(x._replace(value=pair))
    elif not isinstance(pair, Leafwise):
        for inner in _inside(x):
            yield from _located(inner)


def _inside(x: Located) -> Iterator[Located]:
    """The transformations that one is made of, with their states."""
    arguments, state = x.value.arguments, x.state
    if x.value.maker in CHAINS:
        links = arguments["links"]
        names = list(links) if isinstance(links, dict) else range(len(links))
        known = isinstance(state, dict | tuple) and len(cast("tuple[Any, ...]", state)) == len(links)
        pairs = [(links[name], state[name] if known else None) for name in names]
        effects = [tuple(_effects(*pair)) for pair in pairs]
        for i, pair in enumerate(pairs):
            yield Located(*pair, x.before + sum(effects[:i], ()), sum(effects[i + 1 :], ()) + x.after)
        return
    inner_states = [getattr(state, name) for name in inner_fields(type(state))]
    if x.value.maker is partition and inner_states:
        for label, part in cast("dict[Any, Any]", inner_states[0]).items():
            yield x._replace(value=arguments["transforms"][label], state=part.inner_state)
        return
    inners = [a for a in arguments.values() if isinstance(a, GradientTransformation)]
    if len(inners) == 1 and not inner_states:
        inner_states = [state]  # a wrapper that keeps nothing of its own
    if x.value.maker.degree is None:  # what it gives to those inside is not known
        x = x._replace(before=(*x.before, Effect(None)))
    if isinstance(state, MechanicState):
        x = x._replace(after=(Effect(LINEAR, jnp.sum(state.s)), *x.after))
    for i, inner in enumerate(inners):
        yield x._replace(value=inner, state=inner_states[i] if i < len(inner_states) else None)


def _effects(link: GradientTransformation, state: Any) -> Iterator[Effect]:
    """What a link of a chain does, step by step."""
    pair = link.build()
    if isinstance(pair, GradientTransformation):
        yield from _effects(pair, state)
    elif link.maker in CHAINS:
        for inner in _inside(Located(link, state)):
            yield from _effects(inner.value, inner.state)
    else:
        yield Effect(degrees_of(link), _factor(link, pair, state))


def _factor(link: GradientTransformation, pair: Any, state: Any) -> Any:
    """What a link multiplies whole updates by, where it does nothing else."""
    if isinstance(pair, Leafwise) and pair.rule is scale_rule and "step_size" in pair.hyper:
        h = pair.hyper["step_size"]
        return _last(h, state) if isinstance(h, Schedule) else h
    if link.maker is reduce_on_plateau:
        return getattr(state, "scale", 1)
    if link.name in ("scale_by_backtracking_linesearch", "scale_by_zoom_linesearch"):
        return getattr(state, "learning_rate", 1)
    return None
