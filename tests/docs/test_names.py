"""What stands in backticks in the documentation and in docstrings exists, and calls have arguments that are there."""

import ast
import builtins
import importlib
import inspect
import keyword
import math
import pkgutil
import re
import warnings

import jax.numpy as jnp
import pytest

import gradtx
import gradtx.compat.optax
from tests.docs.pages import PAGES, ROOT, indented, name_of, spans

MODULES = [
    importlib.import_module(found.name)
    for found in pkgutil.walk_packages(gradtx.__path__, "gradtx.")
    if not found.name.rpartition(".")[2].startswith("lib")  # the compiled part is no module
]
TREES = {module: ast.parse(inspect.getsource(module)) for module in [gradtx, *MODULES]}
# Names of other libraries, of tools and of what an example may have; all else must be found in gradtx.
ELSEWHERE = {
    *("jax", "jnp", "np", "optax", "flax", "nnx", "TrainState", "eqx", "optuna", "orbax", "pytest", "pickle"),
    *dir(jnp),
    *dir(math),
    *(
        "OneCycleLR",
        "RAdamScheduleFree",
        "ReduceLROnPlateau",
        "GRADTX_FLUSH_BY_HAND",
        "JAX_COMPILATION_CACHE_DIR",
        "jax_enable_x64",
        "out_shardings",
    ),
    *("madvise", "always", "theta", "x_0", "model", "batch", "train_step", "layer", "layer1", "kernel", "decays"),
    *("file", "data", "solution", "parameter", "strength", "adv_tx", "State", "README", "ROWS", "test", "whole_tree"),
    # What the tutorials make.
    *("soft_sign", "power_sign", "scale_by_power_sign", "add_sign", "scale_by_add_sign", "test_add_sign"),
}
# Where a table's first column is Optax's spelling.
OPTAX = "docs/guide/optax.md"


def fields_of(x):
    """The fields of a named tuple's type, however it was made."""
    return getattr(x, "_fields", ()) if inspect.isclass(x) and issubclass(x, tuple) else ()


def names_in_gradtx():
    """Modules, what is defined in them, arguments, fields and attributes."""
    known = set(dir(builtins)) | set(keyword.kwlist)
    for module, tree in TREES.items():
        known |= set(module.__name__.split(".")) | set(vars(module))
        known |= {field for x in vars(module).values() for field in fields_of(x)}
        for node in ast.walk(tree):
            match node:
                case ast.arg() | ast.keyword():
                    known.add(node.arg)
                case ast.Attribute():
                    known.add(node.attr)
                case ast.AnnAssign(target=ast.Name()):
                    known.add(node.target.id)
                case ast.FunctionDef() | ast.ClassDef():
                    known.add(node.name)
    return known


def files():
    """The names of the project's files and folders, and the options of its scripts."""
    paths = [path for folder in ("docs", "examples", "gradtx", "tests") for path in ROOT.glob(f"{folder}/**/*")]
    scripts = "".join(path.read_text() for path in ROOT.glob("examples/**/*.py"))
    options = {word for option in re.findall(r"--([\w-]+)", scripts) for word in option.split("-")}
    return {part for path in paths for part in (*path.relative_to(ROOT).parts, path.stem)} | options


KNOWN = names_in_gradtx() | files() | ELSEWHERE


def texts():
    """Every page and docstring, with where it stands."""
    for page in PAGES:
        yield name_of(page), page.read_text()
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
                yield f"{module.__name__}.{getattr(node, 'name', '')}", text


def parsed(text):
    """The expressions between backticks, with their source; what is not Python is left out."""
    for span in spans(text):
        try:
            yield span, ast.parse(span.replace("=..", "=...").replace("(..", "(..."), mode="eval")
        except SyntaxError:
            continue


def resolved(node, modules):
    """The object that a name or a dotted path names in one of the modules, or None."""
    *path, last = ast.unparse(node).split(".")
    for module in modules:
        owner = module
        for name in path[1:] if path and path[0] in ("gradtx", "optax") else path:
            owner = getattr(owner, name, None)
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of Optax's older places
            if owner is not None and hasattr(owner, last):
                return getattr(owner, last)
    return None


def paths(tree):
    """The dotted paths that begin with gradtx."""
    found = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    return [path for path in found if re.fullmatch(r"gradtx(\.\w+)+", path)]


def wrong_calls(tree, modules):
    """The calls of functions of these modules that have arguments the functions do not take."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            function = resolved(node.func, modules)
            if callable(function) and not any(isinstance(a, ast.Starred) for a in node.args):
                names = {k.arg: None for k in node.keywords if k.arg}
                try:
                    inspect.signature(function).bind_partial(*node.args, **names)
                except TypeError as error:
                    yield f"`{ast.unparse(node)}`: {error}"


def test_names_exist():
    missing = {}
    for where, text in texts():
        for span, tree in parsed(text):
            unknown = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and len(n.id) > 2} - KNOWN
            gone = {path for path in paths(tree) if not resolved(ast.parse(path, mode="eval").body, [gradtx])}
            if unknown | gone:
                missing[f"{where}: `{span}`"] = sorted(unknown | gone)
    assert not missing


def test_calls_have_arguments_that_are_there():
    wrong = []
    for where, text in texts():
        ours = [gradtx, gradtx.compat.optax] if "compat" in where else [gradtx]
        for line in text.splitlines():
            cells = line.split(" | ") if where == OPTAX and line.startswith("| ") else [line]
            for k, cell in enumerate(cells):
                modules = [gradtx.compat.optax] if len(cells) > 1 and k == 0 else ours
                wrong += [f"{where}: {problem}" for _, tree in parsed(cell) for problem in wrong_calls(tree, modules)]
    assert not wrong


def test_programs_in_docstrings_call_what_is_there():
    wrong = []
    for where, text in texts():
        for block in indented(text) if where.startswith("gradtx") else ():
            try:
                tree = ast.parse(block)
            except SyntaxError:  # a formula
                continue
            gone = [path for path in paths(tree) if not resolved(ast.parse(path, mode="eval").body, [gradtx])]
            wrong += [f"{where}: {path}" for path in gone]
            wrong += [f"{where}: {problem}" for problem in wrong_calls(tree, [gradtx])]
    assert not wrong


@pytest.mark.parametrize("call", ["adam(1e-3, mu=2)", "gradtx.losses.l2_loss(x, y, z=1)", "chain(sgd(0.1, 1, 2, 3))"])
def test_a_wrong_call_is_noticed(call):
    assert list(wrong_calls(ast.parse(call), [gradtx]))
