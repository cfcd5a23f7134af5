"""Eager calls: outside of any trace, what consists of gradtx's own code runs as one compiled call.

A value in which no function is a user's is a program for good: the key is the structure of its tree, as it is for
`jax.jit`, and its hyperparameters are operands. A function of a user's that is known to read nothing else than it did,
see `core/reads.py`, is part of a program, too. Any other may look at numbers, or read what changes, and runs as it
stands, with what is gradtx's own around it still compiled. The call without a trace says what is right, errors
included.
"""

import enum
import functools
import inspect
import sys
import types
from collections.abc import Callable, Generator, Hashable, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np
from jax.extend.core import get_opaque_trace_state

from gradtx.core.frozen import fingerprint
from gradtx.core.one_pass import wanted
from gradtx.core.operands import as_operand, is_operand, kind_of
from gradtx.core.reads import LIBRARIES, Reads, is_plain, module_of
from gradtx.core.switch import Switch, settings
from gradtx.core.values import Maker, Value

P = ParamSpec("P")
R = TypeVar("R")

FAMILIES = 512  # kept at a time, by when they ran last
MEMBERS = 64  # of each
TRIED = 8  # of each that are compiled at their first call; what follows is compiled at its second
REFUSED = 64  # types of operands that a program remembers that it cannot be traced for

FIXED = (type(None), bool, int, float, complex, str, bytes, np.dtype, np.generic, enum.Enum)
EXACT = frozenset({type(None), bool, int, str, bytes})  # which are equal to no other of their type

CHANGING = Switch("CHANGING", __name__)
"""Where it is on, nothing is compiled: a number that is part of the program is likely another at each call."""

with jax.ensure_compile_time_eval():
    _OUTSIDE = get_opaque_trace_state(convention="gradtx")
_CONFIG: Any = jax.config


def outside() -> bool:
    """Whether nothing is traced here and now, and what is compiled runs compiled."""
    here = get_opaque_trace_state(convention="gradtx") == _OUTSIDE
    return here and not _CONFIG.jax_disable_jit and CHANGING not in settings()


def is_fixed(x: Any, reads: Reads | None = None) -> bool:
    """Whether what is static stays what it is and holds no array; of functions, those of a library alone.

    And others, for as long as `reads` holds, if that is given: what they read is noted there.
    """
    if type(x) in EXACT or type(x) is float or (isinstance(x, FIXED) and _is_known(type(x), reads)):
        return True
    if isinstance(x, tuple | frozenset) and _is_known(type(x), reads):
        return all(is_fixed(part, reads) for part in x)
    if isinstance(x, Value):
        return is_own(x, reads)
    if reads is not None and module_of(x) not in LIBRARIES:
        return _is_fixed_of_users(x, reads)
    module = getattr(x, "__module__", None) or ""
    if module_of(x) not in LIBRARIES or module.startswith("numpy.random"):  # which draws another at each call
        return False
    if isinstance(x, types.FunctionType):
        return all(is_fixed(cell.cell_contents, reads) for cell in x.__closure__ or ())
    return getattr(sys.modules.get(module), getattr(x, "__name__", ""), None) is x  # compiled functions, classes


def _is_known(kind: type[Any], reads: Reads | None) -> bool:
    """Whether a type has no code of a user's, where that could be run."""
    return reads is None or is_plain(kind) or module_of(kind) in (*LIBRARIES, "builtins")


def _is_fixed_of_users(x: Any, reads: Reads) -> bool:
    is_known = lambda part: is_fixed(part, reads) and not _holds_arrays(part)
    if isinstance(x, types.FunctionType):
        return reads.of(x, is_known)
    if isinstance(x, Maker):
        return not x.opaque and is_known(x.body)
    return isinstance(x, type) and is_plain(x) and all(map(is_known, x._field_defaults.values()))


def _holds_arrays(x: Any) -> bool:
    return isinstance(x, Value) and not all(map(is_fixed, jax.tree.leaves(x)))


def is_own(value: Value, reads: Reads | None = None) -> bool:
    """Whether no code in a value is a user's: of its maker, its static arguments, and the values in it.

    Or what is may be trusted for as long as `reads` holds, as in `is_fixed`. What a user's maker makes is seen to have
    no memory of its own: it is made anew for each program.
    """
    maker = value.maker
    if maker.opaque or not is_fixed(maker.body, reads):
        return False
    for name, argument in value.arguments.items():
        parts = [argument] if callable(argument) else jax.tree.leaves(argument, is_leaf=is_value)
        if not all(is_fixed(x, reads) for x in parts if name not in value.dynamic or is_value(x)):
            return False
    return module_of(maker.body) in LIBRARIES or _is_fixed_as_made(value.build(), reads)


