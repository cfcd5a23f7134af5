"""The catalogue: one row per transformation. The laws run over all of them."""

import importlib
import pkgutil
from types import ModuleType
from typing import Any

import jax
import pytest

import gradtx
from tests import rows
from tests.rows import Row as Row
from tests.rows import adam, combinators, momentum, rms, simple

FOUNDATION_FAMILIES: list[ModuleType] = [simple, momentum, rms, adam]
# Every file of `tests/rows` is a family, found there; a transformation's own rows come before those of combinators.
FOUND = [importlib.import_module(f"tests.rows.{found.name}") for found in pkgutil.iter_modules(rows.__path__)]
OTHERS = [family for family in FOUND if family not in (*FOUNDATION_FAMILIES, combinators)]
ROWS: list[Row] = [row for family in (*FOUNDATION_FAMILIES, *OTHERS, combinators) for row in family.ROWS]

# The foundation's rows run everywhere; the others are left out with -m "not slow".
FOUNDATION = {row.id for family in FOUNDATION_FAMILIES for row in family.ROWS}
NAMES = {row.tx.name for row in ROWS}


def parametrized(rows: list[Row], others: pytest.MarkDecorator = pytest.mark.slow) -> pytest.MarkDecorator:
    """Run a test over some rows of the catalogue; those that are not the foundation's are marked."""
    slow = lambda row: [] if row.id in FOUNDATION else [others]
    return pytest.mark.parametrize("row", [pytest.param(row, id=row.id, marks=slow(row)) for row in rows])


def composed(row: Row) -> bool:
    """Whether an optimizer is no more than transformations that have rows of their own, one after or in the other."""
    built, package = row.tx.build(), row.tx.maker.__module__.split(".")[1]
    if package not in ("optimizers", "wrappers", "search") or not is_transformation(built):
        return False
    inner = filter(is_transformation, jax.tree.leaves(built.arguments, is_leaf=is_transformation))
    return {built.name, *(tx.name for tx in inner)} <= NAMES


def is_transformation(value: Any) -> bool:
    return isinstance(value, gradtx.GradientTransformation)


every_row = parametrized(ROWS)

# The laws run over one row for each transformation, the first; its other rows are there for their oracles. Combinators
# run them in a row for each way to use them. What is composed obeys the laws if its parts do and are given the
# hyperparameters as they are: it runs its oracle, the laws of every row, and that of the one trace. All laws run over
# it, and over the other rows of combinators, with --slow.
FIRST = [
    row
    for i, row in enumerate(ROWS)
    if row in combinators.ROWS or row.tx.name not in {earlier.tx.name for earlier in ROWS[:i]}
]
LEFT_OUT = {row.id for row in FIRST if composed(row) or (row in combinators.ROWS and row not in combinators.HARDEST)}


def under_laws(rows: list[Row], others: pytest.MarkDecorator = pytest.mark.slow) -> pytest.MarkDecorator:
    """Run a law over some of the transformations; those that are not the foundation's are marked."""
    slow = lambda row: [] if row.id in FOUNDATION else [others]
    marks = lambda row: [pytest.mark.exhaustive] if row.id in LEFT_OUT else slow(row)
    return pytest.mark.parametrize("row", [pytest.param(row, id=row.id, marks=marks(row)) for row in rows])


every_transformation = under_laws(FIRST)
# For laws that take minutes over all rows: of the others they run with --slow only. One is that of the native step,
# which makes one program of all that an optimizer is composed of, so that the foundation's are not left out.
few_transformations = parametrized(FIRST, pytest.mark.exhaustive)
