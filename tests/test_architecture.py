"""The house rules that a machine can read off the sources."""

import ast
import inspect
import io
import tokenize
from pathlib import Path

import pytest

import gradtx

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "gradtx"
FILES = sorted(PACKAGE.rglob("*.py"))
LAYERS = [
    ["core"],
    ["schedules", "linalg"],
    ["transforms"],
    ["combine"],
    ["optimizers"],
    ["wrappers", "search", "state"],
    [""],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
PUBLIC = {
    name: value for name, value in vars(gradtx).items() if not name.startswith("_") and not inspect.ismodule(value)
}


def imports(path):
    """The gradtx modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("gradtx"):
            for alias in node.names:
                module = PACKAGE.parent / Path(*node.module.split("."), alias.name)
                yield f"{node.module}.{alias.name}" if module.with_suffix(".py").exists() else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("gradtx"))


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 2 or ((PACKAGE / parts[-1]).is_dir() and len(parts) > 1) else ""


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path):
    here = layer(module_of(path))
    for module in imports(path):
        there = layer(module)
        assert LEVEL[there] <= LEVEL[here], f"{module_of(path)} imports {module}"
        assert LEVEL[there] < LEVEL[here] or there == here, f"{module_of(path)} imports {module} beside it"


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


@pytest.mark.parametrize("path", sorted([*FILES, *ROOT.glob("tests/**/*.py"), *ROOT.glob("examples/**/*.py")]), ids=str)
def test_files_are_short(path):
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("optimizers/*.py")), ids=lambda p: p.name)
def test_optimizers_do_not_walk_trees(path):
    names = {ast.unparse(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
    assert not names & {"jax.tree.map", "jax.tree_util.tree_map", "tree.map"}


def test_one_path_for_each_public_name():
    owners = {}
    for name, value in PUBLIC.items():
        assert owners.setdefault(id(value), name) == name, f"{owners[id(value)]} and {name} are one object"


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_public_names_are_documented(name):
    assert inspect.getdoc(PUBLIC[name]), f"{name} has no docstring"
    reference = "\n".join(page.read_text() for page in (ROOT / "docs" / "reference").rglob("*.md"))
    module = next(module for module, names in exports().items() if name in names)
    assert f"::: {module}" in reference, f"no page of docs/reference shows {module}, where {name} lives"


def exports():
    """The public names by the module that defines them."""
    found = {}
    for node in ast.parse((PACKAGE / "__init__.py").read_text()).body:
        if isinstance(node, ast.ImportFrom):
            found.setdefault(node.module, []).extend(alias.asname for alias in node.names)
    return found


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
