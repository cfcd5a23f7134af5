"""What Optax only spells otherwise: a row each, the signature in a few words and the body from the names in them.

    made = same(__name__, '''
    scale_by_adam | b1 b2 eps eps_root mu_dtype@mu * nesterov
    ''')
    optimizers = chains(__name__, made, '''
    adam          | learning_rate! b1 b2 eps eps_root mu_dtype * nesterov | scale_by_adam scale_by_learning_rate | Adam
    ''')

A row says `name | words | what it is made of | documentation`; a line that is indented goes on with it. In `same` it
is made of a maker, the same name if none is told, its fixed arguments, `debias=True`, and `-> Type` for a state of
Optax's in `states`. In place of a maker whose name `deviating` has, too, its one is taken where `config` asks for it.
A word is Optax's name of an argument, then, in this order, what does not follow from what takes it:

    >name,name      its name there; of several each gets it, or of a tuple each its part; >- if it does not go there
    @slot,slot      it is the dtype of these slots
    :kind           its annotation, one of `KINDS`
    =default or !   its default, a literal or one of `KINDS`, or that it has none

and `*` stands before those that are given by name only.
"""

import ast
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from inspect import signature
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

import gradtx
from gradtx.compat.optax import base, deviating
from gradtx.compat.optax.base import Number, Pair, Schedule, expose
from gradtx.compat.optax.combine import chain
from gradtx.compat.optax.config import reproduces_optax
from gradtx.compat.optax.names import with_documentation
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.states import renamed

WORD = re.compile(r"(\w+)(?:>([\w,]+|-))?(?:@([\w,]+))?(?::(\w+))?(!)?(?:=(.+))?")
EMPTY = inspect.Parameter.empty
KINDS: dict[str, Any] = {
    "any": Any, "axes": int | tuple[int, ...], "betas": tuple[Number, Number], "bool": bool, "dtype": base.DTypeOrNone,
    "float": float, "inner": base.GradientTransformation, "int": int, "key": jax.Array | int, "mask": base.MaskOrFn,
    "number": Number, "optional": Number | None, "rate": base.ScalarOrSchedule, "real": float | None,
    "schedule": Schedule, "str": str, "float32": jnp.float32, "tx": base.GradientTransformation,
}  # fmt: skip
"""The annotations and defaults that words name."""

BY_NAME = {"dtype": "dtype", "mask": "mask", "learning_rate": "rate", "weight_decay": "rate"}
BY_DEFAULT: dict[Any, str] = {bool: "bool", int: "int", str: "str"}
"""Those of words that name none: by how the argument's name ends, else by the type of its default, else a number."""


Make: TypeAlias = Callable[..., Any]
"""What a translation is given to make its pair by, of its arguments or of others in their place."""


class Names(dict[str, Callable[..., Any]]):
    """Functions by name, also as attributes."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
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


def same(module: str, text: str, makers: Any = gradtx, through: Callable[..., Any] = expose, **kinds: Any) -> Names:
    """What `through` makes of makers, those of gradtx or of a module of it; `kinds` are more of `KINDS`."""
    found, returns = Names(), signature(through).return_annotation
    for name, words, make, doc in _rows(text):
        made, _, state = make.partition("->")
        of, *fixed = made.split() or [name]
        if "=" in of:
            of, fixed = name, [of, *fixed]
        constants = {key: ast.literal_eval(x) for key, x in (pair.split("=") for pair in fixed)}
        bind, arguments = _binding(words, getattr(makers, of), kinds)
        body = partial(_made, bind, constants, through, state.strip())
        doc = with_documentation(doc or f"As `{makers.__name__}.{of}`.", getattr(makers, of))
        found[name] = _function(module, name, arguments, body, doc, returns)
    return found


def chains(module: str, known: Mapping[str, Any], text: str, **kinds: Any) -> Names:
    """Chains of the links that the third field names, each made with those of the arguments that it takes.

    A link whose name ends in `?` is left out where its first argument is None or False. `kinds` are more of `KINDS`.
    """
    found = Names()
    for name, words, links, doc in _rows(text):
        made = [(known[link.rstrip("?")], link.endswith("?")) for link in links.split()]
        doc = doc if doc.endswith(".") else f"{doc}; see `gradtx.{name}`."
        found[name] = _function(module, name, *_chaining(words, made, kinds), doc)
    return found


def translation(
    words: str, make: Callable[..., Any], **kinds: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a function to what is wanted from `make` and the arguments by name.

    `make()` is the pair of gradtx's maker of these arguments, or of others in their place where they are given. `kinds`
    are more of `KINDS`.
    """
    bind, arguments = _binding(words, make, kinds)

    def decorate(translate: Callable[..., Any]) -> Callable[..., Any]:
        body = lambda given: translate(_making(*bind(given)), **given)
        doc = with_documentation(translate.__doc__ or "", make)
        returns = translate.__annotations__.get("return", Pair)
        return remembered(_function(translate.__module__, translate.__name__, arguments, body, doc, returns))

    return decorate


