"""What Optax only spells otherwise: a row each, the signature in a few words and the body from the names in them.

    made = same(__name__, '''
    scale_by_adam | b1 b2 eps eps_root mu_dtype@mu * nesterov
    ''')
    optimizers = chains(__name__, made, '''
    adam          | learning_rate! b1 b2 eps eps_root mu_dtype * nesterov | scale_by_adam scale_by_learning_rate | Adam
    ''')

A row says `name | words | what it is made of | documentation`; a line that is indented goes on with it. A word is
Optax's name of an argument, then, in this order, what does not follow from what takes it:

    >name,name      its name there; of several each gets it, or of a tuple each its part; >- if it does not go there
    @slot,slot      it is the dtype of these slots
    :kind           its annotation, one of `KINDS`
    =default or !   its default, or that it has none

and `*` stands before those that are given by name only.
"""

import ast
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax

import gradtx
from gradtx.compat.optax import base
from gradtx.compat.optax.base import Number, Pair, Schedule, expose
from gradtx.compat.optax.combine import chain
from gradtx.compat.optax.names import with_documentation
from gradtx.compat.optax.remember import remembered

WORD = re.compile(r"(\w+)(?:>([\w,]+|-))?(?:@([\w,]+))?(?::(\w+))?(!)?(?:=(.+))?")
EMPTY = inspect.Parameter.empty
KINDS: dict[str, Any] = {
    "any": Any, "axes": int | tuple[int, ...], "betas": tuple[Number, Number], "bool": bool,
    "dtype": base.DTypeOrNone, "float": float, "inner": base.GradientTransformation, "int": int,
    "key": jax.Array | int, "mask": base.MaskOrFn, "number": Number, "optional": Number | None,
    "rate": base.ScalarOrSchedule, "real": float | None, "schedule": Schedule, "str": str,
    "tx": base.GradientTransformation,
}  # fmt: skip
"""The annotations that words name."""

BY_NAME = {"dtype": "dtype", "mask": "mask", "learning_rate": "rate", "weight_decay": "rate"}
BY_DEFAULT: dict[Any, str] = {bool: "bool", int: "int", str: "str"}
"""Those of words that name none: by how the argument's name ends, else by the type of its default, else a number."""


class Names(dict[str, Callable[..., Pair]]):
    """Functions by name, also as attributes."""

    def __getattr__(self, name: str) -> Callable[..., Pair]:
        if name not in self:
            raise AttributeError(name)
        return self[name]


class Argument(NamedTuple):
    """An argument of Optax's: how it is passed, what it is called where it goes, and whose dtype it is."""

    parameter: inspect.Parameter
    names: list[str]
    slots: list[str]
    inner: bool

    def passed_on(self, given: dict[str, Any]) -> dict[str, Any]:
        """What goes on, by name there; pairs of the kind `inner` ignore extra arguments."""
        x = given[self.parameter.name]
        x = base.with_extra_args_support(x) if self.inner and x is not None else x
        parts = x if isinstance(x, tuple) and len(self.names) > 1 else [x] * len(self.names)
        return dict(zip(self.names, parts, strict=True))


def same(module: str, text: str) -> Names:
    """The pairs that makers of gradtx make, of the same name or the name and the fixed arguments of the third field."""
    found = Names()
    for name, words, make, doc in _rows(text):
        of, *fixed = (make or name).split()
        constants = {key: ast.literal_eval(x) for key, x in (pair.split("=") for pair in fixed)}
        body, arguments = _exposing(words, getattr(gradtx, of), constants)
        doc = with_documentation(doc or f"As `gradtx.{of}`.", getattr(gradtx, of))
        found[name] = _function(module, name, arguments, body, doc)
    return found


def chains(module: str, known: Mapping[str, Any], text: str, **kinds: Any) -> Names:
    """Chains of the links that the third field names, each made with those of the arguments that it takes.

    `kinds` are annotations besides `KINDS`.
    """
    found = Names()
    for name, words, links, doc in _rows(text):
        made = [known[link] for link in links.split()]
        doc = doc if doc.endswith(".") else f"{doc}; see `gradtx.{name}`."
        found[name] = _function(module, name, *_chaining(words, made, kinds), doc)
    return found


