"""Whatever a maker is given is refused in the usual words, or is a value that prints, compares, hashes and starts."""

import random
import re
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import gradtx
from gradtx.core.arguments import Interval
from gradtx.core.schedule import _FUNCTION
from gradtx.core.transformation import _PAIR
from gradtx.core.values import Maker
from tests.core.odd import ODD

MAKERS = {name: m for name, m in vars(gradtx).items() if isinstance(m, Maker)}
MAKERS |= {name: m for name, m in vars(gradtx.aggregating).items() if isinstance(m, Maker)}
MAKERS |= {"Schedule": _FUNCTION, "GradientTransformation": _PAIR}
NAMES = {m.__name__ for m in MAKERS.values()}
PARAMS = {"w": jax.ShapeDtypeStruct((4, 6), jnp.float32), "b": jax.ShapeDtypeStruct((6,), jnp.float32)}

# What is given where an argument is required, by the class of what it may be, or by name.
NEEDED = {
    "IsTransformation": gradtx.identity(), "IsSchedule": gradtx.constant_schedule(0.5), "IsLabels": "a",
    "MappingOf": {"a": gradtx.identity()}, "IsOptions": [0.5, 1.0], "IsAxes": 0, "IsMeshAxes": "data",
    "IsMask": True, "IsKeeping": gradtx.residual(),
    "IsCondition": lambda step: step < 3, "f": lambda updates: updates, "fn": lambda step: 0.5,
    "schedules": [gradtx.constant_schedule(0.5)], "boundaries": [],
    "init": lambda params: (), "update": lambda updates, state, params=None: (updates, state),
    "cosine_kwargs": [gradtx.warmup_cosine_decay_schedule(0.0, 1.0, 1, 2)],
}  # fmt: skip


def needed(name, parameter) -> Any:
    accept = parameter.accepts
    if isinstance(accept, Interval):
        return next(x for x in (1, 0.5) if accept._contains(x))
    if hasattr(accept, "choices"):
        return accept.choices[0]
    return NEEDED[name] if name in NEEDED else NEEDED[type(accept).__name__]


def required(maker) -> dict[str, Any]:
    return {
        name: needed(name, p)
        for name, p in maker.parameters.items()
        if p.inspected.default is p.inspected.empty and not p.variadic and not p.named_variadic
    }


REQUIRED = {name: required(maker) for name, maker in MAKERS.items()}


def call(maker, arguments) -> Any:
    """The maker's value, or None for a proper refusal; anything else raises."""
    args: list[Any] = []
    named: dict[str, Any] = {}
    for name, x in arguments.items():
        parameter = maker.parameters[name]
        if parameter.variadic:
            args.append(x)
        elif parameter.named_variadic:
            named["link"] = x
        else:
            named[name] = x
    try:
        return maker(*args, **named)
    except (TypeError, ValueError) as error:
        text = str(error)
        name = text.split(":")[0]
        assert type(error) in (TypeError, ValueError), f"{type(error)}: {text}"
        assert name in NAMES, text
        assert name != maker.__name__ or any(re.search(rf"\b{a}\b", text) for a in [*maker.parameters, *named]), text
        return None


def check(value, *, theirs: bool = False) -> None:
    """A value that was accepted does all that values do; a function that was given may fail in `init` (`theirs`)."""
    assert value == value
    assert hash(value) == hash(jax.tree.map(lambda x: x, value))
    assert isinstance(repr(value), str)
    jax.tree.leaves(value)
    try:
        if isinstance(value, gradtx.GradientTransformation):
            jax.eval_shape(value.init, PARAMS)
        elif isinstance(value, gradtx.Schedule):
            jax.eval_shape(value, jax.ShapeDtypeStruct((), jnp.int32))
    except (TypeError, ValueError) as error:  # masks, labels and axes meet the parameters here
        named = str(error).split(":")[0] in NAMES
        stacked = "runs under jax.vmap over it" in str(error)
        assert named or stacked or theirs, f"{type(error).__name__}: {error}"
    except Exception as error:
        assert theirs, f"{type(error).__name__}: {error}"


def run(cases) -> tuple[int, int, list[str]]:
    """How many calls there were, how many were accepted, and what went wrong."""
    accepted, count, wrong = 0, 0, []
    for name, given in cases:
        maker, count = MAKERS[name], count + 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                warnings.filterwarnings("ignore", "Explicitly requested dtype")  # a float64 slot, and no float64
                warnings.filterwarnings("ignore", "overflow encountered in cast")  # 1e300, which is no float32
                value = call(maker, REQUIRED[name] | {argument: ODD[key] for argument, key in given.items()})
                if value is not None:
                    accepted += 1
                    check(value, theirs=any(callable(ODD[key]) for key in given.values()))
        except Exception as error:
            wrong.append(f"{name} {given}: {type(error).__name__}: {str(error)[:300]}")
    print(f"{count} calls, {accepted} accepted, {count - accepted - len(wrong)} refused, {len(wrong)} wrong")
    return count, accepted, wrong


def singles(each):
    """Every argument of every maker, with some of the odd values, which take turns."""
    keys = list(ODD)
    random.Random(0).shuffle(keys)
    turn = 0
    for name, maker in MAKERS.items():
        for argument in maker.parameters:
            for _ in range(min(each, len(keys))):
                yield name, {argument: keys[turn % len(keys)]}
                turn += 1


def several(count):
    """Two or three odd arguments at once."""
    rng = random.Random(1)
    makers = [name for name, maker in MAKERS.items() if len(maker.parameters) > 1]
    for _ in range(count):
        name = rng.choice(makers)
        chosen = rng.sample(list(MAKERS[name].parameters), min(rng.choice((2, 3)), len(MAKERS[name].parameters)))
        yield name, {argument: rng.choice(list(ODD)) for argument in chosen}


def test_what_is_required_is_right():
    for name, maker in MAKERS.items():
        check(call(maker, REQUIRED[name]))


def test_odd_arguments():
    count, accepted, wrong = run(singles(12))
    assert not wrong
    assert count > 10_000
    assert accepted > 1500


def test_odd_arguments_together():
    count, accepted, wrong = run(several(3000))
    assert not wrong
    assert count == 3000
    assert accepted > 30


@pytest.mark.exhaustive
def test_every_odd_value_everywhere():
    count, _, wrong = run(singles(len(ODD)))
    assert not wrong
    assert count > 100_000


@pytest.mark.exhaustive
def test_many_odd_arguments_together():
    _, _, wrong = run(several(50_000))
    assert not wrong