def _rows(text: str) -> Iterator[list[str]]:
    for row in re.sub(r"\n +", " ", text).strip().splitlines():
        fields = [field.strip() for field in row.split("|")]
        yield fields + [""] * (4 - len(fields))


def _binding(
    words: str, make: Callable[..., Any], kinds: dict[str, Any]
) -> tuple[Callable[[dict[str, Any]], tuple[Any, dict[str, Any]]], list[Argument]]:
    """What gives the maker and its arguments, from Optax's arguments by name, and these."""
    arguments = _read(words, signature(make).parameters, KINDS | kinds)

    def bind(given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        chosen = getattr(deviating, make.__name__, make) if reproduces_optax() else make
        stored = {slot: given[a.parameter.name] for a in arguments for slot in a.slots}
        return chosen, _passed_on(arguments, given) | ({"stored": stored} if stored else {})

    return bind, arguments


def _made(bind: Any, fixed: dict[str, Any], through: Callable[..., Any], state: str, given: dict[str, Any]) -> Any:
    make, named = bind(given)
    pair = through(make, **named | fixed)
    return renamed(pair, state) if state else pair


def _making(make: Callable[..., Any], named: dict[str, Any]) -> Make:
    """What makes the pair; where pairs hold it, they hold the maker and its arguments and nothing else."""

    def making(**others: Any) -> Pair:
        return expose(make, **named | others)

    return making


def _chaining(
    words: str, links: list[tuple[Callable[..., Any], bool]], kinds: dict[str, Any]
) -> tuple[list[Argument], Callable[..., Pair]]:
    signatures = [signature(link).parameters for link, _ in links]
    known = {n: p for parameters in reversed(signatures) for n, p in parameters.items()}
    arguments, takes = _read(words, known, KINDS | kinds), list(map(tuple, signatures))

    def body(given: dict[str, Any]) -> Pair:
        named = _passed_on(arguments, given)
        made: list[Pair] = []
        for (link, optional), names in zip(links, takes, strict=True):
            if not (optional and (named[names[0]] is None or named[names[0]] is False)):
                made.append(link(**{n: named[n] for n in names if n in named}))
        return chain(*made)

    return arguments, body


def _passed_on(arguments: list[Argument], given: dict[str, Any]) -> dict[str, Any]:
    return {name: x for a in arguments for name, x in a.passed_on(given).items()}


def _function(
    module: str, name: str, arguments: list[Argument], body: Callable[[dict[str, Any]], Any], doc: str | None,
    returns: Any = Pair,
) -> Callable[..., Any]:  # fmt: skip
    takes = inspect.Signature([a.parameter for a in arguments], return_annotation=returns)

    def function(*args: Any, **kwargs: Any) -> Any:
        try:
            bound = takes.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
        bound.apply_defaults()
        return body(bound.arguments)

    function.__name__ = function.__qualname__ = name
    function.__module__, function.__doc__ = module, doc
    vars(function)["__signature__"] = takes
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
        given = kinds[default] if default in kinds else ast.literal_eval(default or "None")
        told = EMPTY if required else given
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
