"""Coding and decoding as one equation each, so that a backend sees what is kept, and not how it is computed."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from gradtx.core.codecs.grid import Grid, noise
from gradtx.core.each import is_traced
from gradtx.core.primitive import evaluated, opened, transparent
from gradtx.core.typing import Array


class Blocks(NamedTuple):
    """Codes of 8 bits, each the place on a grid of a number over its block's largest magnitude."""

    grids: tuple[Grid, Grid]  # of signed slots, and of those that are never negative
    block: int | None  # a row where that is None
    least: int = 0  # the code of what is more than 0 in a slot that is never negative, at least


class Octaves(NamedTuple):
    """Codes of 8 bits, without a scale: equal steps within each octave; for signed slots, and for the others."""

    steps: int
    lowest: tuple[int, int]  # the exponent of the code 1
    last: tuple[int, int]  # the code of the largest magnitude
    nan: tuple[int, int]  # the code of what is no number


Form = Blocks | Octaves
"""What a backend may know of a codec, to do in its own way what the codec's functions do."""


def decoded(kind: Any, arrays: Mapping[str, Array]) -> Array:
    """The numbers, float32, that arrays of this `Kind` stand for."""
    names = tuple(arrays)

    def plain(*given: Array) -> tuple[Array]:
        return (kind.coding.decode(dict(zip(names, given, strict=True)), kind.positive, kind.last),)

    return _bound(decode_p, plain, arrays, kind)[0]


def encoded(kind: Any, x: Array, seed: Array | None, salt: Array | None) -> dict[str, Array]:
    """Arrays of this `Kind` for numbers of float32; rounded at random by a seed, if any, and what is salt to it."""
    given = {name: y for name, y in (("x", x), ("seed", seed), ("salt", salt)) if y is not None}
    names: tuple[str, ...] = ()

    def plain(x: Array, *others: Array) -> tuple[Array, ...]:
        nonlocal names
        by = dict(zip(tuple(given)[1:], others, strict=True))
        uniform = noise(x.shape, by["seed"], by.get("salt")) if "seed" in by else None
        arrays = kind.coding.encode(x, kind.positive, uniform)
        names = tuple(arrays)
        return tuple(arrays.values())

    results = _bound(encode_p, plain, given, kind)
    return dict(zip(names, results, strict=True))


def _bound(primitive: Any, plain: Callable[..., Any], given: Mapping[str, Array], kind: Any) -> Any:
    """The results of a function of arrays by name, in one equation where they are traced."""
    if not is_traced(tuple(given.values())):
        return plain(*given.values())
    jaxpr, consts, _ = opened(*jax.make_jaxpr(plain, return_shape=True)(*given.values()))
    return primitive.bind(*given.values(), *consts, jaxpr=jaxpr, kind=kind, given=tuple(given))


def _plain(*operands: Any, jaxpr: Any, kind: Any, given: tuple[str, ...]) -> list[Any]:
    del kind, given
    return evaluated(*operands, jaxpr=jaxpr)


def _types(*_: Any, jaxpr: Any, kind: Any, given: tuple[str, ...]) -> list[Any]:
    del kind, given
    return [v.aval for v in jaxpr.outvars]


decode_p = transparent("gradtx_decode", _plain, _types)
encode_p = transparent("gradtx_encode", _plain, _types)
