"""How updates follow the scale of what they are made of: what becomes of a factor before a transformation.

A maker declares it by its `degree`:

    1       updates are linear in those given, up to what is added besides (weight decay, noise): a factor passes
    0       a positive factor cancels, up to eps and starting values, and of a negative one the sign is left
    (0, 1)  updates are shortened as a whole where they are too long: a factor passes or cancels
    ()      updates are zero
    None    not known, unless what the maker builds has a degree: an element-wise clip, somebody else's pair

or by a function of its arguments that gives the set of these numbers, None where nothing is known.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, cast

from gradtx.core.typing import Arguments
from gradtx.core.values import Value

Degrees: TypeAlias = frozenset[int] | None
"""The degrees that a transformation may have."""

Degree: TypeAlias = int | tuple[int, ...] | Callable[[Arguments], Degrees] | None
"""What a maker declares."""

LINEAR: frozenset[int] = frozenset((1,))
SCALE_FREE: frozenset[int] = frozenset((0,))


def degrees_of(value: Value) -> Degrees:
    """What a transformation declares, or what it is built as does."""
    declared: Degree = value.maker.degree
    if callable(declared):
        return declared(value.arguments)
    if declared is not None:
        return frozenset(declared if isinstance(declared, tuple) else (declared,))
    built = value.build()
    return degrees_of(built) if isinstance(built, Value) else None


def in_turn(first: Degrees, second: Degrees) -> Degrees:
    """Those of one after another; what has cancelled stays so, whatever comes."""
    if first == SCALE_FREE or first is None or second is None:
        return first if first == SCALE_FREE else None
    return frozenset(a * b for a in first for b in second)


def side_by_side(parts: Iterable[Degrees]) -> Degrees:
    """Those of transformations that each act on some leaves, or at some steps: they must agree."""
    found: frozenset[int] = frozenset()
    for part in parts:
        if part is None or len(found | part) > 1:
            return None
        found |= part
    return found


def of(argument: str) -> Callable[[Arguments], Degrees]:
    """The degree of a wrapper that gives its updates to the transformation inside, and takes what that makes."""
    return lambda arguments: degrees_of(arguments[argument])


def of_links(arguments: Arguments) -> Degrees:
    """The degree of a chain."""
    found: Degrees = LINEAR
    for link in _values(arguments["links"]):
        found = in_turn(found, degrees_of(link))
    return found


def of_parts(arguments: Arguments) -> Degrees:
    """The degree of a partition."""
    return side_by_side(map(degrees_of, _values(arguments["transforms"])))


def of_some(arguments: Arguments) -> Degrees:
    """The degree of what leaves some updates as they are."""
    return side_by_side((LINEAR, degrees_of(arguments["inner"])))


def _values(collection: Any) -> Iterable[Value]:
    return cast("Mapping[Any, Value]", collection).values() if isinstance(collection, Mapping) else collection
