"""What type checkers read of `gradtx.compat.optax`, whose functions and names are made when it is imported.

    python -m tests.compat.stubs    # writes a `.pyi` beside each of its public modules that is more than plain code

A name is a signature where a row of a table made it, once, else an import from where a type checker finds it.
"""

import ast
import importlib
import inspect
import re
import sys
import textwrap
from functools import cache, partial, reduce
from operator import or_
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import gradtx.compat.optax as optax
from gradtx.compat.optax import base
from gradtx.compat.optax.contrib import matrices

ROOT = optax.__name__
MODULES = [
    ROOT, *(f"{ROOT}.{name}" for name in (
        "contrib", "experimental.aggregating", "losses", "projections", "schedules", "transforms", "tree", "tree_utils",
    )),
]  # fmt: skip
NAMED = {base: "DTypeOrNone MaskOrFn Number ScalarOrSchedule Schedule", matrices: "NumbersOrFn"}
"""Annotations that have a name, and the modules that name them."""

NAMES = {base.GradientTransformation: "GradientTransformation", base.Pair: "GradientTransformationExtraArgs"}
NAMES |= {getattr(module, name): name for module, names in NAMED.items() for name in names.split()}
USED = {
    "collections.abc": "Callable Iterable Mapping Sequence",
    "typing": "Any Literal TypeAlias",
    base.__name__: f"{NAMED[base]} GradientTransformation GradientTransformationExtraArgs",
    matrices.__name__: "NumbersOrFn",
}
"""What signatures may use, and where it is."""


class Stub:
    """The text of the stub of a module, in three parts."""

    def __init__(self, name: str) -> None:
        self.module = importlib.import_module(name)
        self.imports: set[str] = set()
        self.values: list[str] = []
        self.functions: list[str] = []
        self.given, self.shown = imported(self.module)
        names = {key: x for key, x in vars(self.module).items() if not key.startswith("_") and key not in self.given}
        names |= {key: x for key, (x, _) in getattr(self.module, "_DEPRECATED", {}).items()}
        for key, x in sorted(names.items()):
            self.declare(key, x)

    def __str__(self) -> str:
        body = "\n".join([*self.values, "", *self.functions]).strip() + "\n"
        words = set(re.findall(r"\w+", re.sub(r'""".*"""', "", body)))
        used = {f"from {where} import {x}" for where, names in USED.items() for x in names.split() if x in words}
        shown = {line.removesuffix(f" as {line.split()[-1]}") for line in self.imports if " as " in line}
        imports = sorted((self.imports | used) - shown) + ["import jax"] * ("jax" in words)
        head = f'"""{inspect.getdoc(self.module)}"""\n\n# Written by `python -m tests.compat.stubs`.\n'
        return "\n".join([head, *imports, "", body])

    def declare(self, key: str, x: Any) -> None:
        """Declare one name."""
        if inspect.ismodule(x):
            if key in self.shown:
                self.imports.add(f"from {self.module.__name__} import {key} as {key}")
            return
        if isinstance(x, partial) or "__signature__" in getattr(getattr(x, "__wrapped__", x), "__dict__", {}):
            if self.module is not optax and vars(optax).get(key) is x:
                self.imports.add(f"from {ROOT} import {key} as {key}")
            else:
                self.functions.append(written(key, x))
            return
        where, name = home(self.module, key, x)
        if where != self.module.__name__:
            self.imports.add(f"from {where} import {name}" + (f" as {key}" if name == key else ""))
            self.values += [f"{key} = {name}"] if name != key else []
        elif inspect.isfunction(x):
            self.functions.append(written(key, x))
        else:
            self.values.append(copied(self.module, key))


def imported(module: ModuleType) -> tuple[set[str], set[str]]:
    """What a module imports for its own use, and to show it."""
    nodes = ast.walk(ast.parse(inspect.getsource(module)))
    found = [alias for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names]
    return ({x.asname or x.name for x in found if x.asname != x.name}, {x.name for x in found if x.asname == x.name})


def written(key: str, x: Any) -> str:
    """A function by its signature and the first line of its documentation."""
    signature, f = inspect.signature(x), x.func if isinstance(x, partial) else x
    found = list(signature.parameters.values())
    words = [argument(p) for p in found]
    by_name = next((i for i, p in enumerate(found) if p.kind is p.KEYWORD_ONLY), None)
    if by_name is not None and not any(p.kind is p.VAR_POSITIONAL for p in found):
        words.insert(by_name, "*")
    start, end = f"def {key}(", f") -> {annotation(signature.return_annotation)}:"
    line = start + ", ".join(words) + end
    if len(line) > 120:
        glued = ", ".join(word.replace(" ", "\0") for word in words)
        line = "\n".join([start, textwrap.indent(textwrap.fill(glued, 116), "    ").replace("\0", " "), end])
    return f'{line}\n    """{(inspect.getdoc(f) or key).splitlines()[0]}"""'


def argument(p: inspect.Parameter) -> str:
    """A parameter as it is written."""
    stars = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
    plain = p.default is None or type(p.default) in (bool, int, float, str, tuple)
    default = "" if p.default is p.empty else f" = {p.default!r}" if plain else " = ..."
    return f"{stars}{p.name}: {annotation(p.annotation)}{default}"


def annotation(x: Any) -> str:
    """An annotation as it is written, by a name where it has one, and for none by `Any`."""
    if x is inspect.Parameter.empty:
        return "Any"
    for value, name in NAMES.items():
        if x == value:
            return name
    if type(None) in get_args(x):
        return f"{annotation(reduce(or_, [y for y in get_args(x) if y is not type(None)]))} | None"
    text = re.sub(r"\b(jax\.)?(jaxlib\.)?_jax\.Array\b", "jax.Array", inspect.formatannotation(x))
    return re.sub(r"\b(typing|collections\.abc|gradtx(\.[a-z_]+)+)\.", "", text)


def copied(module: ModuleType, key: str) -> str:
    """A class or an alias as the module has it."""
    text = inspect.getsource(module)
    for node in ast.parse(text).body:
        if key in (getattr(node, "name", None), getattr(getattr(node, "target", None), "id", None)):
            return ast.get_source_segment(text, node) or ""
    raise LookupError(f"{module.__name__}.{key}")


def home(module: ModuleType, key: str, x: Any) -> tuple[str, str]:
    """The module and the name by which a type checker finds it."""
    where, name = getattr(x, "__module__", None), getattr(x, "__qualname__", key)
    if where and where.startswith("gradtx.") and getattr(importlib.import_module(where), name, None) is x:
        return where, name
    for other in sorted(name for name in sys.modules if name.startswith("gradtx.")):
        if vars(sys.modules[other]).get(key) is x and re.search(rf"^{key}\b(:| =)", source(other), re.MULTILINE):
            return other, key
    raise LookupError(f"{module.__name__}.{key}")


@cache
def source(name: str) -> str:
    """The text of a module; nothing of one without a file."""
    file = getattr(sys.modules[name], "__file__", None)
    return Path(file).read_text() if file else ""


def path(name: str) -> Path:
    """Where the stub of a module is."""
    return Path(importlib.import_module(name).__file__ or "").with_suffix(".pyi")


if __name__ == "__main__":
    for module in MODULES:
        path(module).write_text(str(Stub(module)))
