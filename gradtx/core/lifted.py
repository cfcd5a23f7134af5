"""A transformation as its rule: what the rule asks for by name is what the signature has by name."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, cast

from gradtx.core.arguments import Interval
from gradtx.core.degree import Degree
from gradtx.core.docstring import parsed, tell_whose, written
from gradtx.core.hyperparameters import check_not_both_zero
from gradtx.core.layout import Layout
from gradtx.core.leafwise import Leafwise, leafwise
from gradtx.core.slots import ScalarStart, slots_of
from gradtx.core.states import EmptyState
from gradtx.core.transformation import GradientTransformation, transformation
from gradtx.core.typing import Numbers
from gradtx.core.values import Maker

P = ParamSpec("P")
Starts = Mapping[str, Any] | None
"""How fields of a state start, by name: a number or a function of the parameter; None, where all is as declared."""

OF_LEAVES = {"g", "s", "p", "key", "updates", "state", "params"}
"""What a rule, `reduce` and `finish` get from the tree."""

OF_ITEMS = {"is_matrix", "shape"}
"""What a rule is told of items in a layout."""

COUNTED = ("", "one", "two", "three", "four", "five")


def lifted(
    rule: Callable[..., Any],
    state: type[Any] = EmptyState,
    *,
    reduce: Callable[..., Any] | None = None,
    finish: Callable[..., Any] | None = None,
    real_only: bool = False,
    layout: Layout | None = None,
    degree: Degree = None,
) -> Callable[[Callable[P, Starts]], Callable[P, GradientTransformation]]:
    """Turn a signature into a maker of transformations by a rule, which gets the arguments that it asks for by name.

        @gradtx.lifted(power_sign_rule, PowerSignState)
        def scale_by_power_sign(b1: gradtx.Decay = 0.9, power: gradtx.NonNegative = 1.0):
            \"\"\"Lengthen steps that agree with the average gradient, shorten others.\"\"\"

    It makes `leafwise(rule, state, b1=b1, power=power, ...)`. A body may check the arguments, and return a dictionary
    of how fields of the state start. Two names mean the same everywhere: `mask` says which leaves the rule acts on, and
    an `eps_root` beside an `eps` is not 0 where that is. What the docstring leaves out is written from what is
    declared: the ranges of arguments, and what their names mean; State; Raises; and what the state is a state of.

    Args:
        rule: as in `leafwise`.
        state: as in `leafwise`.
        reduce: as in `leafwise`; it, too, gets what it asks for.
        finish: as in `leafwise`, likewise.
        real_only: as in `leafwise`.
        layout: as in `leafwise`.
        degree: as in `transformation`.

    Raises:
        TypeError: the rule asks for what neither the signature nor `reduce` has, or nothing asks for an argument.
    """
    asking = [inspect.signature(f).parameters for f in (rule, reduce, finish) if f is not None]
    of_leaves = OF_LEAVES | {next(iter(asking[0]))}  # a rule's first argument is g by any name
    of_leaves |= OF_ITEMS if layout is not None else set[str]()
    asked = {name: p for parameters in asking for name, p in parameters.items() if name not in of_leaves}

    def decorate(body: Callable[P, Starts]) -> Callable[P, GradientTransformation]:
        names = tuple(inspect.signature(body).parameters)
        hyperparameters = tuple(name for name in names if name in asked)
        spare = tuple(name for name in names if name not in asked and name != "mask")
        missing = [name for name, p in asked.items() if name not in names and p.default is p.empty]
        if missing and reduce is None:
            raise TypeError(f"{body.__name__}: the rule asks for {', '.join(missing)}, which is no argument here")

        @functools.wraps(body)
        def lift(*args: P.args, **kwargs: P.kwargs) -> Leafwise:
            given: Numbers = {**dict(zip(names, args, strict=False)), **kwargs}
            if "eps" in given and "eps_root" in given:
                check_not_both_zero(body.__name__, eps=given["eps"], eps_root=given["eps_root"])
            starts = body(*args, **kwargs)
            if starts is None and spare:
                raise TypeError(f"{body.__name__}: nothing asks for {', '.join(spare)}")
            named = {name: given[name] for name in hyperparameters} | dict(starts or {})
            return leafwise(
                rule, state, reduce=reduce, finish=finish, real_only=real_only, layout=layout, mask=given.get("mask"),
                **named,
            )  # fmt: skip

        made = cast(Maker, transformation(degree=degree)(lift))
        told = parsed(made.__doc__)
        kept = {"State": _state_of(state, made, hyperparameters), "Raises": _raised(rule, reduce, names, real_only)}
        sections = {header: text for header, text in kept.items() if text} | told.sections
        made.__doc__ = written(told._replace(sections=sections))
        tell_whose(state, made.__name__)
        return cast("Callable[P, GradientTransformation]", made)

    return decorate


def _state_of(state: type[Any], made: Maker, hyperparameters: tuple[str, ...]) -> str:
    """What is kept, and how much of it."""
    if state is EmptyState:
        accepted = [made.parameters[name].accepts for name in hyperparameters]
        follows = any(isinstance(x, Interval) and x.schedule is not None for x in accepted)
        return " none, or a step count (4 bytes) with a schedule." if follows else " none."
    numbers = [isinstance(mark.start, ScalarStart) for mark in slots_of(state).values()]
    values, single = COUNTED[numbers.count(False)], COUNTED[numbers.count(True)]
    real = " real" * all(mark.real for mark in slots_of(state).values())
    each = [f"{values}{real} value{'s' * (values != 'one')} per parameter"] * bool(values)
    each += [f"{single} number{'s' * (single != 'one')} per leaf"] * bool(single)
    sizes = f", {' and '.join(each)}" if each else ""
    return f" `{state.__name__}({', '.join(state._fields)})`{sizes}."


def _raised(
    rule: Callable[..., Any], reduce: Callable[..., Any] | None, names: tuple[str, ...], real_only: bool
) -> str:
    """What `init` and `update` refuse."""
    needed = lambda f: [name for name, p in inspect.signature(f).parameters.items() if p.default is p.empty]
    reducing = needed(reduce) if reduce is not None else []
    faults = ["ValueError from `update` without params"] * ("p" in needed(rule) or "params" in reducing)
    extra = [name for name in reducing if name not in names and name not in OF_LEAVES]
    faults += [f"TypeError from `update` without `{name}`" for name in extra]
    faults += ["TypeError for complex parameters"] * real_only
    return f" {'; '.join(faults)}." if faults else ""