def translation(
    words: str, make: Callable[..., Any], **fixed: Any
) -> Callable[[Callable[..., Pair]], Callable[..., Pair]]:
    """Decorate a function from the pair that `make` makes, and the arguments by name, to the pair wanted."""
    own, arguments = _exposing(words, make, fixed)

    def decorate(translate: Callable[..., Pair]) -> Callable[..., Pair]:
        body = lambda given: translate(own(given), **given)
        doc = with_documentation(translate.__doc__ or "", make)
        return remembered(_function(translate.__module__, translate.__name__, arguments, body, doc))

    return decorate


def _rows(text: str) -> Iterator[list[str]]:
    for row in re.sub(r"\n +", " ", text).strip().splitlines():
        fields = [field.strip() for field in row.split("|")]
        yield fields + [""] * (4 - len(fields))


def _exposing(
    words: str, make: Callable[..., Any], fixed: dict[str, Any]
) -> tuple[Callable[..., Pair], list[Argument]]:
    """What makes the pair of a maker's from Optax's arguments by name, and these."""
    arguments = _read(words, inspect.signature(make).parameters)

    def body(given: dict[str, Any]) -> Pair:
        stored = {slot: given[a.parameter.name] for a in arguments for slot in a.slots}
        return expose(make, stored=stored, **_passed_on(arguments, given), **fixed)

    return body, arguments


def _chaining(
    words: str, links: list[Callable[..., Any]], kinds: dict[str, Any]
) -> tuple[list[Argument], Callable[..., Pair]]:
    signatures = [inspect.signature(link).parameters for link in links]
    known = {n: p for parameters in reversed(signatures) for n, p in parameters.items()}
    arguments, takes = _read(words, known, KINDS | kinds), list(map(frozenset, signatures))

    def body(given: dict[str, Any]) -> Pair:
        named = _passed_on(arguments, given)
        inside = ({n: x for n, x in named.items() if n in mine} for mine in takes)
        return chain(*(link(**mine) for link, mine in zip(links, inside, strict=True)))

    return arguments, body


def _passed_on(arguments: list[Argument], given: dict[str, Any]) -> dict[str, Any]:
    return {name: x for a in arguments for name, x in a.passed_on(given).items()}


def _function(
    module: str, name: str, arguments: list[Argument], body: Callable[[dict[str, Any]], Pair], doc: str | None
) -> Callable[..., Pair]:
    signature = inspect.Signature([a.parameter for a in arguments], return_annotation=Pair)

    def function(*args: Any, **kwargs: Any) -> Pair:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
        bound.apply_defaults()
        return body(bound.arguments)

    function.__name__ = function.__qualname__ = name
    function.__module__, function.__doc__ = module, doc
    vars(function)["__signature__"] = signature
    return function


def _read(words: str, known: Mapping[str, inspect.Parameter], kinds: dict[str, Any] = KINDS) -> list[Argument]:
    """The arguments that words tell; defaults that they do not tell are those of the parameters known."""
    passed, found = inspect.Parameter.POSITIONAL_OR_KEYWORD, list[Argument]()
    for word in words.split():
        if word == "*":
            passed = inspect.Parameter.KEYWORD_ONLY
            continue
        parts: Any = WORD.fullmatch(word)
        name, there, slots, kind, required, default = parts.groups()
        told = ast.literal_eval(default) if default else EMPTY if required else None
        value = told if default or required or slots else known[(there or name).partition(",")[0]].default
        parameter = inspect.Parameter(name, passed, default=value, annotation=_annotation(name, kind, value, kinds))
        names = [] if slots or there == "-" else (there or name).split(",")
        found.append(Argument(parameter, names, slots.split(",") if slots else [], kind == "inner"))
    return found


def _annotation(name: str, kind: str | None, default: Any, kinds: dict[str, Any]) -> Any:
    by_name = next((kind for end, kind in BY_NAME.items() if name.endswith(end)), None)
    kind = kind or by_name or BY_DEFAULT.get(type(default), "number")
    optional = default is None and kind not in ("any", "dtype", "mask", "optional", "real")
    return kinds[kind] | None if optional else kinds[kind]
