"""What a function of a user's reads besides its arguments, so that it is known whether it still does the same.

A function is known where all that it reads is: modules of the libraries, numbers and names, plain named tuples, and
functions that are known themselves. Where they are and what they were is noted, and looked at again at each call. One
that reads a list or an object, writes, prints, draws or handles errors is not known. Its bytecode says which it is.
"""

import builtins
import dis
import functools
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax

LIBRARIES = ("gradtx", "jax", "jaxlib", "numpy", "math")
MISSING = object()
MOST = 64  # of what is noted: it is looked at in each call

WRITES = (
    "STORE_GLOBAL", "DELETE_GLOBAL", "STORE_NAME", "DELETE_NAME", "STORE_ATTR", "DELETE_ATTR", "IMPORT_",
    "LOAD_NAME", "LOAD_BUILD_CLASS", "LOAD_CLASSDEREF", "LOAD_FROM_DICT", "PUSH_EXC_INFO",
)  # fmt: skip
"""How instructions begin that change what others see, read where it cannot be looked up, or handle an error."""

PURE = {abs, all, any, divmod, len, max, min, pow, round, sorted, sum}
"""Builtin functions that depend on the values of their arguments alone; so do types, but for `type`."""


@dataclass(frozen=True)
class Reads:
    """What functions read: where it is found, and what was there."""

    noted: list[tuple[Callable[[], Any], Any]] = field(default_factory=list[tuple[Callable[[], Any], Any]])
    functions: set[Any] = field(default_factory=set[Any])

    @property
    def own(self) -> bool:
        """Whether there are no functions of users."""
        return not self.functions

    def note(self, find: Callable[[], Any]) -> Any:
        """What is found, which is remembered."""
        found = find()
        self.noted.append((find, found))
        return found

    def hold(self) -> bool:
        """Whether all that was found is there still."""
        return all(find() is found for find, found in self.noted)

    def of(self, function: types.FunctionType, is_known: Callable[[Any], bool]) -> bool:
        """Note what a function reads, unless it reads what `is_known` does not say is known."""
        if function in self.functions:
            return True
        self.functions.add(function)
        loads = loads_of(self.note(functools.partial(getattr, function, "__code__")))
        if loads is None or not is_known(self.note(functools.partial(getattr, function, "__defaults__"))):
            return False
        finds = [functools.partial(_default, function, name) for name in function.__kwdefaults__ or {}]
        finds += [functools.partial(getattr, function, name, MISSING) for name in vars(function)]
        if not all(is_known(self.note(find)) for find in finds):
            return False
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        return all(self._holds(load, function.__globals__, cells, is_known) for load in loads)

    def _holds(self, load: "Load", space: dict[str, Any], cells: Any, is_known: Callable[[Any], bool]) -> bool:
        if load.name in cells and not load.is_global:
            found = self.note(functools.partial(_content, cells[load.name]))
        else:
            found = self.note(functools.partial(space.get, load.name, MISSING))
        if found is MISSING:
            found = getattr(builtins, load.name, MISSING)
            return found is not type and (isinstance(found, type) or found in PURE)
        for name in load.attributes:
            if not isinstance(found, types.ModuleType):
                break
            found = self.note(functools.partial(getattr, found, name, MISSING))
        return len(self.noted) <= MOST and not isinstance(found, types.ModuleType) and is_known(found)


class Load(NamedTuple):
    """A name that is not local to a function, and the attributes that are taken of it."""

    name: str
    is_global: bool
    attributes: tuple[str, ...]


@functools.lru_cache(maxsize=1024)
def loads_of(code: types.CodeType) -> tuple[Load, ...] | None:
    """What a function, with those inside it, loads from outside; None where it does more than to compute."""
    found: dict[Load, None] = {}
    for load in _loads(code):
        if load is None:
            return None
        found[load] = None
    return tuple(found)


def _loads(code: types.CodeType) -> Iterator[Load | None]:
    instructions = [x for x in dis.get_instructions(code) if x.opname not in ("CACHE", "EXTENDED_ARG", "NOP")]
    for place, x in enumerate(instructions):
        outer = x.opname.endswith("_DEREF") and x.argval in code.co_freevars
        if x.opname.startswith(WRITES) or (outer and x.opname != "LOAD_DEREF"):
            yield None
        if x.opname == "LOAD_GLOBAL" or outer:
            attributes: list[str] = []
            for y in instructions[place + 1 :]:
                if y.opname not in ("LOAD_ATTR", "LOAD_METHOD"):
                    break
                attributes.append(y.argval)
            yield Load(x.argval, x.opname == "LOAD_GLOBAL", tuple(attributes))
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from (x for x in _loads(inner) if x is None or x.is_global or x.name in code.co_freevars)


def module_of(x: Any) -> str:
    """The first part of the name of the module of a function or a class."""
    named = x.__globals__.get("__name__") if isinstance(x, types.FunctionType) else getattr(x, "__module__", None)
    return (named or "").split(".")[0]


def _default(function: types.FunctionType, name: str) -> Any:
    return (function.__kwdefaults__ or {}).get(name, MISSING)


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty
        return MISSING


class _Plain(NamedTuple):
    x: int = 0


@functools.lru_cache(maxsize=256)
def is_plain(kind: type[Any]) -> bool:
    """Whether a type is a named tuple that has nothing but its fields."""
    names = getattr(kind, "_fields", None)
    return names is not None and kind.__bases__ == (tuple,) and vars(kind).keys() - set(names) <= vars(_Plain).keys()


def are_plain(operands: Any) -> bool:
    """Whether trees are made of containers without code of a user's: a function of them could run it unseen."""
    return _is_plain(jax.tree.structure(operands))


@functools.lru_cache(maxsize=256)
def _is_plain(structure: Any) -> bool:
    node = structure.node_data()
    plain = node is None or is_plain(node[0]) or module_of(node[0]) in (*LIBRARIES, "builtins", "collections")
    return plain and all(map(_is_plain, structure.children()))
