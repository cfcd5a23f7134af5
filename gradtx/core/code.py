"""What a piece of code reads besides its arguments, and whether it does more than to return a result."""

import dis
import functools
import sys
import types
from typing import NamedTuple

LIBRARIES = frozenset({"gradtx", "jax", "jaxlib", "numpy"}) | sys.stdlib_module_names - {"__main__"}
IMPURE = frozenset({"random", "time", "datetime", "secrets", "uuid", "os", "logging", "numpy.random"})
EFFECTIVE = frozenset({"print", "input", "open", "exec", "eval", "breakpoint"}) | {
    "getattr", "setattr", "delattr", "globals", "locals", "vars",
}  # fmt: skip
SETS = ("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_ATTR", "DELETE_ATTR")


class Effects(NamedTuple):
    """What code reads and does."""

    read: tuple[str, ...] = ()
    """The names of globals."""
    names: frozenset[str] = frozenset()
    """The names of globals and attributes."""
    outside: bool = False
    """Whether it prints, sets a global, an attribute or a variable of a function around it, or reads by a string."""


EFFECTS = Effects()


def is_library(module: str | None) -> bool:
    """Whether a module is one whose functions read nothing that is bound anew."""
    return bool(module) and str(module).split(".")[0] in LIBRARIES


def is_pure(module: str) -> bool:
    """Whether functions of a module give the same result for the same arguments."""
    return module not in IMPURE


@functools.lru_cache(maxsize=4096)
def effects_of(code: types.CodeType) -> Effects:
    """What this code and the functions in it read and do."""
    read: set[str] = set()
    names: set[str] = set()
    outside = False
    left = [code]
    while left:
        part = left.pop()
        names |= set(part.co_names)
        left += [x for x in part.co_consts if isinstance(x, types.CodeType)]
        for op in dis.get_instructions(part):
            if op.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                read.add(op.argval)
                outside |= op.argval in EFFECTIVE
            elif op.opname in ("STORE_DEREF", "DELETE_DEREF"):
                outside |= op.argval in code.co_freevars
            elif op.opname == "IMPORT_NAME":
                outside |= not is_library(op.argval) or not is_pure(op.argval)
            else:
                outside |= op.opname in SETS
    local = {name for name in read if name.startswith("__")}  # of the body of a class
    return Effects(tuple(sorted(read - local)), frozenset(names), outside)
