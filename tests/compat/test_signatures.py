"""Every public name of Optax is here, under the same path, with the same parameters and defaults."""

import functools
import inspect
import operator
import types
import typing
import warnings
from collections import abc

import jax
import pytest

import gradtx.compat.optax as ours

theirs = pytest.importorskip("optax")

NAMESPACES = [
    "", ".assignment", ".contrib", ".experimental.aggregating", ".losses", ".microbatching", ".perturbations",
    ".projections", ".schedules", ".second_order", ".transforms", ".tree", ".tree_utils",
]  # fmt: skip
DEPRECATED = {
    "": ["DifferentiallyPrivateAggregateState", "differentially_private_aggregate", "dpsgd"],
    ".tree_utils": ["tree_add_scalar_mul", "tree_l1_norm", "tree_l2_norm", "tree_linf_norm", "tree_scalar_mul"],
}
FUNCTIONS = type, types.FunctionType, types.BuiltinFunctionType, functools.partial, type(jax.jit(lambda: None))


def both(namespace):
    """The module under both libraries, reached from the root."""
    find = operator.attrgetter(namespace[1:]) if namespace else lambda root: root
    return find(ours), find(theirs)


def public_names(module):
    """What a user may import from a module of Optax."""
    foreign = [*vars(typing).values(), *vars(abc).values()]
    imported = lambda x: isinstance(x, types.ModuleType) or any(x is y for y in foreign)
    return [name for name, x in vars(module).items() if not name.startswith("_") and not imported(x)]


def described(x):
    """A function or class by its parameters; for a default that is an object itself only its type."""
    if x is typing.Any or not isinstance(x, FUNCTIONS) or getattr(x, "_is_protocol", False):
        return "a value"
    if isinstance(x, type) and issubclass(x, tuple):
        return "fields", x._fields, sorted(x._field_defaults)
    try:
        return "call", parameters(x)
    except (TypeError, ValueError):
        return "a type"


def parameters(f):
    """Names, kinds and defaults; variadic parameters have no name that a caller could use."""
    found = inspect.signature(f).parameters.values()
    return [("" if p.kind.name.startswith("VAR") else p.name, p.kind.name, default_of(p.default)) for p in found]


def default_of(default):
    plain = default is None or isinstance(default, bool | int | float | str | list) or type(default) is tuple
    return default if plain or isinstance(default, type) else type(default).__name__


@pytest.mark.parametrize("namespace", NAMESPACES, ids=lambda name: f"optax{name}")
def test_names_and_signatures(namespace):
    here, there = both(namespace)
    names = public_names(there)
    missing = [name for name in names if not hasattr(here, name)]
    assert not missing
    pairs = {name: (described(getattr(here, name)), described(getattr(there, name))) for name in names}
    assert not {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


@pytest.mark.parametrize("name", ["TransformInitFn", "TransformUpdateFn", "TransformUpdateExtraArgsFn"])
def test_protocols(name):
    assert parameters(getattr(ours, name).__call__) == parameters(getattr(theirs, name).__call__)


@pytest.mark.parametrize("namespace", DEPRECATED)
def test_deprecated_names(namespace):
    here, there = both(namespace)
    for name in DEPRECATED[namespace]:
        with pytest.warns(DeprecationWarning, match=name):
            mine = getattr(here, name)
        with warnings.catch_warnings(action="ignore"):
            assert described(mine) == described(getattr(there, name))


def test_names_that_are_gone():
    for name in ("monte_carlo", "no_such_name"):
        with pytest.raises(AttributeError, match=name):
            getattr(both("")[0], name)
