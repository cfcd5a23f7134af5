"""The house rules that a machine can read off the sources."""

import ast
import importlib
import inspect
import io
import tokenize
from pathlib import Path

import gradtx
from gradtx.core.docstring import parsed
from gradtx.core.values import Maker

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "gradtx"
FILES = sorted(PACKAGE.rglob("*.py"))
LAYERS = [
    ["core"],
    ["numerics", "rules"],
    ["schedules", "linalg", "projections", "assignment", "perturbations", "microbatching"],
    ["transforms", "losses"],
    ["combine"],
    ["optimizers"],
    ["wrappers", "search", "state", "sweeps", "aggregating"],
    ["native"],
    [""],
    ["compat"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
# What rules are written with, and what training loops also reach for, has a module of its own; all else is in `gradtx`.
MODULES = [
    gradtx.aggregating, gradtx.assignment, gradtx.losses, gradtx.microbatching, gradtx.native, gradtx.numerics,
    gradtx.perturbations, gradtx.projections, gradtx.rules,
]  # fmt: skip


def own_names(module):
    """The public names of a module, with what they name."""
    if Path(module.__file__).name == "__init__.py":
        return {k: v for k, v in vars(module).items() if not k.startswith("_") and not inspect.ismodule(v)}
    return {k: v for k, v in vars(module).items() if not k.startswith("_") and defined_in(module, v)}


def defined_in(module, value):
    return getattr(value, "__module__", None) == module.__name__


PUBLIC = {f"{module.__name__}.{name}": x for module in [gradtx, *MODULES] for name, x in own_names(module).items()}


def imports(path):
    """The gradtx modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("gradtx"):
            for alias in node.names:
                module = PACKAGE.parent / Path(*node.module.split("."), alias.name)
                named = module.with_suffix(".py").exists() or module.is_dir()
                yield f"{node.module}.{alias.name}" if named else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("gradtx"))


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer(module):
    return module.split(".")[1] if "." in module else ""


def goes_down(importer, imported):
    here, there = layer(importer), layer(imported)
    if "native" in (here, there):  # a backend, which can be deleted: it knows core, and nothing knows it
        return (here, there) in [("native", "native"), ("native", "core"), ("", "native")]
    return there == here or LEVEL[there] < LEVEL[here]


def test_imports_go_down():
    pairs = [(module_of(path), imported) for path in FILES for imported in imports(path)]
    assert len(pairs) > len(FILES)
    assert [f"{module} imports {imported}" for module, imported in pairs if not goes_down(module, imported)] == []


def test_no_import_cycles():
    graph = {module_of(path): set(imports(path)) for path in FILES}
    done, active = set(), []

    def visit(module):
        assert module not in active, f"import cycle: {' -> '.join([*active, module])}"
        if module in done:
            return
        active.append(module)
        for target in graph.get(module, ()):
            visit(target)
        done.add(active.pop())

    for module in graph:
        visit(module)


def test_files_are_short():
    files = [*FILES, *ROOT.glob("tests/**/*.py"), *ROOT.glob("examples/**/*.py")]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


def attributes(path):
    """What a file takes from modules and objects, as it is written."""
    return {ast.unparse(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}


def test_optimizers_do_not_walk_trees():
    walks = {"jax.tree.map", "jax.tree_util.tree_map", "tree.map"}
    assert [path.name for path in PACKAGE.glob("optimizers/*.py") if attributes(path) & walks] == []


def test_one_path_for_each_public_name():
    owners = {}
    for name, value in PUBLIC.items():
        assert owners.setdefault(id(value), name) == name, f"{owners[id(value)]} and {name} are one object"


def test_public_names_are_documented():
    assert [name for name, value in PUBLIC.items() if not inspect.getdoc(value)] == []
    reference = "\n".join(page.read_text() for page in (ROOT / "docs" / "reference").rglob("*.md"))
    modules = exports()
    # No page of docs/reference shows the module where these live.
    assert [name for name in PUBLIC if f"::: {modules[name]}" not in reference] == []


def test_docstrings_name_every_argument_or_none():
    """As help() shows them: what arguments share is written by decorators."""
    told = {name: (x, parsed(x.__doc__).arguments) for name, x in PUBLIC.items() if hasattr(x, "__name__")}
    functions = {name: y for name, y in told.items() if isinstance(y[0], Maker) or (inspect.isfunction(y[0]) and y[1])}
    assert len(functions) > 250
    missing = [
        f"{name}: {x}"
        for name, (function, lines) in functions.items()
        for x in inspect.signature(function).parameters
        if x not in lines
    ]
    assert missing == []


def test_states_say_whose_they_are():
    """What a state type leaves out is written by its maker."""
    states = {x for path in FILES for x in vars(importlib.import_module(module_of(path))).values() if is_state(x)}
    assert len(states) > 70
    assert [x for x in states if x.__doc__ is None or x.__doc__.startswith(f"{x.__name__}(")] == []


def is_state(x):
    here = getattr(x, "__module__", "").startswith("gradtx") and not x.__module__.startswith("gradtx.compat")
    return here and inspect.isclass(x) and hasattr(x, "_fields") and x.__name__.endswith("State")


def exports():
    """The module that defines each public name."""
    found = {}
    for module in [gradtx, *MODULES]:
        if Path(module.__file__).name != "__init__.py":
            found |= {f"{module.__name__}.{name}": module.__name__ for name in own_names(module)}
            continue
        found |= {f"{module.__name__}.{name}": where for name, where in imported(Path(module.__file__))}
    return found


def imported(path):
    """The names that a file imports, also by way of a list of public names, each with the module that has it."""
    for node in ast.parse(path.read_text()).body:
        for alias in node.names if isinstance(node, ast.ImportFrom) else ():
            if alias.name == "*":
                yield from imported((ROOT / Path(*node.module.split("."))).with_suffix(".py"))
            else:
                yield alias.asname, node.module


def code_lines(path):
    """Lines that are neither blank, comment nor docstring."""
    source = path.read_text()
    docstrings = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            docstrings.update(range(node.lineno, node.end_lineno + 1))
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {line for t in tokens if t.type not in skipped for line in range(t.start[0], t.end[0] + 1)} - docstrings


def test_adam_is_short():
    assert len(code_lines(PACKAGE / "optimizers" / "adam.py")) <= 60
