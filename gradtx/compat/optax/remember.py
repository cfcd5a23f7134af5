"""Pairs and schedules that remember the call that made them: what Optax's closures cannot, they pickle and compare.

`remembered` decorates a maker that makes functions of its own. What it returns is pickled as the call, equal to what
an equal call makes, and hashed alike. Makers that only combine remembered ones need no decorator.
"""

import inspect
from collections.abc import Callable
from functools import cached_property, wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

from gradtx.compat.optax import config
from gradtx.core.frozen import fingerprint
from gradtx.core.peers import Apparent

P = ParamSpec("P")
Made = TypeVar("Made")


class Call:
    """A call of a maker, under the setting of `config` that it saw."""

    def __init__(self, make: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.make, self.args, self.kwargs = make, args, kwargs
        self.deviates = config.reproduces_optax()

    @cached_property
    def key(self) -> Any:
        """Equal for equal calls, however the arguments are passed."""
        bound = inspect.signature(self.make).bind(*self.args, **self.kwargs)
        bound.apply_defaults()
        return self.make, _key(bound.args), _key(bound.kwargs), self.deviates

    def __reduce__(self) -> tuple[Any, ...]:
        """As what the call makes."""
        return _again, (self.make, self.args, self.kwargs, self.deviates)


def _again(make: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], deviates: bool) -> Any:
    with config.reproducing_optax(deviates):
        return make(*args, **kwargs)


def _key(x: Any) -> Any:
    call = getattr(x, "call", None)
    if isinstance(call, Call):
        return call.key
    if isinstance(x, dict):
        return type(x), tuple((key, _key(y)) for key, y in cast("dict[Any, Any]", x).items())
    if isinstance(x, list | tuple):
        return type(x), tuple(map(_key, cast("list[Any]", x)))
    try:
        key = fingerprint(x)
        hash(key)
    except TypeError:  # it has no value to compare: a tracer, or an object that does not say
        return id(x)
    return type(x), key


class Pair(NamedTuple):
    """A pure pair of functions."""

    init: Any
    update: Any


class RememberingPair(Pair, Apparent):
    """A pair that may know the call that made it."""

    call: Call | None = None

    def __eq__(self, other: object) -> bool:
        theirs = getattr(other, "call", None)
        if self.call is None or not isinstance(theirs, Call):
            return super().__eq__(other)
        return type(self) is type(other) and self.call.key == theirs.key

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return super().__hash__() if self.call is None else hash(self.call.key)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), tuple(self)) if self.call is None else self.call.__reduce__()


class RememberingFunction:
    """A function that knows the call that made it."""

    def __init__(self, function: Callable[..., Any], call: Call) -> None:
        self.function, self.call = function, call
        self.__name__ = call.make.__name__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self.function(*args, **kwargs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RememberingFunction) and self.call.key == other.call.key

    def __hash__(self) -> int:
        return hash(self.call.key)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call.__reduce__()


class _Itself:
    """A function, for its own body: one that held itself would never end for who walks through what functions hold."""

    making: Any


def remembered(make: Callable[P, Made]) -> Callable[P, Made]:
    """Make what a maker returns, a pair or a function, remember the call."""
    itself = _Itself()

    @wraps(make)
    def making(*args: P.args, **kwargs: P.kwargs) -> Made:
        made: Any = cast(Any, make)(*_plain(args), **_plain(kwargs))
        call = Call(itself.making, args, kwargs)
        if isinstance(made, RememberingPair):
            made.call = call
            return cast(Made, made)
        return cast(Made, RememberingFunction(_plain(made), call))

    itself.making = making
    return making


def _plain(x: Any) -> Any:
    """`x` with the functions themselves for those that remember, so that closures hold nothing but closures."""
    if isinstance(x, RememberingFunction):
        return x.function
    if type(x) is dict:
        return {key: _plain(y) for key, y in cast("dict[Any, Any]", x).items()}
    return type(x)(map(_plain, x)) if type(x) in (list, tuple) else x
