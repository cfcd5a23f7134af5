"""Ranges of hyperparameters: values that turn a number u in [0, 1] into a hyperparameter."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, ParamSpec, TypeAlias, cast

import jax
import numpy as np

from gradtx.core.arguments import Accept, Interval, shown
from gradtx.core.hyperparameters import Number, PositiveNumber, check_ordered
from gradtx.core.values import Value, maker

P = ParamSpec("P")
Quantile: TypeAlias = Callable[[float], Any]


class Range(Value):
    """What a hyperparameter is sampled from, as a value: `range(u)` is its quantile at u in [0, 1].

    A uniform u gives a random sample, an even grid of u an even grid. Any function of u can stand for a range.
    """

    def __call__(self, u: float) -> Any:
        """The hyperparameter at u in [0, 1]."""
        return self.build()(u)


def _range(body: Callable[P, Quantile]) -> Callable[P, Range]:
    """Turn a function that returns a quantile function into a maker of ranges."""
    return cast("Callable[P, Range]", maker(Range, body))


@_range
def uniform(low: Number, high: Number) -> Quantile:
    """Every number between two alike: low + u (high - low).

    Args:
        low: the smallest.
        high: the largest, at least `low`.

    Raises:
        ValueError: `low` is above `high`.
    """
    check_ordered("uniform", low=low, high=high)
    return lambda u: low + u * (high - low)


@_range
def log_uniform(low: PositiveNumber, high: PositiveNumber) -> Quantile:
    """Every order of magnitude between two numbers alike: low (high / low)^u.

    Args:
        low: the smallest, > 0.
        high: the largest, at least `low`.

    Raises:
        ValueError: `low` is not positive, or above `high`.
    """
    check_ordered("log_uniform", low=low, high=high)
    return lambda u: low * (high / low) ** u


class IsOptions(Accept):
    """Some options, each a tree of numbers, all of one structure."""

    dynamic = False
    wanted = "a sequence of numbers, or of schedules with one structure"

    number = Interval("(-inf, inf)")

    def convert(self, where: str, name: str, x: Any) -> tuple[Any, ...]:
        if not isinstance(x, Sequence | np.ndarray | jax.Array) or isinstance(x, str | bytes):
            raise self.refusal(where, name, x)
        options = tuple(x.tolist() if isinstance(x, np.ndarray | jax.Array) else x)
        if not options:
            raise ValueError(f"{where}: {name} must not be empty")
        for i, option in enumerate(options):
            for leaf in jax.tree.leaves(option):
                self.number(where, f"{name}[{i}]", leaf)
        for option in options[1:]:
            if _form(option) != _form(options[0]):
                raise ValueError(
                    f"{where}: {name} must have one structure, got {shown(options[0])} and {shown(option)}"
                )
        return options


def _form(option: Any) -> Any:
    return jax.tree.structure(option), [np.shape(leaf) for leaf in jax.tree.leaves(option)]


@_range
def choice(options: Annotated[Sequence[Any] | np.ndarray | jax.Array, IsOptions()]) -> Quantile:
    """Every one of some options alike: options[floor(u len(options))].

    Args:
        options: numbers, or schedules that one maker built with other numbers; an option given twice is chosen
            twice as often.

    Raises:
        TypeError: `options` is not a sequence.
        ValueError: there is none, or two have different structures (a cosine and a constant schedule).
    """
    return lambda u: options[min(int(u * len(options)), len(options) - 1)]