def _is_fixed_as_made(made: Any, reads: Reads | None) -> bool:
    """Whether what the body of a user's maker returns is: a value, or the functions of a rule; no pair of functions."""
    if made is None or isinstance(made, Value):
        return made is None or is_fixed(made, reads)
    if isinstance(made, tuple):
        return False
    fields = [part for x in vars(made).values() for part in (x.values() if isinstance(x, dict) else [x])]
    given = [x for x in fields if callable(x) or is_value(x)]
    return all(is_fixed(x, reads) for x in given if is_value(x) or module_of(type(x)) not in LIBRARIES)


def is_value(x: Any) -> bool:
    """Whether `x` is a transformation, a schedule or another value."""
    return isinstance(x, Value)


class Program:
    """A function as one compiled call, for any types of its operands."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.compiled = jax.jit(function)
        self.refused: set[Any] = set()

    def run(self, plain: Callable[[], Any], operands: Sequence[Any]) -> Any:
        """The result for these operands; of `plain`, which computes the same, where they cannot be traced."""
        if not self.refused or not self.refuses(operands):
            try:
                return self.compiled(*operands)
            except FloatingPointError:  # what `jax.debug_nans` looks for was found
                raise
            except Exception:  # whatever it is, the call without a trace says what is right
                self.refuse(operands)
        return plain()

    @contextmanager
    def tried(self, operands: Sequence[Any]) -> Generator[None]:
        """A block that ends quietly where operands of these types cannot be traced."""
        try:
            yield
        except FloatingPointError:
            raise
        except Exception:
            self.refuse(operands)

    def refuse(self, operands: Sequence[Any]) -> None:
        """Remember that operands of these types cannot be traced."""
        if len(self.refused) >= REFUSED:
            self.refused.clear()
        self.refused.add(_types_of(operands))

    def refuses(self, operands: Sequence[Any]) -> bool:
        """Whether operands of these types could not be traced."""
        return bool(self.refused) and _types_of(operands) in self.refused


def _types_of(operands: Sequence[Any]) -> Hashable:
    leaves, structure = jax.tree.flatten(tuple(operands))
    return structure, *((np.shape(x), getattr(x, "dtype", type(x))) for x in leaves)


@functools.lru_cache(maxsize=FAMILIES)
def _family(*key: Hashable) -> dict[Hashable, Program | None]:
    """Programs that differ in static numbers alone, by these; None for one that is not worth compiling yet."""
    del key
    return {}


def program(
    family: tuple[Hashable, ...], member: Hashable, make: Callable[[], Callable[..., Any]], tried: int = TRIED
) -> Program | None:
    """A program of a family, made by `make` where there is none: of the first `tried` at once, else if asked again."""
    programs = _family(*family)
    found = programs.get(member)
    if found is None:
        found = Program(make()) if member in programs or len(programs) < tried else None
        if len(programs) >= MEMBERS:
            programs.clear()
        programs[member] = found
    return found


def compiled(function: Callable[P, R], *, static: tuple[str, ...] = ()) -> Callable[P, R]:
    """Decorate a function of arrays: outside of any trace its call is one compiled call.

    What `is_operand` says is an operand, but for the arguments named as static. All others are static, too, and one
    that is a user's function, or may change, has the call run as it stands.
    """
    names = tuple(inspect.signature(function).parameters)
    named = lambda place, positional, kwargs: names[place] if place < positional else [*kwargs][place - positional]

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if not outside():
            return function(*args, **kwargs)
        operands: list[Any] = []
        member: list[Hashable] = []
        for place, x in enumerate((*args, *kwargs.values()) if kwargs else args):
            kind = kind_of(type(x))
            if kind == "array":
                operands.append(x)
                member.append(None)
            elif is_operand(x) and not (static and kind == "float" and named(place, len(args), kwargs) in static):
                operands.append(as_operand(x) if kind == "float" else x)
                member.append(None)
            elif is_fixed(x):
                member.append(exact(x))
            else:
                return function(*args, **kwargs)
        key = tuple(member)
        family = (function, tuple(kwargs), settings(), wanted())
        found = program(family, key, lambda: _given(function, args, kwargs, key))
        if found is not None:
            return found.run(lambda: function(*args, **kwargs), operands)
        with CHANGING.turned():
            return function(*args, **kwargs)

    return call


def exact(x: Any) -> Hashable:
    """What stands for a fixed value in a key: others are equal to it only if they are the same to the last bit."""
    if type(x) in EXACT:
        return type(x), x
    if type(x) is float:
        return x.hex()
    if isinstance(x, tuple | frozenset):
        return type(x), (tuple if isinstance(x, tuple) else frozenset)(map(exact, x))
    return type(x), fingerprint(x)


def _given(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], key: tuple[Any, ...]) -> Any:
    """A function of the operands among the arguments of a call: of those that have no part in its key."""
    static = [None if known is None else x for x, known in zip((*args, *kwargs.values()), key, strict=True)]
    names = tuple(kwargs)

    def traced(*operands: Any) -> Any:
        left = iter(operands)
        whole = [next(left) if known is None else x for x, known in zip(static, key, strict=True)]
        start = len(whole) - len(names)
        return function(*whole[:start], **dict(zip(names, whole[start:], strict=True)))

    return traced
