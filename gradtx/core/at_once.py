"""Eager calls of values: one compiled call each, whatever their hyperparameters are."""

from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax

from gradtx.core.arguments import Interval
from gradtx.core.eager import CHANGING, TRIED, Program, exact, is_fixed, is_own, is_value, outside, program
from gradtx.core.frozen import Frozen
from gradtx.core.one_pass import wanted
from gradtx.core.operands import as_operand
from gradtx.core.reads import Reads, are_plain
from gradtx.core.switch import settings
from gradtx.core.values import Value

R = TypeVar("R")


class Known(NamedTuple):
    """What is known of a value that is all gradtx's own, or does what it did for as long as `reads` holds."""

    structure: Any
    numbers: list[Any]  # its leaves that are operands
    kept: tuple[Frozen | None, ...]  # its leaves, None for these
    reads: Reads  # of the functions of users in it
    programs: dict[Hashable, Program]


def _known(value: Value) -> Known | None:
    """What is known of a value; None where something in it is a user's that may do another thing at the next call.

    A Python number between 0 and 1 by its range, such as a decay, is no operand: 1 - 0.999 is 0.001 as long as it is
    Python's, and off by 1.3e-5 of it in float32. Nor is any that a user's function may see: it may ask what it is.
    """
    reads = Reads()
    if not is_own(value, reads):
        return None
    leaves, structure = jax.tree.flatten(value)
    share = lambda x, accepts: isinstance(accepts, Interval) and accepts.high == 1 and isinstance(x, int | float)
    if reads.own:
        accepted = zip(leaves, _accepted(value), strict=True)
        kept = tuple(Frozen(float(x)) if share(x, accepts) else None for x, accepts in accepted)
    else:
        kept = tuple(Frozen(x) if is_fixed(x) else None for x in leaves)
    numbers = [x for x, known in zip(leaves, kept, strict=True) if known is None]
    return Known(structure, numbers, kept, reads, {})


def _accepted(value: Value) -> list[Any]:
    """What the argument of each leaf of a value accepts."""
    found: list[Any] = []
    for name, argument in value.arguments.items():
        if name in value.dynamic:
            for x in jax.tree.leaves(argument, is_leaf=is_value):
                found += _accepted(x) if is_value(x) else [value.maker.parameters[name].accepts]
    return found


def at_once(call: Callable[..., R], value: Value, *operands: Any) -> R:
    """`call(value, *operands)`; outside of any trace, and where all code is gradtx's own, as one compiled call.

    Values that differ only in their hyperparameters share a program, in which these are operands; but see `_known` for
    decays.

    Args:
        call: a function of the module, which is part of the key.
        value: what it is about.
        *operands: trees of arrays and numbers.
    """
    known = _known_here(value, operands)
    if known is not None:
        found = _program(known, call, None)
        if found is not None:
            given = ([*map(as_operand, known.numbers)], *operands)
            return found.run(partial(call, value, *operands), given)
        with CHANGING.turned(known.reads.own or CHANGING in settings()):
            return call(value, *operands)
    return call(value, *operands)


@contextmanager
def calling(
    call: Callable[..., R], value: Value, operands: tuple[Any, ...], compiled: Callable[..., R] | None = None
) -> Generator[Callable[..., R]]:
    """A block with what to call instead of `call(value, ...)`, see `at_once`; it adds no frame to the call.

    Where that cannot be traced, the block ends quietly, and the call is to be made as it stands.

    Args:
        call: a function of the module, which is part of the key.
        value: what it is about.
        operands: those of the call.
        compiled: the same function as it is to be compiled, where that is another: `(remake, numbers, *operands)`, of
            what makes the value of its numbers.
    """
    known = _known_here(value, operands)
    if known is None:
        yield partial(call, value)
        return
    found = _program(known, call, compiled)
    if found is None:
        with CHANGING.turned(known.reads.own or CHANGING in settings()):
            yield partial(call, value)
    elif found.refuses(given := ([*map(as_operand, known.numbers)], *operands)):
        yield partial(call, value)
    else:
        with found.tried(given):
            yield partial(found.compiled, given[0])


def _known_here(value: Value, operands: tuple[Any, ...]) -> Known | None:
    """What is known of a value; None where its calls with these operands are none of a program, here and now."""
    known = value.remember(_known) if outside() else None
    if known is not None and not known.reads.hold():
        known = value.remember(_known, anew=True)
    return None if known is None or not (known.reads.own or are_plain(operands)) else known


def _program(known: Known, call: Callable[..., Any], compiled: Callable[..., Any] | None) -> Program | None:
    """The program of a call; None where it is not worth one yet."""
    key = (call, settings(), wanted())
    found = known.programs.get(key)
    if found is None:
        remake = partial(_remade, known.structure, known.kept)
        make = lambda: partial(compiled, remake) if compiled else _on_remade(call, remake)
        family = (*key, known.structure, *(exact(x) for _, x in known.reads.noted))
        member = tuple(x and exact(x.value) for x in known.kept)
        found = program(family, member, make, tried=TRIED if known.reads.own else 0)
        if found is not None:
            known.programs[key] = found
    return found


def _remade(structure: Any, kept: tuple[Frozen | None, ...], numbers: list[Any]) -> Any:
    """A value of its numbers and of what is known of its other leaves."""
    left = iter(numbers)
    return structure.unflatten([next(left) if x is None else x.value for x in kept])


def _on_remade(call: Callable[..., Any], remake: Callable[[list[Any]], Any]) -> Callable[..., Any]:
    def traced(numbers: list[Any], *operands: Any) -> Any:
        return call(remake(numbers), *operands)

    return traced
